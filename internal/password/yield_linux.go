package password

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// niceness is that of a process that hashes: whatever else the machine has to do
// for a moment goes first.
const niceness = 10

// yieldAgainAfter is how long to wait where the kernel has just heard too many.
const yieldAgainAfter = 150 * time.Millisecond

// apart gives the process a session of its own. Where the kernel shares the
// processors out by session (autogroup, sched(7)), niceness says nothing outside of one, and a
// database would get no more of them than the hashes.
//
// It is killed with us, for it may be at a pause then.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// yield lets all other processes go first. Linux keeps niceness by thread, and a
// new thread has that of the one which made it; that of the session it keeps
// apart, and lets it be changed ten times a second on the whole machine. Where
// it can't be had, hashing is only less polite.
func yield() {
	threads, _ := os.ReadDir("/proc/self/task")
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, niceness)
		}
	}
	go func() {
		for range 10 {
			if err := os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(niceness)), 0); !errors.Is(err, syscall.EAGAIN) {
				return
			}
			time.Sleep(yieldAgainAfter)
		}
	}()
}

// pace has the worker pause while others want the processors, until it has
// answered.
func (w *worker) pace(answered <-chan struct{}) {
	process := w.process.Process
	ran := int32(^process.Pid)<<3 | 2 //nolint:gosec // the clock of its processor time, clock_getcpuclockid(3); a pid has 22 bits
	w.pacer.pauses = 0
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	for {
		began, before := clock(unix.CLOCK_MONOTONIC), clock(ran)
		select {
		case <-answered:
			return
		case <-look.C:
		}
		if w.pacer.crowded(clock(ran)-before, clock(unix.CLOCK_MONOTONIC)-began) && process.Signal(syscall.SIGSTOP) == nil {
			time.Sleep(pauseFor)
			_ = process.Signal(syscall.SIGCONT) // it fails for one that has died
		}
		look.Reset(lookEvery)
	}
}

// clock is what the clock shows; 0 if it is that of a process which has died.
func clock(which int32) time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(which, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
