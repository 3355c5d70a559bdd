package oauth

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/limit"
	"larder/internal/postgres"
	"larder/internal/revocation"
)

// handleRevoke answers POST /revoke (RFC 7009): the client gives up a token.
// A refresh token takes its whole grant with it, an access token only itself. An
// API key is no client's: whoever holds it may end it, so that one that leaked
// can be put out by whoever finds it.
// A token that is unknown, over or another client's is none of the client's
// business, and the answer is 200 all the same (§2.2); but never before the
// revocation is committed.
func (p *Provider) handleRevoke(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	client, err := p.authenticateClient(r.Context(), r, f)
	if err != nil {
		return err
	}
	token, err := tokenParameter(f)
	if err != nil {
		return err
	}
	if err := p.revoke(r, client, token); err != nil {
		return err
	}
	noStore(w.Header())
	w.WriteHeader(http.StatusOK)
	return nil
}

// revoke tells the kinds of token apart by their looks; a wrong
// token_type_hint (§2.1) therefore changes nothing.
func (p *Provider) revoke(r *http.Request, client *oidc.Client, token string) error {
	var err error
	switch {
	case strings.HasPrefix(token, apiKeyPrefix):
		err = p.revokeAPIKey(r, client, token)
	case strings.Count(token, ".") == 2:
		err = p.revokeAccessToken(r, client, token)
	default:
		err = p.revokeRefreshToken(r, client, token)
	}
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (p *Provider) revokeAPIKey(r *http.Request, client *oidc.Client, token string) error {
	key, err := p.APIKeys.Introspect(r.Context(), token, limit.Source(r))
	if err != nil {
		return err
	}
	return p.APIKeys.Revoke(r.Context(), key.ID, audit.Actor{Kind: "client", ID: client.ID})
}

const revokeByJTI = `
INSERT INTO auth.revocations (kind, value, expires_at) VALUES ('jti', $1, $2)
ON CONFLICT (kind, value) DO UPDATE SET revoked_at = clock_timestamp()
RETURNING revoked_at`

func (p *Provider) revokeAccessToken(r *http.Request, client *oidc.Client, token string) error {
	ctx := r.Context()
	at, err := p.VerifyAccessToken(ctx, token, "")
	if err != nil || at.ClientID != client.ID {
		return err
	}
	event := p.tokenRevoked(r, client, "access_token.revoked", at.JTI)
	return p.revokeAudited(ctx, revocation.JTI, at.JTI, event, func(tx pgx.Tx, expires time.Time) (when time.Time, err error) {
		return when, tx.QueryRow(ctx, revokeByJTI, at.JTI, expires).Scan(&when)
	})
}

// revokeRefreshToken takes any token of the family, be it used up: its holder
// wants all of it gone.
func (p *Provider) revokeRefreshToken(r *http.Request, client *oidc.Client, token string) error {
	ctx := r.Context()
	g, _, err := p.grants.find(ctx, token)
	if err != nil || g.ClientID != client.ID || !g.RevokedAt.IsZero() {
		return err
	}
	event := p.tokenRevoked(r, client, "refresh_token.revoked", g.ID.String())
	return p.revokeAudited(ctx, revocation.Grant, g.ID.String(), event, func(tx pgx.Tx, expires time.Time) (when time.Time, err error) {
		var found bool
		return when, tx.QueryRow(ctx, revokeGrant, g.ID, p.Now(), "client", expires).Scan(&found, &when)
	})
}

// revokeAudited commits a revocation together with the event that tells of it.
// This replica knows at once, the others at their next look. change returns
// the database's own time of the revocation, by which all of them compare.
func (p *Provider) revokeAudited(ctx context.Context, kind, value string, event audit.Event,
	change func(tx pgx.Tx, expires time.Time) (time.Time, error),
) error {
	var when time.Time
	expires := p.grants.revocationExpiry()
	err := postgres.InTx(ctx, p.DB, func(tx pgx.Tx) (err error) {
		if when, err = change(tx, expires); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, event)
	})
	if err != nil {
		return err
	}
	p.grants.tell(kind, value, when, expires)
	return nil
}

func (p *Provider) tokenRevoked(r *http.Request, client *oidc.Client, action, target string) audit.Event {
	event := p.event(r, action, audit.Success)
	event.Actor = audit.Actor{Kind: "client", ID: client.ID}
	event.ClientID, event.Target = client.ID, target
	return event
}
