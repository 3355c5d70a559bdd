package telemetry

import (
	"io"
	"sync"
	"time"
)

const (
	flushEvery = 100 * time.Millisecond
	flushAt    = 32 << 10
	waitAt     = 1 << 20 // a reader of the log that is this far behind slows its writers down
)

// Buffer gathers log lines and writes many with one system call, at most
// 100 ms after they were logged. Close writes the rest; afterwards lines go
// straight through.
type Buffer struct {
	out  io.Writer
	wake chan struct{}
	done chan struct{}

	mu     sync.Mutex
	room   sync.Cond
	lines  []byte
	closed bool
}

// NewBuffer returns a buffer before out and starts writing.
func NewBuffer(out io.Writer) *Buffer {
	b := &Buffer{out: out, wake: make(chan struct{}, 1), done: make(chan struct{})}
	b.room.L = &b.mu
	go b.run()
	return b
}

// Write takes one or more whole lines. It reports no fault of the writer
// behind: a log that cannot be written must not fail a request.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.lines) >= waitAt && !b.closed {
		b.room.Wait()
	}
	if b.closed {
		return b.out.Write(p)
	}
	b.lines = append(b.lines, p...)
	if len(b.lines) >= flushAt {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	return len(p), nil
}

// Close writes what is left and stops buffering.
func (b *Buffer) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	close(b.wake)
	<-b.done
}

func (b *Buffer) run() {
	defer close(b.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var spare []byte
	for open := true; open; {
		select {
		case <-tick.C:
		case _, open = <-b.wake:
		}
		b.mu.Lock()
		lines := b.lines
		b.lines = spare[:0]
		b.room.Broadcast()
		b.mu.Unlock()
		if len(lines) > 0 {
			_, _ = b.out.Write(lines)
		}
		spare = lines
	}
}
