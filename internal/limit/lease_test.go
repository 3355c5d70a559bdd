package limit_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/internal/limit"
	"larder/internal/pgtest"
)

func leases(t *testing.T, r redis.Cmdable, now func() time.Time) *limit.Leases {
	t.Helper()
	l, err := limit.NewLeases(r, now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestReplicasTogetherLetInTheQuotaAndNoMore(t *testing.T) {
	t.Parallel()
	r := pgtest.Redis(t)
	// However slow the machine, no lease ends unspent, nothing is refilled and nobody gives Redis up.
	now := time.Now()
	still := func() time.Time { return now }
	replicas := []*limit.Leases{leases(t, r, still), leases(t, r, still)}
	for _, l := range replicas {
		l.AskWithin(time.Minute)
	}
	q := limit.Quota{Limit: 500, Window: 1000 * time.Hour}
	var in atomic.Int32
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for range 100 {
				if replicas[worker%2].Take(t.Context(), "b", q).Wait == 0 {
					in.Add(1)
				}
			}
		})
	}
	wg.Wait()
	// Each holds at most a lease of 10 that it did not spend.
	if got := in.Load(); got > 500 || got < 480 {
		t.Errorf("%d of 1600 were let in, want 480 to 500", got)
	}
	if s := replicas[0].Take(t.Context(), "b", q); s.Wait <= 0 || s.Wait > 2*time.Hour || s.Reset < 997*time.Hour {
		t.Errorf("standing %+v, want a wait of one refill, two hours, and a thousand until all is there", s)
	}
	if s := replicas[0].Take(t.Context(), "another", q); s.Wait != 0 || s.Remaining != 499 {
		t.Errorf("another bucket: %+v", s)
	}
}

func TestWithoutRedisEachProcessKeepsTheQuota(t *testing.T) {
	t.Parallel()
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: 100 * time.Millisecond})
	t.Cleanup(func() { _ = gone.Close() })
	for name, r := range map[string]redis.Cmdable{"none": nil, "away": gone} {
		now := time.Unix(1_800_000_000, 0)
		l := leases(t, r, func() time.Time { return now })
		q := limit.Quota{Limit: 3, Window: time.Minute}
		for want := 2; want >= 0; want-- {
			if s := l.Take(t.Context(), "b", q); s.Wait != 0 || s.Remaining != want {
				t.Errorf("%s: %+v, want %d remaining", name, s, want)
			}
		}
		if s := l.Take(t.Context(), "b", q); s.Wait != 20*time.Second || s.Reset != time.Minute {
			t.Errorf("%s: %+v, want to wait 20 s", name, s)
		}
		now = now.Add(20 * time.Second)
		if s := l.Take(t.Context(), "b", q); s.Wait != 0 {
			t.Errorf("%s: refused after the wait: %+v", name, s)
		}
	}
}

func BenchmarkTakeOfALease(b *testing.B) {
	l, err := limit.NewLeases(pgtest.Redis(b), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	q := limit.Quota{Limit: 1_000_000, Window: time.Second}
	for b.Loop() {
		l.Take(b.Context(), "b", q)
	}
}
