package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"larder/internal/devstack/servers"
)

// Binaries is the folder that holds the programs authserver and resourceapi.
type Binaries string

// AuthServer is the path of the authserver program.
func (b Binaries) AuthServer() string { return filepath.Join(string(b), "authserver") }

// ResourceAPI is the path of the resourceapi program.
func (b Binaries) ResourceAPI() string { return filepath.Join(string(b), "resourceapi") }

// BuildForTest builds both programs, or fails the test. Build them once and hand the result to every New.
func BuildForTest(t testing.TB) Binaries {
	t.Helper()
	binaries, err := Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return binaries
}

// Build builds both programs as a release does, below the development directory. Packages that test at the same time
// share the result: the second finds it fresh.
func Build(ctx context.Context) (_ Binaries, err error) {
	root, err := servers.Root()
	if err != nil {
		return "", err
	}
	dev, err := servers.Directory(os.Getenv)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(dev, "bin", "tested")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // programs are no secret
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir+"/", "./authserver", "./resourceapi") //nolint:gosec // our own paths
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return Binaries(dir), nil
}

func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is ours
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}
