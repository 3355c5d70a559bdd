package oauth

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/postgres"
	"larder/internal/revocation"
)

// Logouts has the clients of a session told that it is over, once tx has
// committed, and returns who they are.
type Logouts interface {
	SessionEnded(ctx context.Context, tx pgx.Tx, sid string) (clients []string, err error)
}

// RevokeSession ends what lives only as long as a browser session: its access
// tokens and the grants without offline_access. Sessions call it for whoever
// ends one elsewhere than at the end-session endpoint.
func (p *Provider) RevokeSession(ctx context.Context, sid string) error {
	expires := p.grants.revocationExpiry()
	var at time.Time
	err := postgres.InTx(ctx, p.DB, func(tx pgx.Tx) (err error) {
		at, _, err = p.revokeSession(ctx, tx, sid, "session_ended", expires)
		return err
	})
	if err != nil {
		return err
	}
	p.grants.tell(revocation.Session, sid, at, expires)
	return nil
}

// revokeSession returns the database's time of the revocation, and which
// clients took part in the session.
func (p *Provider) revokeSession(ctx context.Context, tx pgx.Tx, sid, reason string, expires time.Time) (at time.Time, clients []string, err error) {
	if _, err = tx.Exec(ctx, lockSession, sid); err != nil {
		return at, nil, err
	}
	if err = tx.QueryRow(ctx, revokeSession, sid, p.Now(), reason, expires).Scan(&at); err != nil {
		return at, nil, err
	}
	clients, err = p.Logouts.SessionEnded(ctx, tx, sid)
	return at, clients, err
}
