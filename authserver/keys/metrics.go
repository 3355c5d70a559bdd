package keys

import "github.com/prometheus/client_golang/prometheus"

// Observe shows in metrics since when the keys sign that sign now: each is
// replaced thirty days later.
func (k *Keys) Observe(reg prometheus.Registerer) {
	for _, alg := range algorithms {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "signing_key_active_since_timestamp_seconds", Help: "When the signing key in use became active, by algorithm; 0 without one.",
			ConstLabels: prometheus.Labels{"alg": alg},
		}, func() float64 {
			if k.Ready() != nil {
				return 0
			}
			if key := k.active(alg); key != nil {
				return float64(key.activateAt.Unix())
			}
			return 0
		}))
	}
}
