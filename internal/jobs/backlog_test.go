package jobs

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/pgtest"
)

func TestTheBacklogIsTold(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	reg := prometheus.NewRegistry()
	b := newBacklog(db.Auth, "auth", slog.New(slog.DiscardHandler), reg)
	told := func() map[string]float64 {
		t.Helper()
		if err := b.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, f := range families {
			values[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
		return values
	}
	if got := told(); got["jobs_overdue_seconds"] != 0 || got["jobs_failing"] != 0 {
		t.Errorf("of no jobs: %v", got)
	}
	if _, err := db.Owner.Exec(t.Context(), `INSERT INTO auth.river_job (kind, state, max_attempts, scheduled_at, finalized_at, args) VALUES
		('a', 'available', 9, now() - interval '1 hour', NULL, '{}'), ('b', 'available', 9, now() - interval '1 minute', NULL, '{}'),
		('c', 'retryable', 9, now() + interval '1 hour', NULL, '{}'), ('d', 'retryable', 9, now() - interval '1 day', NULL, '{}'),
		('e', 'completed', 9, now() - interval '1 day', now(), '{}')`); err != nil {
		t.Fatal(err)
	}
	if got := told(); got["jobs_overdue_seconds"] < 3600 || got["jobs_overdue_seconds"] > 2*3600 || got["jobs_failing"] != 2 {
		t.Errorf("of four that wait: %v", got)
	}
}
