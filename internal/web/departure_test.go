package web_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"larder/internal/web"
)

func TestADepartureTakesItsDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			delay, takes time.Duration
			broken       bool // the service ends by itself
		}{
			"at once": {}, "a little later": {delay: 5 * time.Second, takes: 5 * time.Second}, "cut short": {delay: time.Minute, broken: true},
		} {
			d := &web.Departure{Delay: c.delay}
			told, tell := context.WithCancel(t.Context())
			closing, stop := d.After(told)
			synctest.Wait()
			if closing.Err() != nil || d.Check().Ping(t.Context()) != nil {
				t.Errorf("%s: it left without having been told", name)
			}
			began := time.Now()
			tell()
			if c.broken {
				stop()
			}
			<-closing.Done()
			synctest.Wait()
			if took := time.Since(began); took != c.takes || d.Check().Ping(t.Context()) == nil {
				t.Errorf("%s: it took %s, want %s, and is not ready", name, took, c.takes)
			}
			stop()
		}
	})
}
