package bearer

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"larder/internal/revocation"
)

const (
	feedEvery   = time.Second
	feedTimeout = 3 * time.Second
	// feedFresh is how old the feed may be for cached introspections to be
	// used: with the poll and its timeout inside the promised five seconds.
	feedFresh  = 4 * time.Second
	maxFeed    = 8 << 20 // bytes of one answer
	fullPage   = 10_000  // entries; after so many there are more to fetch
	maxEntries = 1 << 20 // a feed that says more is not believed
)

// feed follows the issuer's revocations.
type feed struct {
	issuer  *issuer
	now     func() time.Time
	log     *slog.Logger
	revoked *revocation.Set
	read    atomic.Int64 // when it was last read to its end, in Unix nanoseconds; 0 for never
	flight  singleflight.Group

	mu      sync.Mutex
	since   time.Time // the issuer's word for how far we have read
	nextTry time.Time // for those who wait for the first reading
	failure error
}

// page is one answer of the feed. Its times are the issuer's.
type page struct {
	AsOf    time.Time          `json:"as_of"`
	Entries []revocation.Entry `json:"entries"`
}

// age is for the metrics: seconds since the last reading.
func (f *feed) age() float64 {
	read := f.read.Load()
	if read == 0 {
		return -1
	}
	return f.now().Sub(time.Unix(0, read)).Seconds()
}

// fresh reports whether a revocation would have been seen by now.
func (f *feed) fresh() bool {
	read := f.read.Load()
	return read != 0 && f.now().Sub(time.Unix(0, read)) <= feedFresh
}

// known returns nil once the feed was read for the first time. Before, it
// tries, at most once a second.
func (f *feed) known(ctx context.Context) error {
	if f.read.Load() != 0 {
		return nil
	}
	_, err := shared(ctx, &f.flight, "first", func(ctx context.Context) (any, error) {
		f.mu.Lock()
		waiting, failure := f.now().Before(f.nextTry), f.failure
		f.mu.Unlock()
		if waiting {
			return nil, failure
		}
		return nil, f.poll(ctx)
	})
	return err
}

// run reads the feed each second until ctx is done.
func (f *feed) run(ctx context.Context) {
	tick := time.NewTicker(feedEvery)
	defer tick.Stop()
	failing := false
	for {
		err := f.poll(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			f.log.LogAttrs(ctx, slog.LevelWarn, "revocations not read", slog.String("error", err.Error()))
		}
		if err == nil && failing {
			f.log.LogAttrs(ctx, slog.LevelInfo, "revocations read again")
		}
		failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// poll reads the feed to its end.
func (f *feed) poll(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	started := f.now()
	if f.failure = f.pages(ctx); f.failure != nil {
		f.nextTry = started.Add(feedEvery)
		return f.failure
	}
	f.read.Store(started.UnixNano())
	return nil
}

func (f *feed) pages(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	for range maxEntries / fullPage {
		p, err := f.page(ctx)
		if err != nil {
			return err
		}
		f.revoked.Add(f.now(), p.Entries...)
		advanced := p.AsOf.After(f.since)
		if advanced {
			f.since = p.AsOf
		}
		if len(p.Entries) < fullPage || !advanced {
			return nil
		}
	}
	return errors.New("the revocation feed does not end")
}

func (f *feed) page(ctx context.Context) (page, error) {
	address := f.issuer.url + revocationsPath
	if !f.since.IsZero() {
		address += "?" + url.Values{"since": {f.since.Format(time.RFC3339Nano)}}.Encode()
	}
	var p page
	_, err := f.issuer.get(ctx, address, maxFeed, true, &p)
	return p, err
}
