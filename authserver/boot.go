package main

import (
	"sync"

	"larder/internal/fault"
)

// boot knows how far the start has come. Its zero value has not begun.
type boot struct {
	mu   sync.Mutex
	done bool
	why  error
}

// report notes the outcome of one attempt.
func (b *boot) report(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done, b.why = err == nil, err
}

// pending returns why the server may not answer yet, nil if it may.
func (b *boot) pending() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.done:
		return nil
	case b.why == nil:
		return fault.New(fault.Unavailable, "The service is starting.")
	}
	return b.why
}
