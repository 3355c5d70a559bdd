package sweep

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	every = time.Minute
	batch = 1000 // rows, so that no statement holds locks for long
)

// Task deletes rows of a table whose time is over.
type Task struct {
	Table string
	// Do deletes some of them, and reports whether there are more.
	Do func(ctx context.Context) (rows int64, more bool, err error)
}

// Execer is a pool.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Statement is a task of one statement, which takes how many rows it may delete.
func Statement(db Execer, table, sql string) Task {
	return Task{Table: table, Do: func(ctx context.Context) (int64, bool, error) {
		tag, err := db.Exec(ctx, sql, batch)
		return tag.RowsAffected(), tag.RowsAffected() == batch, err
	}}
}

// Sweeper has tasks done once a minute.
type Sweeper struct {
	tasks []Task
	log   *slog.Logger
	swept *prometheus.CounterVec
	last  *prometheus.GaugeVec
}

// New returns a sweeper; Run has it work.
func New(log *slog.Logger, reg prometheus.Registerer, tasks ...Task) *Sweeper {
	s := &Sweeper{
		tasks: tasks, log: log,
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "larder_swept_rows_total", Help: "Expired rows deleted, by table.",
		}, []string{"table"}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "larder_sweep_last_success_timestamp_seconds", Help: "When a table was last swept, or the process began, by table.",
		}, []string{"table"}),
	}
	reg.MustRegister(s.swept, s.last)
	for _, t := range tasks {
		s.swept.WithLabelValues(t.Table) // what is missing alarms nobody
		s.last.WithLabelValues(t.Table).SetToCurrentTime()
	}
	return s
}

// Run sweeps once a minute until ctx is done.
func (s *Sweeper) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s.Sweep(ctx)
	}
}

// Sweep does every task once, as often as it has more to do.
func (s *Sweeper) Sweep(ctx context.Context) {
	for _, t := range s.tasks {
		for more := true; more && ctx.Err() == nil; {
			var rows int64
			var err error
			rows, more, err = t.Do(ctx)
			s.swept.WithLabelValues(t.Table).Add(float64(rows))
			switch {
			case err == nil:
				s.last.WithLabelValues(t.Table).SetToCurrentTime()
			case ctx.Err() == nil:
				s.log.LogAttrs(ctx, slog.LevelWarn, "sweep failed", slog.String("table", t.Table), slog.String("error", err.Error()))
				more = false
			}
		}
	}
}
