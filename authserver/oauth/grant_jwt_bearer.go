package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
)

// bearerAlgorithms are those of an assertion that somebody else made: never by a
// shared secret.
func bearerAlgorithms() []jose.SignatureAlgorithm {
	return append(fapi2Algorithms(), jose.RS256)
}

// grantJWTBearer gives a client a token for a person of whom another issuer
// speaks (RFC 7523 §2.1). An operator has registered with the client whom it may
// bring an assertion of, by which keys, and who that issuer's subjects are here;
// nothing in the assertion says more than that. The person has agreed to the
// client before, or it is the operator's own. There is no refresh token.
func (p *Provider) grantJWTBearer(ctx context.Context, r *http.Request, f form) (*tokenResponse, error) {
	w := workFrom(ctx)
	c, err := p.forBearer(f, w)
	if err != nil {
		return nil, err
	}
	if !f.has("assertion") {
		return nil, newError(invalidRequest, "The parameter 'assertion' is missing.")
	}
	claims, person, err := p.readBearerAssertion(ctx, w.client, f.get("assertion"))
	if err == nil {
		err = p.checkPerson(ctx, person.String())
	}
	if err == nil {
		err = p.checkAgreed(ctx, w.client, person, c)
	}
	if err == nil {
		// Last, so that what was refused by a slip may be tried again.
		err = p.spendJTI(ctx, "jwt-bearer "+claims.Issuer, claims.JTI, numericDate(claims.Expires).Add(clockLeeway).Sub(p.Now()))
	}
	if fault.Is(err, fault.Unavailable) {
		return nil, err
	}
	if err != nil {
		return nil, newError(invalidGrant, "The assertion is not accepted.").because(err) // RFC 7521 §4.1.1
	}
	c.Subject = person.String()
	answer, err := p.issue(ctx, c)
	if err != nil {
		return nil, err
	}
	e := p.event(r, "token.by_assertion", audit.Success)
	e.Actor = audit.Actor{Kind: "client", ID: w.client.ID}
	e.ClientID, e.Target = w.client.ID, c.Subject
	e.Details = map[string]any{"issuer": claims.Issuer, "scope": c.Scope}
	p.Audit.Put(e)
	return answer, nil
}

// forBearer is what this request asks for, within the client's registration.
func (p *Provider) forBearer(f form, w *work) (*accessClaims, error) {
	allowed := slices.DeleteFunc(apiScopes(oidc.SplitScope(w.client.Metadata.Scope)), func(s string) bool { return s == oidc.ScopeAdmin })
	scopes := oidc.SplitScope(f.get("scope"))
	if len(scopes) == 0 {
		scopes = allowed
	}
	if len(scopes) == 0 || !subset(scopes, allowed) {
		return nil, newError(invalidScope, "The client may not ask for one of these scopes by an assertion.")
	}
	resources := audienceFor(w.resources, w.client, scopes)
	if len(resources) == 0 {
		return nil, newError(invalidTarget, "The client is registered for no resource.")
	}
	details, err := p.askedDetails(f, w.client)
	return &accessClaims{Audience: resources, Scope: strings.Join(scopes, " "), Details: details}, err
}

// checkAgreed refuses what the person has not agreed to.
func (p *Provider) checkAgreed(ctx context.Context, client *oidc.Client, person id.ID, c *accessClaims) error {
	if client.Metadata.FirstParty {
		return nil
	}
	agreed, err := p.Consents.Covered(ctx, person, client.ID, oidc.SplitScope(c.Scope), c.Audience)
	if err == nil && !agreed {
		return errors.New("the person has not agreed to this")
	}
	return err
}

// readBearerAssertion verifies an assertion of an issuer that the client may
// bring one of (RFC 7523 §3) and tells who its subject is here.
func (p *Provider) readBearerAssertion(ctx context.Context, client *oidc.Client, token string) (*assertionClaims, id.ID, error) {
	jws, err := jose.ParseSignedCompact(token, bearerAlgorithms())
	if err != nil {
		return nil, id.ID{}, err
	}
	if err := checkType(jws, "authorization-grant+jwt"); err != nil {
		return nil, id.ID{}, err
	}
	var claimed assertionClaims
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claimed); err != nil {
		return nil, id.ID{}, err
	}
	i := slices.IndexFunc(client.Metadata.TrustedIssuers, func(t oidc.TrustedIssuer) bool { return t.Issuer == claimed.Issuer && !t.Disabled })
	if i < 0 {
		return nil, id.ID{}, errors.New("the client may bring nothing of this issuer")
	}
	trusted := client.Metadata.TrustedIssuers[i]
	payload, err := p.verifyByKeys(ctx, trusted.JWKS, trusted.JWKSURI, jws)
	if err != nil {
		return nil, id.ID{}, err
	}
	var c assertionClaims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, id.ID{}, err
	}
	if !p.isAssertionAudience(client, c.Audience, "/token") {
		return nil, id.ID{}, errors.New("aud is not the issuer")
	}
	if err := c.checkTimes(p.Now()); err != nil {
		return nil, id.ID{}, err
	}
	person, ok := trusted.Subjects[c.Subject]
	if !ok {
		return nil, id.ID{}, errors.New("sub is nobody here")
	}
	return &c, person, nil
}

// checkTimes refuses an assertion that is over, too long-lived, from the future,
// or without a name by which it is known again.
func (c *assertionClaims) checkTimes(now time.Time) error {
	expires := numericDate(c.Expires)
	switch {
	case c.JTI == "" || len(c.JTI) > longestJTI:
		return errors.New("jti is missing or too long")
	case !now.Before(expires.Add(clockLeeway)):
		return errors.New("exp is missing or over")
	case expires.After(now.Add(assertionLifespan + clockLeeway)):
		return errors.New("exp is too far ahead")
	case c.NotBefore != 0 && numericDate(c.NotBefore).After(now.Add(clockLeeway)):
		return errors.New("nbf is ahead")
	case c.IssuedAt != 0 && numericDate(c.IssuedAt).After(now.Add(clockLeeway)):
		return errors.New("iat is ahead")
	}
	return nil
}
