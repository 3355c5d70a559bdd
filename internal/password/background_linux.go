package password

import (
	"runtime"
	"syscall"
)

// niceness is that of the threads that hash: whatever else the machine has to
// do for a moment goes first.
const niceness = 5

// background runs work on an operating-system thread that yields to all others,
// and waits for it. The thread ends with the work, because it may not raise
// itself again.
func background(work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), niceness) // without it the hash is only less polite
		work()
	}()
	<-done
}
