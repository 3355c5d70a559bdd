package limit

import (
	"context"
	"math"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"
)

// Quota lets Limit requests in within each Window, evenly refilled.
type Quota struct {
	Limit  int
	Window time.Duration
}

func (q Quota) every() time.Duration { return q.Window / time.Duration(q.Limit) }

// lease is how many a process takes from Redis at once: 2 % of the quota.
func (q Quota) lease() int { return min(max(q.Limit/50, 1), 100) }

// Standing is what is left of a quota.
type Standing struct {
	Remaining int
	Reset     time.Duration // until all of it is there again
	Wait      time.Duration // more than 0: refused, and how long to wait
}

const (
	maxLeases = 50_000
	leaseFor  = 5 * time.Second
	askWithin = 250 * time.Millisecond
	askAgain  = time.Second // after Redis did not answer
)

// Leases counts requests against quotas for all replicas together without
// asking Redis each time: a process takes a few of them at once and spends them
// by itself, within five seconds. So the replicas together let in the quota at
// most, and too few by what each of them holds and does not spend: 2 % of the
// quota. A refusal is remembered until its wait is over.
//
// While Redis does not answer, or where there is none, each process counts by
// itself: n replicas then let in n times the quota, and not more.
type Leases struct {
	redis  redis.Cmdable // nil for none
	now    func() time.Time
	held   *lru.Cache[string, *lease]
	within time.Duration // Redis answers, or is away

	mu   sync.Mutex
	away time.Time // Redis is not asked until then
}

// lease is what this process holds of one bucket.
type lease struct {
	mu        sync.Mutex
	tokens    int
	remaining int // in Redis, when it was asked
	full      time.Time
	until     time.Time
	blocked   time.Time
	tat       time.Time // of GCRA, while this process counts by itself
}

// NewLeases returns leases from r, which may be nil.
func NewLeases(r redis.Cmdable, now func() time.Time) (*Leases, error) {
	held, err := lru.New[string, *lease](maxLeases)
	return &Leases{redis: r, now: now, held: held, within: askWithin}, err
}

// grant takes up to ARGV[3] tokens from a GCRA bucket of ARGV[2] tokens, one
// more each ARGV[1] microseconds. It returns how many, how many are left, how
// long until the bucket is full and, when there was none, until there is one.
//
//nolint:gochecknoglobals // a constant, but for its type
var grant = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local every, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local there = math.floor((now + every * burst - tat) / every)
if there < 1 then
  return {0, 0, tat - now, math.ceil(tat + every - every * burst - now)}
end
local taken = math.min(there, want)
tat = tat + every * taken
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
return {taken, there - taken, tat - now, 0}
`)

// Take counts one request against the quota of a bucket.
func (l *Leases) Take(ctx context.Context, bucket string, q Quota) Standing {
	held := l.of(bucket)
	held.mu.Lock()
	defer held.mu.Unlock()
	now := l.now()
	if wait := held.blocked.Sub(now); wait > 0 {
		return Standing{Reset: held.full.Sub(now), Wait: wait}
	}
	if held.tokens == 0 || now.After(held.until) {
		if !l.renew(ctx, bucket, q, held, now) {
			return held.alone(q, now)
		}
		if wait := held.blocked.Sub(now); wait > 0 {
			return Standing{Reset: held.full.Sub(now), Wait: wait}
		}
	}
	held.tokens--
	return Standing{Remaining: held.remaining + held.tokens, Reset: max(held.full.Sub(now), 0)}
}

func (l *Leases) of(bucket string) *lease {
	if held, ok := l.held.Get(bucket); ok {
		return held
	}
	fresh := &lease{}
	if held, ok, _ := l.held.PeekOrAdd(bucket, fresh); ok {
		return held
	}
	return fresh
}

// renew asks Redis for more and reports whether it answered.
func (l *Leases) renew(ctx context.Context, bucket string, q Quota, held *lease, now time.Time) bool {
	if l.redis == nil || l.isAway(now) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.within)
	defer cancel()
	got, err := grant.Run(ctx, l.redis, []string{key("quota:" + bucket)}, q.every().Microseconds(), q.Limit, q.lease()).Int64Slice()
	if err != nil || len(got) != 4 {
		l.mu.Lock()
		l.away = now.Add(askAgain)
		l.mu.Unlock()
		return false
	}
	held.tokens, held.remaining = int(got[0]), int(got[1])
	held.full, held.until = now.Add(micros(got[2])), now.Add(leaseFor)
	if held.tokens == 0 {
		held.blocked = now.Add(max(micros(got[3]), time.Millisecond))
	}
	return true
}

func (l *Leases) isAway(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.away)
}

// alone is GCRA in this process.
func (h *lease) alone(q Quota, now time.Time) Standing {
	every := q.every()
	if h.tat.Before(now) {
		h.tat = now
	}
	spare := q.Window - h.tat.Sub(now)
	if spare < every {
		return Standing{Reset: h.tat.Sub(now), Wait: every - spare}
	}
	h.tat = h.tat.Add(every)
	return Standing{Remaining: int(math.Floor(float64(spare-every) / float64(every))), Reset: h.tat.Sub(now)}
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
