package cache

import (
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/internal/fault"
	"larder/internal/secret"
)

// ErrNone is the answer for a key that is not there.
var ErrNone = redis.Nil

// Open returns a client for the Redis server in url. It does not wait for it,
// and for answers two seconds unless url says otherwise.
func Open(url secret.String) (*redis.Client, error) {
	opts, err := redis.ParseURL(url.Reveal())
	if err != nil {
		return nil, errors.New("the Redis URL cannot be read") // the error may repeat the password
	}
	for _, timeout := range []*time.Duration{&opts.DialTimeout, &opts.ReadTimeout, &opts.WriteTimeout} {
		if *timeout == 0 { // url names none
			*timeout = 2 * time.Second
		}
	}
	opts.PoolSize = 64
	const buffer = 4 << 10 // what we say is short; by default a connection holds 64 KiB, and one for pipelines 256
	opts.ReadBufferSize, opts.WriteBufferSize = buffer, buffer
	opts.PipelineReadBufferSize, opts.PipelineWriteBufferSize = buffer, buffer
	opts.MaxRetries = 1
	opts.DialerRetries = 1 // whoever can do without waits for it otherwise
	opts.ContextTimeoutEnabled = true
	opts.DisableIdentity = true
	return redis.NewClient(opts), nil
}

// Translate classifies an error of Redis: everything but ErrNone and nil means
// that it does not serve now.
func Translate(err error) error {
	if err == nil || errors.Is(err, ErrNone) {
		return err
	}
	return fault.Wrap(fault.Unavailable, "The service cannot reach its data right now. Please try again.", err)
}
