package sweep_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/sweep"
)

// A sweep that never succeeds alarms as one does that stopped: what tells when it
// last did begins with the process.
func TestTheTimeOfTheLastSweepIsThereFromTheStart(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	sweep.New(slog.New(slog.DiscardHandler), reg, sweep.Task{Table: "codes", Do: func(context.Context) (int64, bool, error) { return 0, false, nil }})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "larder_sweep_last_success_timestamp_seconds" && f.GetMetric()[0].GetGauge().GetValue() > 0 {
			return
		}
	}
	t.Errorf("%v", families)
}
