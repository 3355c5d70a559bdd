package feed

import (
	"bufio"
	"net"
	"testing"
	"time"
)

// TestAStreamOutlivesTheDeadlineOfItsLastWrite: a stream that looks for changes
// and finds none, long after it wrote anything, goes on.
func TestAStreamOutlivesTheDeadlineOfItsLastWrite(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	out := &writer{&connection{Conn: conn}, time.Now}
	defer out.close()
	over := func() {
		if err := conn.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	over()
	if err := out.flush(); err != nil {
		t.Errorf("nothing to flush: %v", err)
	}
	if err := out.event("change", "1", nil); err != nil {
		t.Errorf("an event: %v", err)
	}
	over() // it was held back a while
	if err := out.flush(); err != nil {
		t.Errorf("flushing it: %v", err)
	}
	if line, err := bufio.NewReader(client).ReadString('\n'); line != "event: change\n" {
		t.Errorf("the client got %q, %v", line, err)
	}
}
