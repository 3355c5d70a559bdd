package limit

import (
	"context"
	"crypto/sha256"
	"time"

	"larder/internal/postgres"
)

const (
	tryBucket   = `SELECT auth.limit_try($1, $2, $3, $4)`
	clearBucket = `DELETE FROM auth.limits WHERE bucket = $1`
)

// inPostgres decides one try against the bucket that PostgreSQL holds, by its
// clock, as run does in Redis.
func (l *Limiter) inPostgres(ctx context.Context, cost int, bucket string, rates []Rate) error {
	every, burst := make([]int64, len(rates)), make([]int64, len(rates))
	for i, rate := range rates {
		every[i], burst[i] = rate.Every.Microseconds(), int64(rate.Burst)
	}
	var micros int64
	if err := l.DB.QueryRow(ctx, tryBucket, rowOf(bucket), cost, every, burst).Scan(&micros); err != nil {
		return postgres.Translate(err)
	}
	if micros == 0 {
		return nil
	}
	return Exceeded(time.Duration(micros) * time.Microsecond)
}

func (l *Limiter) clearPostgres(ctx context.Context, bucket string) error {
	_, err := l.DB.Exec(ctx, clearBucket, rowOf(bucket))
	return postgres.Translate(err)
}

// rowOf keeps addresses, which names of buckets have in them, out of the table.
func rowOf(bucket string) []byte {
	sum := sha256.Sum256([]byte(bucket))
	return sum[:]
}
