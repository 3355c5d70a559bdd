package web_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/web"
)

// What hangs is one check's fault, and not that of those behind it.
func TestMetricsSayWhichCheckFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		web.Internal(reg,
			web.Check{Name: "one that hangs", Ping: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			web.Check{Name: "one that fails", Ping: func(context.Context) error { return errors.New("away") }},
			web.Check{Name: "one that answers", Ping: func(ctx context.Context) error { return ctx.Err() }},
		)
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		up := map[string]float64{}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				up[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
		if want := map[string]float64{"one that hangs": 0, "one that fails": 0, "one that answers": 1}; !maps.Equal(up, want) {
			t.Errorf("%v, want %v", up, want)
		}
	})
}
