package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"

	"larder/internal/loopback"
)

const (
	readyLimit = 2 * time.Minute
	// pollEvery is short, for the benchmark measures cold starts by it.
	pollEvery = 2 * time.Millisecond
	// drainLimit is longer than the services take at most to drain.
	drainLimit = 2 * time.Minute
	lastWords  = 6 << 10
)

// Service is one replica of a service: a process and what it takes to start it again.
type Service struct {
	Name string
	// URL is the base URL of the public listener, Internal that of /metrics.
	URL, Internal string

	program string
	env     []string
	prefix  string // of the environment names, such as AUTHSERVER
	logPath string
	front   *Front
	pid     int
	exited  chan struct{}
	exit    error
}

// Start starts the process and waits until it is ready. A fixed address is kept; a replica behind a front takes new
// ports each time, for the old ones may be gone by then.
func (s *Service) Start(ctx context.Context) error {
	if s.front != nil {
		public, release, err := loopback.Reserve()
		if err != nil {
			return err
		}
		defer release()
		s.URL = "http://" + public
	}
	internal, release, err := loopback.Reserve()
	if err != nil {
		return err
	}
	defer release()
	s.Internal = "http://" + internal
	env := append(slices.Clip(s.env),
		s.prefix+"_ADDR="+s.URL[len("http://"):], s.prefix+"_INTERNAL_ADDR="+internal)
	if err := s.spawn(ctx, env); err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Kill()
		return err
	}
	if s.front != nil {
		return s.front.Add(s.URL)
	}
	return nil
}

// spawn starts the process. Its output goes straight to a file, so that reading it costs the test nothing.
func (s *Service) spawn(ctx context.Context, env []string) error {
	log, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	// The process outlives the context of whoever starts it, and is stopped by name.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.program, "serve") //nolint:gosec // our own program
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = env, log, log, childAttributes()
	s.exited, s.exit = make(chan struct{}), nil
	started := make(chan error, 1)
	go func() {
		// Linux sends the parent-death signal when the thread that made the child ends, so it has to stay.
		runtime.LockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		s.pid = cmd.Process.Pid
		started <- nil
		s.exit = cmd.Wait()
		close(s.exited)
	}()
	return <-started
}

func (s *Service) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		if answers(ctx, s.URL+"/readyz") {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("%s ended before it was ready: %w\n%s", s.Name, ended(s.exit), s.LastWords())
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready after %s:\n%s", s.Name, readyLimit, s.LastWords())
		case <-time.After(pollEvery):
		}
	}
}

func answers(ctx context.Context, url string) bool {
	resp, err := send(ctx, http.MethodGet, url, nil, nil)
	return err == nil && resp.Status == http.StatusOK
}

// PID is the id of the running process.
func (s *Service) PID() int { return s.pid }

// Running reports whether the process is there.
func (s *Service) Running() bool {
	if s.exited == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Stop asks the process to drain and reports anything but exit code 0.
func (s *Service) Stop() error {
	if !s.Running() {
		if s.exited == nil {
			return nil
		}
		return fmt.Errorf("%s was gone before it was stopped: %w\n%s", s.Name, ended(s.exit), s.LastWords())
	}
	if s.front != nil {
		s.leave()
		s.front.settle(s.URL)
	}
	if err := syscall.Kill(s.pid, syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.exited:
	case <-time.After(drainLimit):
		s.Kill()
		return fmt.Errorf("%s did not stop within %s of SIGTERM:\n%s", s.Name, drainLimit, s.LastWords())
	}
	exit := s.exit
	s.exited = nil
	if exit != nil {
		return fmt.Errorf("%s stopped with %w:\n%s", s.Name, exit, s.LastWords())
	}
	return nil
}

// ended says how a process went that should be there.
func ended(exit error) error {
	if exit == nil {
		return errors.New("exit code 0")
	}
	return exit
}

// Ask sends SIGTERM and waits for nothing.
func (s *Service) Ask() error { return syscall.Kill(s.pid, syscall.SIGTERM) }

// Insist sends SIGTERM over and over until the process is gone, and says how it went.
func (s *Service) Insist() error {
	for s.Running() {
		_ = syscall.Kill(s.pid, syscall.SIGTERM)
		select {
		case <-s.exited:
		case <-time.After(pollEvery):
		}
	}
	exit := s.exit
	s.exited = nil
	return ended(exit)
}

// Kill ends the process at once, as a crash does.
func (s *Service) Kill() {
	if !s.Running() {
		return
	}
	s.leave()
	_ = syscall.Kill(s.pid, syscall.SIGKILL)
	<-s.exited
	s.exited = nil
}

func (s *Service) leave() {
	if s.front != nil {
		s.front.Remove(s.URL)
	}
}

// LastWords is the end of what the process wrote.
func (s *Service) LastWords() string {
	raw, err := os.ReadFile(s.logPath)
	if err != nil {
		return err.Error()
	}
	// Starting means being asked every other millisecond.
	lines := bytes.SplitAfter(raw, []byte("\n"))
	raw = bytes.Join(slices.DeleteFunc(lines, func(line []byte) bool { return bytes.Contains(line, []byte(`"/readyz"`)) }), nil)
	if len(raw) > lastWords {
		raw = raw[len(raw)-lastWords:]
		if _, rest, ok := bytes.Cut(raw, []byte("\n")); ok && len(rest) > 0 {
			raw = rest
		}
	}
	return string(raw)
}
