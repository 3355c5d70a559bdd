package bearer

import (
	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/fault"
)

type metrics struct {
	authentications *prometheus.CounterVec
	fetches         *prometheus.CounterVec
}

// newMetrics registers the gate's metrics; age gives the seconds since the
// revocation feed was last read.
func newMetrics(reg prometheus.Registerer, age func() float64) *metrics {
	m := &metrics{
		authentications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bearer_authentications_total",
			Help: "Requests by kind of credential and outcome.",
		}, []string{"credential", "outcome"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bearer_jwks_fetches_total",
			Help: "Fetches of the issuer's keys by cause and outcome.",
		}, []string{"cause", "outcome"}),
	}
	reg.MustRegister(m.authentications, m.fetches, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bearer_revocations_age_seconds",
		Help: "Time since the issuer's revocations were last read; -1 before the first time.",
	}, age))
	return m
}

func (m *metrics) count(credential string, err error) {
	outcome := "ok"
	switch {
	case err == nil:
	case fault.Is(err, fault.Unauthenticated):
		outcome = "refused"
	case fault.Is(err, fault.Unavailable):
		outcome = "unavailable"
	default:
		outcome = "malformed"
	}
	m.authentications.WithLabelValues(credential, outcome).Inc()
}
