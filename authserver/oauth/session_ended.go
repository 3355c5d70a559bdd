package oauth

import (
	"context"
	"time"

	"larder/internal/postgres"
	"larder/internal/revocation"
)

// RevokeSession ends what lives only as long as a browser session: its access
// tokens and the grants without offline_access. Sessions call it for whoever
// ends one elsewhere than at the end-session endpoint.
func (p *Provider) RevokeSession(ctx context.Context, sid string) error {
	expires := p.grants.revocationExpiry()
	var at time.Time
	if err := p.DB.QueryRow(ctx, revokeSession, sid, p.Now(), "session_ended", expires).Scan(&at); err != nil {
		return postgres.Translate(err)
	}
	p.grants.tell(revocation.Session, sid, at, expires)
	return nil
}
