package main

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// dieWithMake has the kernel ask us to stop when make is killed and so cannot pass the request on. The kernel ties
// that to the thread that asks for it, so the main goroutine keeps its own.
func dieWithMake(getenv func(string) string) error {
	if getenv("MAKELEVEL") == "" {
		return nil
	}
	runtime.LockOSThread()
	return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0)
}
