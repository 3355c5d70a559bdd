package stack

import (
	"context"
	"io"
	"net"
	"sync"
)

// Line is a TCP proxy in front of a server, to be cut and mended.
type Line struct {
	// Addr is where the services find the server.
	Addr string

	target   string
	listener net.Listener

	mu      sync.Mutex
	cut     bool
	thawed  chan struct{} // closed while bytes may flow to the server
	heard   chan struct{} // closed while bytes may flow back
	open    map[net.Conn]struct{}
	running sync.WaitGroup
}

// NewLine listens on a loopback address and passes everything on to target (host:port).
func NewLine(ctx context.Context, target string) (*Line, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	flowing := make(chan struct{})
	close(flowing)
	l := &Line{
		Addr: listener.Addr().String(), target: target, listener: listener,
		thawed: flowing, heard: flowing, open: make(map[net.Conn]struct{}),
	}
	l.running.Go(func() { l.accept(context.WithoutCancel(ctx)) })
	return l, nil
}

// Cut ends every connection and each new one at once: the server is gone.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for c := range l.open {
		_ = c.Close()
	}
}

// Freeze keeps the connections and passes no more bytes: the server hangs, or the network swallows packets.
func (l *Line) Freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.thawed, l.heard = shut(l.thawed), shut(l.heard)
}

// Deafen passes on what the server is told and keeps back what it says: it does what nobody will hear of.
func (l *Line) Deafen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = shut(l.heard)
}

// Mend undoes Cut, Freeze and Deafen.
func (l *Line) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
	for _, gate := range []chan struct{}{l.thawed, l.heard} {
		select {
		case <-gate:
		default:
			close(gate)
		}
	}
}

// shut returns the gate, or a new one in place of one that is open.
func shut(gate chan struct{}) chan struct{} {
	select {
	case <-gate:
		return make(chan struct{})
	default:
		return gate
	}
}

// Close ends the proxy.
func (l *Line) Close() {
	_ = l.listener.Close()
	l.Mend()
	l.Cut()
	l.running.Wait()
}

func (l *Line) accept(ctx context.Context) {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.join(ctx, client) })
	}
}

// join connects a client with the server until either hangs up.
func (l *Line) join(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !l.hold(client, server) {
		return
	}
	defer l.release(client, server)
	var both sync.WaitGroup
	pass := func(from, to net.Conn, gate *chan struct{}) {
		l.pump(from, to, gate)
		_ = from.Close()
		_ = to.Close()
	}
	both.Go(func() { pass(client, server, &l.thawed) })
	both.Go(func() { pass(server, client, &l.heard) })
	both.Wait()
}

func (l *Line) pump(from io.Reader, to io.Writer, gate *chan struct{}) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		<-l.now(gate)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (l *Line) now(gate *chan struct{}) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *gate
}

func (l *Line) hold(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return false
	}
	for _, c := range conns {
		l.open[c] = struct{}{}
	}
	return true
}

func (l *Line) release(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		delete(l.open, c)
	}
}
