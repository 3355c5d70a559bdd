package password

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"
)

// niceness is that of a process that hashes: whatever else the machine has to do
// for a moment goes first.
const niceness = 10

// yieldAgainAfter is how long to wait where the kernel has just heard too many.
const yieldAgainAfter = 150 * time.Millisecond

// apart gives the process a session of its own. Where the kernel shares the
// processors out by session (autogroup, sched(7)), niceness says nothing outside of one, and a
// database would get no more of them than the hashes.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

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
