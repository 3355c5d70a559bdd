//go:build !linux

package password

import "syscall"

// apart and yield do nothing where niceness is not known to work by process.
func apart() *syscall.SysProcAttr { return nil }

func yield() {}
