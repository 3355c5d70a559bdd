//go:build unix && !linux

package stack

import "syscall"

// childAttributes gives the child a group of its own.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
