//go:build !linux

package loopback

import "net"

// Reserve returns an address of 127.0.0.1 that is free at this moment: here nothing keeps a port that is not listened on.
func Reserve() (addr string, release func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return l.Addr().String(), func() {}, l.Close()
}
