package feed

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"larder/internal/id"
	"larder/resourceapi/bearer"
)

const (
	beatEvery = 15 * time.Second
	lookEvery = 30 * time.Second
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
