package loopback

import (
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
)

// Reserve returns a free address of 127.0.0.1. Nobody is given its port until release, neither by listening on any port
// nor by connecting; whoever asks for it by its number, as Go and Node do, may listen.
//
// Linux lets a second socket have a port that is bound and not listened on, if both say so by SO_REUSEADDR.
func Reserve() (addr string, release func(), err error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, os.NewSyscallError("socket", err)
	}
	port, err := bind(socket)
	if err != nil {
		return "", nil, errors.Join(err, syscall.Close(socket))
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), sync.OnceFunc(func() { _ = syscall.Close(socket) }), nil
}

func bind(socket int) (port int, err error) {
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	found, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return 0, errors.New("the socket has no address of IPv4")
	}
	return found.Port, nil
}
