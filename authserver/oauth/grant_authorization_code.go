package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/revocation"
)

// finishWithin bounds what must not stop half-way when the client hangs up: a
// code that is spent is worth a grant.
const finishWithin = 10 * time.Second

// grantAuthorizationCode redeems a code (RFC 6749 §4.1.3): one command in Redis
// spends it, one statement in Postgres writes the grant. A code that comes
// twice ends what it gave (§4.1.2).
func (p *Provider) grantAuthorizationCode(ctx context.Context, r *http.Request, f form) (*tokenResponse, error) {
	if !f.has("code") {
		return nil, newError(invalidRequest, "The parameter 'code' is missing.")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	w := workFrom(ctx)
	requester, err := p.engine.request(ctx, f)
	if !w.replayed.IsZero() {
		p.auditReplay(r, w)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !w.code.boundTo(w.jkt):
		return nil, newError(invalidGrant, "The code is bound to a key that this request does not prove.")
	case !subset(w.resources, w.code.Resources):
		return nil, newError(invalidTarget, "The code does not reach this resource.")
	case p.overSince(w.code):
		return nil, newError(invalidGrant, "The sign-in that the code came from is over.")
	}
	if w.details, err = p.narrowedDetails(f, w.client, w.code.Details); err != nil {
		return nil, err
	}
	answer, err := p.engine.respond(ctx, requester)
	if err != nil {
		return nil, err
	}
	if err := p.writeGrant(ctx, r, w); err != nil {
		if fault.Is(err, fault.Unavailable) {
			// The sign-in need not be lost with the database: the client may try again.
			err = errors.Join(err, p.codes.restore(ctx, w.codeHash, w.code, w.code.ExpiresAt.Sub(p.Now())))
		}
		return nil, err
	}
	answer.Scope = strings.Join(w.code.Scopes, " ")
	return answer, nil
}

// overSince reports whether the person, the session or the client was shut out
// after the code was made.
func (p *Provider) overSince(code *authorizationCode) bool {
	return p.Revocations.Revoked(revocation.Session, code.SID, code.IssuedAt) ||
		p.Revocations.Revoked(revocation.Subject, code.Subject.String(), code.IssuedAt) ||
		p.Revocations.Revoked(revocation.Client, code.ClientID, code.IssuedAt)
}

// writeGrant makes the grant durable before any token leaves.
func (p *Provider) writeGrant(ctx context.Context, r *http.Request, w *work) error {
	now, code := p.Now(), w.code
	g := &grant{
		ID: code.GrantID, ClientID: code.ClientID, UserID: code.Subject, SID: code.SID, Scopes: code.Scopes, Resources: code.Resources, Details: code.Details,
		Session: code.Login, JKT: w.refreshKey(), X5T: w.refreshCertificate(), Salt: w.salt, AskedAt: code.IssuedAt, CreatedAt: now,
		// Without a refresh token the row only remembers the code.
		IdleExpiresAt: now.Add(p.Config.AccessTokenLifespan), ExpiresAt: now.Add(p.Config.AccessTokenLifespan),
	}
	if w.salt != nil {
		g.IdleExpiresAt, g.ExpiresAt = now.Add(p.Config.RefreshIdle), now.Add(p.Config.RefreshAbsolute)
	}
	if last := oidc.LastUntil(g.Details); !last.IsZero() && last.Before(g.ExpiresAt) {
		g.ExpiresAt = last
	}
	switch err := p.grants.create(ctx, g, w.codeHash, w.client); {
	case err == nil:
		return nil
	case errors.Is(err, errCodeSpent):
		w.replayed = code.GrantID
		p.auditReplay(r, w)
		if err := p.grants.replayed(ctx, code.GrantID); err != nil {
			return err
		}
		return newError(invalidGrant, "The code has been used.").because(err)
	case errors.Is(err, errGrantRefused):
		return newError(invalidGrant, "The account is closed, or its person has signed out or taken the access back since.").because(err)
	default:
		return err
	}
}

func (p *Provider) auditReplay(r *http.Request, w *work) {
	e := p.event(r, "code.replayed", audit.Failure)
	e.Actor = audit.Actor{Kind: "client", ID: w.client.ID}
	e.ClientID, e.Target = w.client.ID, w.replayed.String()
	e.Reason = "an authorization code came a second time; its grant is revoked"
	p.Audit.Put(e)
}

// encodeRefreshToken writes a refresh token out under the newest key.
func (p *Provider) encodeRefreshToken(grantID [16]byte, generation int32, salt []byte) (string, error) {
	keys := p.Keys.MACKeys(refreshPurpose)
	if len(keys) == 0 {
		return "", fault.New(fault.Unavailable, "The service has not read its keys yet. Please try again.")
	}
	return refreshToken{grantID: grantID, generation: generation, salt: [saltSize]byte(salt)}.encode(keys[0]), nil
}

// responseTypes are those of a client: code, if it may redeem one (RFC 7591 §2).
func responseTypes(c *oidc.Client) []string {
	if len(c.Metadata.ResponseTypes) > 0 {
		return c.Metadata.ResponseTypes
	}
	if c.AllowsGrant(oidc.AuthorizationCode) {
		return []string{"code"}
	}
	return nil
}
