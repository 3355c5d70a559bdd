package web

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"larder/internal/fault"
)

const readyTimeout = 2 * time.Second

// Check reports whether one dependency serves.
type Check struct {
	Name string
	Ping func(ctx context.Context) error
}

// Health mounts GET /healthz (this process answers) and GET /readyz (so does
// everything it needs: 503 with Retry-After and the name of what does not).
func Health(rt *Router, checks ...Check) {
	ok := map[string]string{"status": "ok"}
	rt.Handle(http.MethodGet, "/healthz", func(w http.ResponseWriter, r *http.Request) error {
		Routine(r.Context())
		return JSON(w, http.StatusOK, ok)
	})
	rt.Handle(http.MethodGet, "/readyz", func(w http.ResponseWriter, r *http.Request) error {
		Routine(r.Context())
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		for _, c := range checks {
			if err := c.Ping(ctx); err != nil {
				return fault.Wrap(fault.Unavailable, c.Name+" does not answer.", err)
			}
		}
		return JSON(w, http.StatusOK, ok)
	})
}

// Internal returns what the internal listener serves: health and Prometheus
// metrics. It is meant for loopback or a private network, never the public.
func Internal(reg *prometheus.Registry, checks ...Check) http.Handler {
	observe(reg, checks)
	rt := NewRouter(Problem)
	Health(rt, checks...)
	rt.HandlePrefix("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	return rt
}
