package apikey

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"larder/internal/id"
)

const (
	writeEvery  = 5 * time.Second
	writeWithin = 5 * time.Second
	coarseness  = time.Minute // a key's last use is written at most this often
	maxTracked  = 10_000      // keys in use at once whose last use is remembered
)

// use is when a key was used, and from which network.
type use struct {
	at   time.Time
	from string
}

// lastUse remembers which keys were used, until that is written. Its zero
// value is ready for use.
type lastUse struct {
	mu      sync.Mutex
	waiting map[id.ID]use
	written map[id.ID]time.Time
}

// note remembers a use, unless one was written a moment ago. When too many wait
// it forgets, since a last use that is a minute off harms nobody.
func (u *lastUse) note(key id.ID, now use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.at.Sub(u.written[key]) < coarseness || len(u.waiting) >= maxTracked {
		return
	}
	if u.waiting == nil {
		u.waiting = make(map[id.ID]use)
	}
	u.waiting[key] = now
}

// take returns what is to be written at now and considers it written.
func (u *lastUse) take(now time.Time) (keys []id.ID, at []time.Time, from []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, t := range u.written {
		if now.Sub(t) >= coarseness {
			delete(u.written, key)
		}
	}
	if u.written == nil || len(u.written) >= maxTracked {
		u.written = make(map[id.ID]time.Time)
	}
	for key, last := range u.waiting {
		keys, at, from = append(keys, key), append(at, last.at), append(from, last.from)
		u.written[key] = last.at
	}
	u.waiting = nil
	return keys, at, from
}

// Run writes last uses every few seconds until ctx is done, and once more
// after.
func (s *Keys) Run(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.writeLastUse(ctx)
		case <-ctx.Done():
			s.writeLastUse(context.WithoutCancel(ctx))
			return
		}
	}
}

func (s *Keys) writeLastUse(ctx context.Context) {
	keys, at, from := s.used.take(s.Now())
	if len(keys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if _, err := s.DB.Exec(ctx, updateLastUsed, keys, at, from); err != nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "last use of API keys not written",
			slog.Int("keys", len(keys)), slog.String("error", err.Error()))
	}
}
