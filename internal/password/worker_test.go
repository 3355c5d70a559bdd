package password

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test program its own worker, as the server is.
func TestMain(m *testing.M) {
	if slices.Equal(os.Args[1:], []string{WorkerArgument}) {
		if err := Work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if slices.Equal(os.Args[1:], []string{abandonArgument}) {
		fmt.Fprintln(os.Stderr, abandon())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// abandonArgument has the test program hire a worker, stop it and wait to be killed.
const abandonArgument = "abandon-a-worker"

func abandon() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	one, err := hire(program)
	if err != nil {
		return err
	}
	if err := one.process.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	fmt.Println(one.process.Process.Pid)
	select {}
}

// team is a hasher of two permits with workers.
func team(t *testing.T) *Hasher {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := NewHasher(Params{Memory: 64, Time: 1, Threads: 1}, 2, 64)
	h.Workers = &Workers{Program: program}
	t.Cleanup(h.Workers.Close)
	return h
}

func (h *Hasher) fits(t *testing.T, password, stored string, want bool) {
	t.Helper()
	if ok, _, err := h.Verify(t.Context(), password, stored, nil); ok != want || err != nil {
		t.Errorf("%q fits: %t, %v; want %t", password, ok, err, want)
	}
}

func TestWorkersHashAsThisProcessDoes(t *testing.T) {
	t.Parallel()
	here, apart := NewHasher(Recommended(), 1, 1), team(t)
	stored, err := here.Hash(t.Context(), "crème brûlée au four")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			apart.fits(t, "crème brûlée au four", stored, true)
			apart.fits(t, "creme brulee au four", stored, false)
		})
	}
	wg.Wait()
	if n := len(apart.Workers.idle); n < 1 || n > 2 {
		t.Errorf("%d workers for two permits", n)
	}
}

func TestADeadWorkerKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	h := team(t)
	stored, err := h.Hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	dead := h.Workers.idle[0]
	if err := dead.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	h.fits(t, "correct horse battery", stored, true)
	h.fits(t, "correct horse battery", stored, true)
	if len(h.Workers.idle) != 1 || h.Workers.idle[0] == dead {
		t.Error("no other has come in its place")
	}
	h.Workers.Program = "/nonexistent"
	h.Workers.dismiss(h.Workers.idle[0])
	h.fits(t, "correct horse battery", stored, true)
}

func TestWorkersEndWithUs(t *testing.T) {
	t.Parallel()
	h := team(t)
	if _, err := h.Hash(t.Context(), "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	one := h.Workers.idle[0]
	if err := one.in.Close(); err != nil { // as the system does when we are killed
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- one.process.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it is still there")
	}
	h.Workers.Close()
	if _, err := h.Hash(t.Context(), "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	if len(h.Workers.idle) != 0 {
		t.Error("one is kept after the end")
	}
}

func TestAWorkerPausesWhereItGetsLittle(t *testing.T) {
	t.Parallel()
	p := pacer{share: 1}
	var pauses []int // after how many looks
	for n := range 100 {
		if p.crowded(lookEvery/4, lookEvery) {
			pauses = append(pauses, n)
		}
	}
	if len(pauses) != mostPauses || pauses[0] < 3 || pauses[0] > 15 {
		t.Errorf("%d pauses, from look %v on; want %d, soon, and not at the first", len(pauses), pauses, mostPauses)
	}
	p.pauses = 0
	for range 100 {
		p.crowded(lookEvery, lookEvery)
	}
	p.pauses = 0
	if p.crowded(lookEvery/4, lookEvery) {
		t.Error("one look of many has it pause")
	}
}

func TestAWorkerThatPausedAnswers(t *testing.T) {
	t.Parallel()
	h := team(t)
	if _, err := h.Hash(t.Context(), "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	one := h.Workers.take()
	one.pacer.share = -1e6 // as if it never had got anything
	task := &task{Params: Params{Memory: 19 << 10, Time: 8, Threads: 1}, Password: []byte("correct horse battery"), Salt: make([]byte, 16), Size: 32}
	key, err := one.do(task)
	if err != nil || !slices.Equal(key, task.key()) {
		t.Errorf("%x, %v", key, err)
	}
	if one.pacer.pauses == 0 && runtime.GOOS == "linux" {
		t.Error("it did not pause")
	}
	again, err := one.do(task)
	if err != nil || !slices.Equal(again, key) {
		t.Errorf("again: %x, %v", again, err)
	}
	h.Workers.put(one)
}
