//go:build !linux

package password

// background runs work: only Linux gives threads a priority of their own.
func background(work func()) { work() }
