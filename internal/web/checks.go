package web

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// ready shows in metrics what /readyz asks: each check is made when it is scraped.
type ready struct {
	checks []Check
	up     *prometheus.Desc
}

// observe registers the checks, once for a registry.
func observe(reg prometheus.Registerer, checks []Check) {
	up := prometheus.NewDesc("ready_check_up", "1 where a check of /readyz passes, by check.", []string{"check"}, nil)
	_ = reg.Register(&ready{checks, up}) // it fails for a second listener, which shows the first one's
}

func (r *ready) Describe(to chan<- *prometheus.Desc) { to <- r.up }

// Collect makes the checks side by side: one that hangs takes no time from the others.
func (r *ready) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	var checking sync.WaitGroup
	for _, c := range r.checks {
		checking.Go(func() {
			up := 1.0
			if c.Ping(ctx) != nil {
				up = 0
			}
			to <- prometheus.MustNewConstMetric(r.up, prometheus.GaugeValue, up, c.Name)
		})
	}
	checking.Wait()
}
