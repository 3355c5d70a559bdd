package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// leaseTime frees the logical database of a killed test; a test takes less.
	leaseTime = 45 * time.Minute
	// fewDatabases is what a Redis has that does not tell: its default.
	fewDatabases = 16
)

// Redis connects to a logical database of the test's own.
func Redis(t testing.TB) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(RedisURL(t))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// RedisURL leases a logical database, empty, until the test ends. Databases of other tests are on the same server: a
// test that stops the server or runs FLUSHALL needs one of its own.
func RedisURL(t testing.TB) string {
	t.Helper()
	server := address(t).RedisURL
	ctx, cancel := context.WithTimeout(t.Context(), setupLimit)
	defer cancel()
	options, err := redis.ParseURL(server)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	options.DB = 0
	desk := redis.NewClient(options)
	t.Cleanup(func() { _ = desk.Close() })

	database, err := lease(ctx, desk)
	if err != nil {
		t.Fatalf("pgtest: lease a Redis database: %v", err)
	}
	if err := flush(ctx, options, database); err != nil {
		t.Fatalf("pgtest: empty Redis database %d: %v", database, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cleanupLimit)
		defer cancel()
		if err := flush(ctx, options, database); err != nil {
			t.Errorf("pgtest: empty Redis database %d: %v", database, err)
		}
		if err := desk.Del(ctx, leaseKey(database)).Err(); err != nil {
			t.Errorf("pgtest: give Redis database %d back: %v", database, err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	u.Path = "/" + strconv.Itoa(database)
	given, err := patient(u.String(), "dial_timeout", "20s", "read_timeout", "1m", "write_timeout", "1m")
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return given
}

// lease takes a logical database that nobody has. Database 0 is the desk where leases are kept.
func lease(ctx context.Context, desk *redis.Client) (int, error) {
	databases := fewDatabases
	if told, err := desk.ConfigGet(ctx, "databases").Result(); err == nil {
		if n, err := strconv.Atoi(told["databases"]); err == nil && n > 1 {
			databases = n
		}
	}
	for {
		next, err := desk.Incr(ctx, "pgtest:next").Result()
		if err != nil {
			return 0, err
		}
		database := 1 + int(next%int64(databases-1))
		_, err = desk.SetArgs(ctx, leaseKey(database), "taken", redis.SetArgs{Mode: "NX", TTL: leaseTime}).Result()
		if err == nil {
			return database, nil
		}
		if !errors.Is(err, redis.Nil) {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("all %d are taken: %w", databases-1, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func leaseKey(database int) string { return fmt.Sprintf("pgtest:lease:%d", database) }

func flush(ctx context.Context, options *redis.Options, database int) error {
	own := *options
	own.DB = database
	client := redis.NewClient(&own)
	defer client.Close()
	return client.FlushDB(ctx).Err()
}
