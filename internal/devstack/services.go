package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"

	"larder/internal/devstack/engine"
	"larder/internal/devstack/process"
	"larder/internal/devstack/servers"
)

// Stack is one copy of the development stack.
type Stack struct {
	// Root is the folder of the module.
	Root string
	// Dir is the development directory, absolute.
	Dir string
	// Getenv looks up the environment.
	Getenv func(string) string
	Stdout io.Writer
	Stderr io.Writer
}

// parallelTests bounds how many test runs of one copy may have servers of their own at the same time.
const parallelTests = 8

func (s *Stack) say(format string, args ...any) {
	fmt.Fprintf(s.Stderr, "larder-dev: "+format+"\n", args...)
}

// engines brings both servers up in the directory.
func (s *Stack) engines(ctx context.Context, dir *directory, kept *secrets, durable bool) (*engine.Engines, error) {
	up, err := engine.Start(ctx, engine.Options{
		Dir: dir.path, DatabaseURL: s.Getenv("DATABASE_URL"), RedisURL: s.Getenv("REDIS_URL"),
		Postgres: kept.Postgres, Redis: kept.Redis, Durable: durable, Say: s.say,
	})
	if err != nil {
		return nil, err
	}
	kept.Postgres, kept.Redis = up.Postgres, up.Redis
	if err := dir.saveSecrets(kept); err != nil {
		up.Stop()
		return nil, err
	}
	return up, nil
}

// Services keeps the servers for tests running until the context ends.
func (s *Stack) Services(ctx context.Context) error {
	dir, err := openDirectory(filepath.Join(s.Dir, "test"))
	if err != nil {
		return err
	}
	defer dir.close()
	kept, err := dir.loadSecrets()
	if err != nil {
		return err
	}
	up, err := s.engines(ctx, dir, kept, false)
	if err != nil {
		return err
	}
	defer up.Stop()
	file := filepath.Join(s.Dir, servers.File)
	if err := writeJSON(file, servers.Addresses{DatabaseURL: up.DatabaseURL, RedisURL: up.RedisURL}); err != nil {
		return err
	}
	defer os.Remove(file)
	fmt.Fprintf(s.Stdout, "export DATABASE_URL='%s'\nexport REDIS_URL='%s'\n", up.DatabaseURL, up.RedisURL)
	s.say("Tests find these servers by themselves now. Ctrl-C stops them.")
	return s.watch(ctx, up.Children())
}

// Test runs the command with DATABASE_URL and REDIS_URL set to servers for tests: those that Services keeps running,
// else its own until the command is done. A command that fails gives an *ExitError.
func (s *Stack) Test(ctx context.Context, command []string) error {
	if len(command) == 0 {
		return errors.New("no command to run with the servers")
	}
	dir, err := s.testDirectory()
	if err != nil {
		return err
	}
	defer dir.close()
	path, err := s.nodePath(ctx, dir)
	if err != nil {
		return err
	}
	browser, err := s.chromium(ctx)
	if err != nil {
		return err
	}
	tools := []string{"PATH=" + path, "CHROMIUM=" + browser}
	if running, ok := s.running(ctx); ok {
		s.say("Using the servers that `larder-dev services` keeps running.")
		return s.with(ctx, running, tools, command)
	}
	kept, err := dir.loadSecrets()
	if err != nil {
		return err
	}
	up, err := s.engines(ctx, dir, kept, false)
	if err != nil {
		return err
	}
	defer up.Stop()
	return s.with(ctx, servers.Addresses{DatabaseURL: up.DatabaseURL, RedisURL: up.RedisURL}, tools, command)
}

// running returns the servers of services.json if they answer and the environment names no others.
func (s *Stack) running(ctx context.Context) (servers.Addresses, bool) {
	if s.Getenv("DATABASE_URL") != "" || s.Getenv("REDIS_URL") != "" {
		return servers.Addresses{}, false
	}
	found, err := servers.Read(filepath.Join(s.Dir, servers.File))
	if err != nil {
		return servers.Addresses{}, false
	}
	return found, engine.Answer(ctx, found.DatabaseURL, found.RedisURL) == nil
}

// testDirectory gives each of several test runs at the same time a directory of its own.
func (s *Stack) testDirectory() (*directory, error) {
	for n := 1; ; n++ {
		name := "test"
		if n > 1 {
			name = fmt.Sprintf("test-%d", n)
		}
		dir, err := openDirectory(filepath.Join(s.Dir, name))
		if !errors.Is(err, errBusy) || n == parallelTests {
			return dir, err
		}
	}
}

// ExitError says that the command of Test failed, and has said so itself.
type ExitError struct {
	// Code is the command's exit status.
	Code int
}

func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

func (s *Stack) with(ctx context.Context, at servers.Addresses, tools, command []string) error {
	env := append(os.Environ(), "DATABASE_URL="+at.DatabaseURL, "REDIS_URL="+at.RedisURL)
	env = append(env, tools...)
	err := process.Attached(ctx, command, env, s.Stdout, s.Stderr)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok && failed.ExitCode() > 0 {
		return &ExitError{Code: failed.ExitCode()}
	}
	return err
}

// watch waits until the context ends, which is how to stop and no error, or a child dies, which is one.
func (s *Stack) watch(ctx context.Context, children []*process.Process) error {
	cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}}
	for _, child := range children {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(child.Done())})
	}
	chosen, _, _ := reflect.Select(cases)
	if chosen == 0 {
		s.say("Stopping.")
		return nil
	}
	return children[chosen-1].Err()
}
