package oauth

import (
	"net"
	"net/http"

	"larder/internal/audit"
	"larder/internal/web"
)

// event begins an audit event about the request r.
func (p *Provider) event(r *http.Request, action string, result audit.Result) audit.Event {
	source, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		source = r.RemoteAddr
	}
	return audit.Event{
		OccurredAt: p.Now(),
		Action:     action,
		Result:     result,
		SourceIP:   source,
		UserAgent:  r.UserAgent(),
		RequestID:  web.RequestID(r.Context()),
	}
}
