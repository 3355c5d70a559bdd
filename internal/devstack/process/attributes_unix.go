//go:build unix && !linux

package process

import "syscall"

// attributes gives the child a group of its own. There is no parent-death signal here: what a killed run leaves
// behind is found and stopped by the next one.
func attributes(as *Account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: as.credential()}
}
