package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, errUsage) {
		fmt.Fprintln(os.Stderr, "authserver:", err)
	}
	if err != nil {
		os.Exit(1)
	}
}

// run does what args say. It is main without the process: tests call it.
func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out, errOut io.Writer) error {
	all := commands()
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
	t := &terminal{getenv: getenv, in: in, out: out, errOut: errOut, now: time.Now}
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
	if t.cfg, err = loadConfig(getenv, cmd.needs); err != nil {
		return err
	}
	return told(do(ctx, t, positional))
}
