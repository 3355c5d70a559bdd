package feed

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const writeTimeout = 10 * time.Second

// writer writes an event stream (HTML Living Standard §9.2).
type writer struct {
	outlet
	now func() time.Time
}

// outlet is where a stream goes. What is written goes out with Flush at the
// latest.
type outlet interface {
	io.Writer
	Flush() error
	SetWriteDeadline(at time.Time) error
}

// answer is the outlet of a stream that lives in its request.
type answer struct {
	http.ResponseWriter
	*http.ResponseController
}

// connection is the outlet of one that has left its request behind.
type connection struct {
	net.Conn

	held []byte // at most a page of events
}

func (c *connection) Write(text []byte) (int, error) {
	c.held = append(c.held, text...)
	return len(text), nil
}

// Flush keeps no buffer while there is nothing to say. Nothing is not written:
// that would fail as soon as the deadline of what was written last is over.
func (c *connection) Flush() error {
	if len(c.held) == 0 {
		return nil
	}
	text := c.held
	c.held = nil
	_, err := c.Conn.Write(text)
	return err
}

func head(h http.Header) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy that gathers events delivers none
}

// begin sends the head. The connection's deadlines, which are for requests that
// end, no longer hold.
func begin(w http.ResponseWriter, now func() time.Time) *writer {
	rc := http.NewResponseController(w)
	head(w.Header())
	_ = rc.SetReadDeadline(time.Time{}) // without a deadline to set there is none to lift
	w.WriteHeader(http.StatusOK)
	return &writer{answer{w, rc}, now}
}

// take takes the connection away from the server and writes the head, so that a
// stream that sleeps holds neither the buffers of its request nor the stack that
// has handled it: together they are most of what it would cost. Where requests
// share a connection (HTTP/2) it returns nil.
func take(w http.ResponseWriter, r *http.Request, now func() time.Time) *writer {
	if r.ProtoMajor != 1 {
		return nil
	}
	header := w.Header().Clone()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	head(header)
	header.Set("Date", now().UTC().Format(http.TimeFormat))
	header.Set("Connection", "close") // whose end is the end of the body (RFC 9112 §6.3)
	out := &connection{Conn: conn}
	_, _ = fmt.Fprintf(out, "HTTP/1.1 %d %s\r\n", http.StatusOK, http.StatusText(http.StatusOK)) // held, not sent
	_ = header.Write(out)
	_, _ = out.Write([]byte("\r\n"))
	return &writer{out, now}
}

// await returns when the client of a connection that was taken has hung up, or
// the connection was closed. What a client says after its request is dropped.
func (o *writer) await() {
	if c, ok := o.outlet.(*connection); ok {
		var dropped [64]byte
		for err := error(nil); err == nil; {
			_, err = c.Read(dropped[:])
		}
	}
}

// close closes a connection that was taken.
func (o *writer) close() {
	if c, ok := o.outlet.(*connection); ok {
		_ = c.Close() // nobody is left to tell
	}
}

// event writes an event; it goes out with flush at the latest.
func (o *writer) event(name, cursor string, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	text := make([]byte, 0, len(name)+len(cursor)+len(body)+32)
	text = append(text, "event: "...)
	text = append(text, name...)
	if cursor != "" {
		text = append(text, "\nid: "...)
		text = append(text, cursor...)
	}
	text = append(text, "\ndata: "...)
	text = append(text, body...)
	text = append(text, "\n\n"...)
	return o.write(text)
}

// beat writes a comment, which clients skip.
func (o *writer) beat() error {
	if err := o.write([]byte(":\n\n")); err != nil {
		return err
	}
	return o.flush()
}

func (o *writer) write(text []byte) error {
	o.hurry()
	_, err := o.Write(text)
	return err
}

func (o *writer) flush() error {
	o.hurry()
	return o.Flush()
}

// hurry gives the client as long as it has to take what comes.
func (o *writer) hurry() { _ = o.SetWriteDeadline(o.now().Add(writeTimeout)) }
