package audit

import "github.com/prometheus/client_golang/prometheus"

// Observe shows in metrics how many events of the queue wait, and how many were lost.
func (q *Queue) Observe(reg prometheus.Registerer, name string) {
	labels := prometheus.Labels{"queue": name}
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "audit_events_waiting", Help: "Audit events that are not in the database yet, by queue.", ConstLabels: labels,
		}, func() float64 {
			q.mu.Lock()
			defer q.mu.Unlock()
			return float64(len(q.waiting) + len(q.counted))
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "audit_events_lost_total", Help: "Audit events that were lost because too many different ones waited, by queue.", ConstLabels: labels,
		}, func() float64 {
			q.mu.Lock()
			defer q.mu.Unlock()
			return float64(q.lostEver)
		}),
	)
}
