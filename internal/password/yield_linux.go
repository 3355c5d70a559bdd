package password

import (
	"os"
	"strconv"
	"syscall"
)

// niceness is that of a process that hashes: whatever else the machine has to do
// for a moment goes first.
const niceness = 10

// yield lets all other processes go first. Linux keeps niceness by thread, and a
// new thread has that of the one which made it. Where it can't be had, hashing is
// only less polite.
func yield() {
	threads, _ := os.ReadDir("/proc/self/task")
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, niceness)
		}
	}
}
