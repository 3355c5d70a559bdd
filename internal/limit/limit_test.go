package limit_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/internal/fault"
	"larder/internal/limit"
	"larder/internal/pgtest"
)

func rates() []limit.Rate {
	return []limit.Rate{{Burst: 3, Every: time.Minute}, {Burst: 5, Every: time.Hour}}
}

// keepers are the ways in which buckets are kept.
func keepers(t *testing.T) map[string]*limit.Limiter {
	t.Helper()
	db, gone := pgtest.New(t).Auth, nowhere(t)
	return map[string]*limit.Limiter{
		"Redis":              {Redis: pgtest.Redis(t)},
		"PostgreSQL instead": {Redis: gone, DB: db},
		"both":               {Redis: pgtest.Redis(t), DB: db, Lasting: true},
	}
}

func nowhere(t *testing.T) *redis.Client {
	t.Helper()
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1, DialTimeout: 200 * time.Millisecond})
	t.Cleanup(func() { _ = gone.Close() })
	return gone
}

func TestEveryKeeperDecidesAlike(t *testing.T) {
	for name, l := range keepers(t) {
		t.Run(name, func(t *testing.T) {
			t.Run("burst", func(t *testing.T) { letsTheBurstIn(t, l, name+" burst") })
			t.Run("peek, refund, reset", func(t *testing.T) { peeksRefundsAndResets(t, l, name+" one") })
			t.Run("fifty at once", func(t *testing.T) { letsNoMoreInAtOnce(t, l, name+" crowd") })
		})
	}
}

// A Redis that was emptied lets nobody in whom PostgreSQL has counted, and one
// that comes back counts on.
func TestLastingBucketsOutliveRedis(t *testing.T) {
	rdb, db := pgtest.Redis(t), pgtest.New(t).Auth
	replica := &limit.Limiter{Redis: rdb, DB: db, Lasting: true}
	let := 0
	for range 20 {
		if err := rdb.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if replica.Take(t.Context(), "b", rates()...) == nil {
			let++
		}
	}
	if let != 3 {
		t.Errorf("%d were let in, want 3", let)
	}
	without := &limit.Limiter{Redis: nowhere(t), DB: db, Lasting: true}
	if err := without.Peek(t.Context(), "b", rates()...); !fault.Is(err, fault.RateLimited) {
		t.Errorf("a replica that cannot reach Redis: %v, want RateLimited", err)
	}
}

func letsTheBurstIn(t *testing.T, l *limit.Limiter, b string) {
	t.Helper()
	began := time.Now()
	for i := range 3 {
		if err := l.Take(t.Context(), b, rates()...); err != nil {
			t.Fatalf("try %d: %v", i+1, err)
		}
	}
	err := l.Take(t.Context(), b, rates()...)
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.RateLimited {
		t.Fatalf("the fourth try: %v, want RateLimited", err)
	}
	if took := time.Since(began) + time.Second; e.RetryAfter < time.Minute-took || e.RetryAfter > time.Minute {
		t.Errorf("wait %v, want what is left of a minute after %v", e.RetryAfter, took)
	}
	if err := l.Take(t.Context(), b+" another", rates()...); err != nil {
		t.Errorf("another bucket: %v", err)
	}
}

func TestTheWaitGrows(t *testing.T) {
	l := &limit.Limiter{Redis: pgtest.Redis(t)}
	fast := []limit.Rate{{Burst: 2, Every: 10 * time.Millisecond}, {Burst: 4, Every: time.Hour}}
	let := 0
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if err := l.Take(t.Context(), "b", fast...); err == nil {
			let++
		}
		time.Sleep(12 * time.Millisecond)
		if let == 4 {
			break
		}
	}
	err := l.Take(t.Context(), "b", fast...)
	var e *fault.Error
	if let != 4 || !errors.As(err, &e) || e.RetryAfter < 50*time.Minute {
		t.Fatalf("let in %d, then %v; want 4 and a wait of about an hour", let, err)
	}
}

func TestARefusedTryIsCountedByNoRate(t *testing.T) {
	l := &limit.Limiter{Redis: pgtest.Redis(t)}
	two := []limit.Rate{{Burst: 1, Every: 30 * time.Millisecond}, {Burst: 2, Every: time.Hour}}
	let := 0
	for deadline := time.Now().Add(20 * time.Second); let < 2 && time.Now().Before(deadline); {
		if l.Take(t.Context(), "b", two...) == nil {
			let++
		}
	}
	if let != 2 {
		t.Errorf("%d were let in, want 2: refused tries were counted by the long rate", let)
	}
}

func peeksRefundsAndResets(t *testing.T, l *limit.Limiter, b string) {
	t.Helper()
	one := limit.Rate{Burst: 1, Every: time.Hour}
	for range 3 {
		if err := l.Peek(t.Context(), b, one); err != nil {
			t.Fatalf("peek counted: %v", err)
		}
	}
	if err := l.Take(t.Context(), b, one); err != nil {
		t.Fatal(err)
	}
	if err := l.Peek(t.Context(), b, one); !fault.Is(err, fault.RateLimited) {
		t.Fatalf("peek of a spent bucket: %v", err)
	}
	if err := l.Refund(t.Context(), b, one); err != nil {
		t.Fatal(err)
	}
	if err := l.Take(t.Context(), b, one); err != nil {
		t.Fatalf("after the refund: %v", err)
	}
	if err := l.Reset(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := l.Take(t.Context(), b, one); err != nil {
		t.Fatalf("after the reset: %v", err)
	}
}

func letsNoMoreInAtOnce(t *testing.T, l *limit.Limiter, b string) {
	t.Helper()
	var wg sync.WaitGroup
	var let atomic.Int32
	for range 50 {
		wg.Go(func() {
			if l.Take(t.Context(), b, rates()...) == nil {
				let.Add(1)
			}
		})
	}
	wg.Wait()
	if let.Load() != 3 {
		t.Errorf("%d were let in, want 3", let.Load())
	}
}

func TestWithoutRedisNothingIsLetIn(t *testing.T) {
	gone := nowhere(t)
	l := &limit.Limiter{Redis: gone}
	if err := l.Take(t.Context(), "b", rates()...); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Take: %v, want Unavailable", err)
	}
	if err := l.Peek(t.Context(), "b", rates()...); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Peek: %v, want Unavailable", err)
	}
}

func TestSource(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:4711":                "192.0.2.7",
		"[::ffff:192.0.2.7]:4711":       "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:443":    "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":             "fe80::/64",
		"@":                             "unknown",
		"":                              "unknown",
		"[2001:db8:1:2:ffff::1]:443":    "2001:db8:1:2::/64",
		"not an address, and very long": "unknown",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		if got := limit.Source(r); got != want {
			t.Errorf("Source(%q) = %q, want %q", remote, got, want)
		}
	}
}
