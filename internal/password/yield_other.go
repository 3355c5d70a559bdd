//go:build !linux

package password

import "syscall"

// apart, yield and pace do nothing where niceness is not known to work by process.
func apart() *syscall.SysProcAttr { return nil }

func yield() {}

func (*worker) pace(<-chan struct{}) {}
