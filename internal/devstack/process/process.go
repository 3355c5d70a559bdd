package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// DefaultGrace is how long a child may take to stop before it is killed.
const DefaultGrace = 20 * time.Second

// Spec says what to run and how.
type Spec struct {
	// Name is what people call the child in messages.
	Name string
	Path string
	Args []string
	// Env is the whole environment; nil passes on that of this process.
	Env []string
	Dir string
	// As is the account to run as; nil means our own. Setting it takes root.
	As *Account
	// Output receives whole lines of standard output and standard error; nil drops them.
	Output io.Writer
	// StopSignal asks the child to stop; the zero value means SIGTERM.
	StopSignal syscall.Signal
	// Grace is how long Stop waits before it kills; the zero value means DefaultGrace.
	Grace time.Duration
}

// Process is a running child.
type Process struct {
	name string
	pid  int
	tail *tail
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// Start runs the child. The context gives values only: a child lives until it ends or Stop is called, so that
// the caller decides the order in which several of them go.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(ctx, spec.Path, spec.Args...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	cmd.SysProcAttr = attributes(spec.As)
	cmd.WaitDelay = DefaultGrace
	if spec.Grace > 0 {
		cmd.WaitDelay = spec.Grace
	}
	cmd.Cancel = func() error {
		if spec.StopSignal != 0 {
			return cmd.Process.Signal(spec.StopSignal)
		}
		return cmd.Process.Signal(syscall.SIGTERM)
	}
	p := &Process{name: spec.Name, tail: newTail(spec.Output), stop: cancel, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.tail, p.tail

	started := make(chan error, 1)
	go func() {
		// Linux sends the parent-death signal when the thread that made the child ends, so that thread has to
		// stay: it is this goroutine's own until the child is gone.
		runtime.LockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
		p.tail.flush()
		close(p.done)
	}()
	if err := <-started; err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	return p, nil
}

// Name is what people call the child.
func (p *Process) Name() string { return p.name }

// PID is the child's process id.
func (p *Process) PID() int { return p.pid }

// Done is closed once the child is gone and its output has been read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Tail returns the last lines that the child wrote.
func (p *Process) Tail() string { return p.tail.String() }

// Err says how the child ended, with its last words. It waits until the child is gone.
func (p *Process) Err() error {
	<-p.done
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s stopped (%s); its last words:\n%s", p.name, how, p.Tail())
}

// Stop asks the child to stop, kills it after the grace period, and returns when it is gone.
func (p *Process) Stop() {
	p.stop()
	<-p.done
}

// Run runs a command to its end and returns its output, which the error also carries.
func Run(ctx context.Context, spec Spec) (string, error) {
	child, err := Start(ctx, spec)
	if err != nil {
		return "", err
	}
	select {
	case <-child.Done():
	case <-ctx.Done():
		child.Stop()
		return child.Tail(), fmt.Errorf("%s: %w", spec.Name, ctx.Err())
	}
	if child.err != nil {
		return child.Tail(), fmt.Errorf("%s: %w\n%s", spec.Name, child.err, child.Tail())
	}
	return child.Tail(), nil
}

// Alive reports whether a process with this id exists.
func Alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, os.ErrPermission)
}
