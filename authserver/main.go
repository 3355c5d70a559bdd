package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"larder/internal/password"
	"larder/internal/telemetry"
)

func main() {
	if slices.Equal(os.Args[1:], []string{password.WorkerArgument}) {
		if err := password.Work(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	program, _ := os.Executable() // where it can't be known, passwords are hashed in this process
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends a drain at once
	err := run(ctx, os.Args[1:], &terminal{
		program: program, getenv: os.Getenv, in: os.Stdin, out: os.Stdout, errOut: os.Stderr, now: time.Now,
	})
	if err != nil && !errors.Is(err, errUsage) {
		fmt.Fprintln(os.Stderr, "authserver:", err)
	}
	if err != nil {
		os.Exit(1)
	}
}

// run does what args say. It is main without the process: tests call it.
func run(ctx context.Context, args []string, t *terminal) error {
	all, out, errOut := commands(), t.out, t.errOut
	if len(args) == 0 || slices.Contains([]string{"help", "--help", "-help", "-h"}, args[0]) {
		overview(out, all, "")
		if len(args) == 0 {
			return errUsage
		}
		return nil
	}
	cmd, rest, ok := find(all, args)
	if !ok {
		return unknown(all, args, out, errOut)
	}
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() { explain(flags.Output(), cmd, flags) }
	flags.BoolVar(&t.json, "json", false, "print JSON, for programs")
	do := cmd.flags(flags)
	if slices.ContainsFunc(rest, func(a string) bool { return a == "--help" || a == "-help" || a == "-h" }) {
		flags.SetOutput(out)
		flags.Usage()
		return nil
	}
	positional, err := parse(flags, rest)
	if err != nil {
		return errUsage // flag has said why
	}
	if cmd.args == "" && len(positional) > 0 {
		return fmt.Errorf("unexpected argument %q", positional[0])
	}
	if t.cfg, err = loadConfig(t.getenv, cmd.needs); err != nil {
		return err
	}
	if !cmd.bare {
		if t.core, err = openCore(ctx, t.cfg, t.now, telemetry.Logger(t.errOut, slog.LevelWarn, "authserver")); err != nil {
			return err
		}
		defer t.core.close()
	}
	return told(do(ctx, t, positional))
}
