package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	lookEvery  = 30 * time.Second
	lookWithin = 5 * time.Second
)

// backlog tells in metrics how far behind the crews of all replicas are.
type backlog struct {
	db      *pgxpool.Pool
	query   string
	log     *slog.Logger
	overdue prometheus.Gauge
	failing prometheus.Gauge
}

func newBacklog(db *pgxpool.Pool, schema string, log *slog.Logger, reg prometheus.Registerer) *backlog {
	b := &backlog{
		db: db, log: log,
		query: `SELECT coalesce(extract(epoch FROM now() - min(scheduled_at) FILTER (WHERE state = 'available' AND scheduled_at <= now())), 0)::float8,
       count(*) FILTER (WHERE state = 'retryable')::float8
  FROM ` + pgx.Identifier{schema, "river_job"}.Sanitize() + ` WHERE state IN ('available', 'retryable')`,
		overdue: prometheus.NewGauge(prometheus.GaugeOpts{Name: "jobs_overdue_seconds", Help: "How long the job has been due that waits longest for a worker."}),
		failing: prometheus.NewGauge(prometheus.GaugeOpts{Name: "jobs_failing", Help: "Jobs that failed and will be tried again."}),
	}
	reg.MustRegister(b.overdue, b.failing)
	return b
}

// watch looks again and again until ctx is done.
func (b *backlog) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := b.look(ctx); err != nil && ctx.Err() == nil {
			b.log.LogAttrs(ctx, slog.LevelWarn, "jobs not counted", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (b *backlog) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	var overdue, failing float64
	if err := b.db.QueryRow(ctx, b.query).Scan(&overdue, &failing); err != nil {
		return err
	}
	b.overdue.Set(overdue)
	b.failing.Set(failing)
	return nil
}
