package stack

import "syscall"

// childAttributes gives the child a group of its own and lets it die with the test, however that ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
