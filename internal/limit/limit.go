package limit

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"larder/internal/cache"
	"larder/internal/fault"
)

// Rate lets Burst tries in at once and one more each Every.
type Rate struct {
	Burst int
	Every time.Duration
}

// Limiter keeps buckets in Redis, and in table auth.limits what must not be
// lost with it.
type Limiter struct {
	Redis redis.Cmdable
	// DB keeps the buckets while Redis is away; nil turns everybody away then.
	DB *pgxpool.Pool
	// Lasting counts each try in both, so that a Redis that forgot what it knew
	// lets nobody in too often. It needs DB, and is for guesses at secrets, which
	// cost more than the row.
	Lasting bool
}

// The costs that the script knows.
const (
	peek   = 0
	take   = 1
	refund = -1
)

// run decides one try against a bucket. For each rate the bucket's hash holds
// the theoretical arrival time (tat) of GCRA in microseconds. It returns how
// many microseconds to wait, 0 when the try is let in.
//
//nolint:gochecknoglobals // a constant, but for its type
var run = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local cost = tonumber(ARGV[1])
local wait, last, fresh = 0, now, {}
for i = 2, #ARGV, 2 do
  local every, burst = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local tat = math.max(tonumber(redis.call('HGET', KEYS[1], i) or 0), now)
  if cost >= 0 then
    wait = math.max(wait, tat + every - every * burst - now)
  end
  local after = math.max(tat + every * cost, now)
  last = math.max(last, after)
  fresh[#fresh + 1] = i
  fresh[#fresh + 1] = string.format('%.0f', after)
end
if wait > 0 then
  return math.ceil(wait)
end
if cost == 0 then
  return 0
end
if last > now then
  redis.call('HSET', KEYS[1], unpack(fresh))
  redis.call('PEXPIRE', KEYS[1], math.ceil((last - now) / 1000))
else
  redis.call('DEL', KEYS[1])
end
return 0
`)

// Peek reports whether Take would let one more in, and counts nothing.
func (l *Limiter) Peek(ctx context.Context, bucket string, rates ...Rate) error {
	return l.run(ctx, peek, bucket, rates)
}

// Take counts one try. Over any of the rates it counts nothing and returns
// fault.RateLimited with the time to wait. The same bucket must always come
// with the same rates.
func (l *Limiter) Take(ctx context.Context, bucket string, rates ...Rate) error {
	return l.run(ctx, take, bucket, rates)
}

// Refund gives back what one Take counted.
func (l *Limiter) Refund(ctx context.Context, bucket string, rates ...Rate) error {
	return l.run(ctx, refund, bucket, rates)
}

// Reset forgets everything counted in a bucket.
func (l *Limiter) Reset(ctx context.Context, bucket string) error {
	err := cache.Translate(l.Redis.Del(ctx, key(bucket)).Err())
	if l.alsoInPostgres(err) {
		return l.clearPostgres(ctx, bucket)
	}
	return err
}

// run asks Redis first, which turns a flood away without a word to PostgreSQL.
// What Redis has counted and PostgreSQL then refuses stays counted: that is how
// a Redis that forgot learns again.
func (l *Limiter) run(ctx context.Context, cost int, bucket string, rates []Rate) error {
	err := l.inRedis(ctx, cost, bucket, rates)
	if l.alsoInPostgres(err) && (cost != peek || err != nil) {
		return l.inPostgres(ctx, cost, bucket, rates)
	}
	return err
}

// alsoInPostgres is asked with what Redis answered.
func (l *Limiter) alsoInPostgres(err error) bool {
	return l.DB != nil && (fault.Is(err, fault.Unavailable) || err == nil && l.Lasting)
}

func (l *Limiter) inRedis(ctx context.Context, cost int, bucket string, rates []Rate) error {
	args := make([]any, 0, 1+2*len(rates))
	args = append(args, cost)
	for _, rate := range rates {
		args = append(args, rate.Every.Microseconds(), rate.Burst)
	}
	micros, err := run.Run(ctx, l.Redis, []string{key(bucket)}, args...).Int64()
	if err != nil {
		return cache.Translate(err)
	}
	if micros == 0 {
		return nil
	}
	return Exceeded(time.Duration(micros) * time.Microsecond)
}

// Exceeded is the error of a try that came too soon, by wait.
func Exceeded(wait time.Duration) *fault.Error {
	err := fault.New(fault.RateLimited, "Too many attempts. Please wait "+inWords(wait)+" and try again.")
	err.RetryAfter = wait
	return err
}

func inWords(wait time.Duration) string {
	switch {
	case wait <= time.Second:
		return "a second"
	case wait < 90*time.Second:
		return fmt.Sprintf("%.0f seconds", math.Ceil(wait.Seconds()))
	case wait < 90*time.Minute:
		return fmt.Sprintf("%.0f minutes", math.Ceil(wait.Minutes()))
	}
	return fmt.Sprintf("%.0f hours", math.Ceil(wait.Hours()))
}

func key(bucket string) string { return "limit:" + bucket }

// IPv6 customers get whole networks, so a single address there is nobody.
const ipv6Network = 64

// Source names where a request comes from, for the key of a bucket: the IPv4
// address of the connection, or the /64 network of its IPv6 address.
func Source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "unknown"
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	network, err := addr.Prefix(ipv6Network)
	if err != nil {
		return "unknown"
	}
	return network.String()
}
