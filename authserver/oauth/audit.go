package oauth

import (
	"net/http"

	"larder/internal/audit"
	"larder/internal/web"
)

// event begins an audit event about the request r.
func (p *Provider) event(r *http.Request, action string, result audit.Result) audit.Event {
	return audit.Event{
		OccurredAt: p.Now(),
		Action:     action,
		Result:     result,
		SourceIP:   addressOf(r),
		UserAgent:  r.UserAgent(),
		RequestID:  web.RequestID(r.Context()),
	}
}
