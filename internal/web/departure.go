package web

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Departure is how a replica leaves: it says so at /readyz, and serves on for
// Delay, until whoever balances the load has heard and sends nobody any more.
type Departure struct {
	Delay time.Duration

	began atomic.Bool
}

var errLeaving = errors.New("the service was told to stop")

// Check fails from the moment that the replica was told to leave.
func (d *Departure) Check() Check {
	return Check{Name: "A replica that is leaving", Ping: func(context.Context) error {
		if d.began.Load() {
			return errLeaving
		}
		return nil
	}}
}

// After returns a context that is done Delay after ctx is, or at once when the
// returned function is called: then the listeners are to close.
func (d *Departure) After(ctx context.Context) (context.Context, context.CancelFunc) {
	closing, stop := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		d.began.Store(true)
		wait := time.NewTimer(d.Delay)
		defer wait.Stop()
		select {
		case <-wait.C:
			stop()
		case <-closing.Done():
		}
	})
	return closing, stop
}
