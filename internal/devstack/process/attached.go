package process

import (
	"context"
	"io"
	"os/exec"
	"runtime"
	"syscall"
)

// Attached runs a command whose output goes straight to the writers, and returns how it ended. When the context ends,
// the interrupt goes to the command and to all that it started, which is what a terminal would do; `go test` relies on
// that. Whatever the command leaves behind is killed.
func Attached(ctx context.Context, command, env []string, stdout, stderr io.Writer) error {
	// See Start: the parent-death signal goes by thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, stdout, stderr
	cmd.SysProcAttr = attributes(nil)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = DefaultGrace
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return err
}
