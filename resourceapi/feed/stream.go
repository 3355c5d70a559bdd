package feed

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"larder/internal/id"
	"larder/resourceapi/bearer"
)

const (
	beatEvery    = 15 * time.Second
	lookEvery    = 30 * time.Second
	writeTimeout = 10 * time.Second
)

// signal is something for a stream to do.
type signal uint32

const (
	changed signal = 1 << iota // there may be something to read
	beat                       // show that the connection lives
	expired
	revoked
	unsure // whether the credential still holds cannot be known
	closing
)

// end returns why the stream is to end, or "".
func (s signal) end() string {
	switch {
	case s&revoked != 0:
		return "revoked"
	case s&expired != 0:
		return "expired"
	case s&unsure != 0:
		return "unavailable"
	case s&closing != 0:
		return "shutdown"
	}
	return ""
}

// stream is one open connection. It sleeps until it is signalled; the Hub has
// the one timer of them all.
type stream struct {
	caller *bearer.Caller
	family id.ID

	wake    chan struct{}
	pending atomic.Uint32
	lookAt  atomic.Int64 // when to read without being told of a change, in Unix nanoseconds

	read   time.Time // last; the stream's own
	beatAt time.Time // the Hub's own
}

func newStream(caller *bearer.Caller, family id.ID) *stream {
	return &stream{caller: caller, family: family, wake: make(chan struct{}, 1)}
}

func (s *stream) signal(due signal) {
	s.pending.Or(uint32(due))
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *stream) take() signal { return signal(s.pending.Swap(0)) }

// lookAgain sets when the caller's standing must be looked at without a
// change: when it ends by itself, and once in a while.
func (s *stream) lookAgain(now, until time.Time) {
	at := now.Add(lookEvery/2 + rand.N(lookEvery/2)) //nolint:gosec // only so that not all look at once
	if !until.IsZero() && until.Before(at) {
		at = until
	}
	s.lookAt.Store(at.UnixNano())
}

// writer writes an event stream (HTML Living Standard §9.2).
type writer struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	now func() time.Time
}

// begin sends the head. The connection's deadlines, which are for requests that
// end, no longer hold.
func begin(w http.ResponseWriter, now func() time.Time) *writer {
	out := &writer{w: w, rc: http.NewResponseController(w), now: now}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that gathers events delivers none
	_ = out.rc.SetReadDeadline(time.Time{})   // without a deadline to set there is none to lift
	w.WriteHeader(http.StatusOK)
	return out
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
	_ = o.rc.SetWriteDeadline(o.now().Add(writeTimeout))
	_, err := o.w.Write(text) //nolint:gosec // an event stream of JSON, with nosniff
	return err
}

func (o *writer) flush() error { return o.rc.Flush() }
