// Command larder-dev runs Larder on a developer's machine; `make help` lists what it is used for.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"larder/internal/devstack"
	"larder/internal/devstack/servers"
)

const usage = `Usage: larder-dev <command>

  run              PostgreSQL, Redis, both services and a demo family, until Ctrl-C
  test -- <cmd…>   run a command with DATABASE_URL and REDIS_URL set to servers for tests
  services         keep the servers for tests running, until Ctrl-C
  clean            remove all that the others made, data included

Environment:
  DATABASE_URL, REDIS_URL           use these servers instead of bringing some up
  AUTHSERVER_ADDR, RESOURCEAPI_ADDR listen here (localhost:9000, localhost:9100)
  AUTHSERVER_ISSUER, RESOURCEAPI_RESOURCE   be called so (http and the address above)
  LARDER_DEV_DIR                    keep everything here (.dev)
`

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup asks to go on
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	err := run(ctx, os.Args[1:])
	stop()
	if failed, ok := errors.AsType[*devstack.ExitError](err); ok {
		os.Exit(failed.Code)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "larder-dev: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command\n\n%s", usage)
	}
	stack, err := here()
	if err != nil {
		return err
	}
	if err := dieWithMake(os.Getenv); err != nil {
		return err
	}
	switch command := args[0]; {
	case command == "run" && len(args) == 1:
		return stack.Run(ctx)
	case command == "services" && len(args) == 1:
		return stack.Services(ctx)
	case command == "clean" && len(args) == 1:
		return stack.Clean()
	case command == "test" && len(args) > 2 && args[1] == "--":
		return stack.Test(ctx, args[2:])
	case command == "help" || command == "-h" || command == "--help":
		_, err := fmt.Print(usage)
		return err
	default:
		return fmt.Errorf("cannot make sense of %q\n\n%s", args, usage)
	}
}

// here is the stack of the module that the working directory is in.
func here() (*devstack.Stack, error) {
	root, err := servers.Root()
	if err != nil {
		return nil, err
	}
	dir, err := servers.Directory(os.Getenv)
	return &devstack.Stack{Root: root, Dir: dir, Getenv: os.Getenv, Stdout: os.Stdout, Stderr: os.Stderr}, err
}
