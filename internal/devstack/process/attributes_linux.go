package process

import "syscall"

// attributes gives the child a group of its own, and has the kernel kill it when we die without a chance to stop it.
func attributes(as *Account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: as.credential()}
}
