package process_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"larder/internal/devstack/process"
)

func shell(t *testing.T, script string) *process.Process {
	t.Helper()
	child, err := process.Start(t.Context(), process.Spec{Name: "child", Path: "/bin/sh", Args: []string{"-c", script}, Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Stop)
	return child
}

func TestDeathIsReportedWithTheLastWords(t *testing.T) {
	t.Parallel()
	child := shell(t, "for n in $(seq 1 100); do echo line $n; done; printf 'no end'; exit 3")
	err := child.Err()
	for _, want := range []string{"child", "exit status 3", "line 100", "no end"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), "line 50\n") {
		t.Error("all of the output is kept, want only the last lines")
	}
}

func TestStopAsksFirstAndKillsLater(t *testing.T) {
	t.Parallel()
	polite := shell(t, "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
	waitFor(t, polite, "up")
	polite.Stop()
	if !strings.Contains(polite.Tail(), "bye") {
		t.Errorf("it was not asked to stop: %q", polite.Tail())
	}
	deaf := shell(t, "trap '' TERM; echo up; while :; do sleep 0.05; done")
	waitFor(t, deaf, "up")
	deaf.Stop() // returns because it is killed after the grace period
	if process.Alive(deaf.PID()) {
		t.Error("it is still there")
	}
}

// looks, 20 ms after each other, take as long as a busy machine may need.
const looks = 6000

func waitFor(t *testing.T, child *process.Process, word string) {
	t.Helper()
	for range looks {
		if strings.Contains(child.Tail(), word) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("it never said %q", word)
}

func TestChildrenOutliveTheContextThatStartedThem(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	child, err := process.Start(ctx, process.Spec{Name: "child", Path: "/bin/sleep", Args: []string{"60"}})
	if err != nil {
		t.Fatal(err)
	}
	defer child.Stop()
	cancel()
	select {
	case <-child.Done():
		t.Error("it went with the context; the order of stopping is the caller's")
	case <-time.After(200 * time.Millisecond):
	}
}

func TestInterruptReachesAllThatACommandStarted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = output.Close() }()
	done := make(chan error, 1)
	go func() {
		done <- process.Attached(ctx, []string{"/bin/sh", "-c", "sleep 60 & echo $!; wait"}, os.Environ(), output, output)
	}()
	var grandchild int
	for range looks {
		said, err := os.ReadFile(output.Name())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(string(said), &grandchild); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if grandchild == 0 {
		t.Fatal("the command did not start")
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("an interrupted command is no success")
	}
	for range looks {
		if syscall.Kill(grandchild, 0) != nil || zombie(grandchild) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("process %d, which the command started, is still there", grandchild)
}

// zombie says whether the process is dead and only waits for whoever adopted it to notice.
func zombie(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(raw, []byte(") Z "))
}
