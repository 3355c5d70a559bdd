//go:build !linux

package password

// yield does nothing where niceness is not known to work by process.
func yield() {}
