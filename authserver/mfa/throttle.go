package mfa

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/internal/cache"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/secret"
)

const (
	provenDevices = 20 // devices remembered for a person
	provenFor     = 180 * 24 * time.Hour
)

// Throttle limits guesses at a person's codes. Whoever guesses knows the
// password already, so that neither another device nor another address buys
// more guesses; only a browser that showed the second factor before has a count
// to itself, and is not slowed down by a stranger.
type Throttle struct {
	Redis   *redis.Client
	Limiter *limit.Limiter
	Now     func() time.Time
}

// codeRates let five tries in at once, then one every 30 seconds, from the
// fifteenth one every ten minutes, from the fortieth one an hour. Three codes in
// a million are good at any time, so that a whole day of guessing succeeds once
// in five thousand days.
func codeRates() []limit.Rate {
	return []limit.Rate{{Burst: 5, Every: 30 * time.Second}, {Burst: 15, Every: 10 * time.Minute}, {Burst: 40, Every: time.Hour}}
}

// take counts one try and returns its bucket.
func (t *Throttle) take(ctx context.Context, user id.ID, device string) (bucket string, err error) {
	bucket = "mfa:user:" + user.String()
	proven, err := t.proven(ctx, user, device)
	if err != nil {
		return "", err
	}
	if proven {
		bucket = "mfa:device:" + user.String() + ":" + digest(device)
	}
	return bucket, t.Limiter.Take(ctx, bucket, codeRates()...)
}

// succeeded gives the try back and remembers the device.
func (t *Throttle) succeeded(ctx context.Context, bucket string, user id.ID, device string) error {
	if err := t.Limiter.Refund(ctx, bucket, codeRates()...); err != nil {
		return err
	}
	if device == "" {
		return nil
	}
	k := provenKey(user)
	_, err := t.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, k, redis.Z{Score: float64(t.Now().Unix()), Member: digest(device)})
		p.ZRemRangeByRank(ctx, k, 0, -provenDevices-1)
		p.Expire(ctx, k, provenFor)
		return nil
	})
	return cache.Translate(err)
}

func (t *Throttle) proven(ctx context.Context, user id.ID, device string) (bool, error) {
	if device == "" {
		return false, nil
	}
	last, err := t.Redis.ZScore(ctx, provenKey(user), digest(device)).Result()
	if errors.Is(err, cache.ErrNone) {
		return false, nil
	}
	return t.Now().Sub(time.Unix(int64(last), 0)) < provenFor, cache.Translate(err)
}

func provenKey(user id.ID) string { return "mfa-devices:" + user.String() }

func digest(device string) string { return hex.EncodeToString(secret.Sum(device)[:16]) }
