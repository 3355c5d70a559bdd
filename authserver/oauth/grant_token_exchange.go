package oauth

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/mtls"
)

// Token types of RFC 8693 §3, and one of ours.
const (
	accessTokenURN = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // a name, not a credential
	apiKeyURN      = "urn:larder:params:oauth:token-type:api_key"    //nolint:gosec // likewise
)

// maxActors bounds how often a token is passed on.
const maxActors = 3

// grantTokenExchange gives a client a token for another one (RFC 8693), never
// for more than that one is good for, nor for longer:
//
//	its own access token    one for less
//	another client's        one in which the client acts for the person, and is
//	                        named as the actor; only where an operator has said
//	                        that it may (may_act of that other client)
//	an API key              a short token that APIs verify offline
//
// A token without an actor for somebody else's (impersonation) is not to be had.
func (p *Provider) grantTokenExchange(ctx context.Context, r *http.Request, f form) (*tokenResponse, error) {
	token := f.get("subject_token")
	switch {
	case token == "" || !f.has("subject_token_type"):
		return nil, newError(invalidRequest, "The parameters 'subject_token' and 'subject_token_type' are mandatory.")
	case f.has("actor_token") || f.has("actor_token_type"):
		return nil, newError(invalidRequest, "The actor is the client that authenticates; there is no actor_token.")
	case f.has("requested_token_type") && f.get("requested_token_type") != accessTokenURN:
		return nil, newError(invalidRequest, "Only access tokens are issued.")
	}
	var c *accessClaims
	var err error
	switch f.get("subject_token_type") {
	case accessTokenURN:
		c, err = p.fromAccessToken(ctx, token)
	case apiKeyURN:
		c, err = p.fromAPIKey(r, token)
	default:
		return nil, newError(invalidRequest, "This subject_token_type is not supported.")
	}
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.NotFound) {
		// RFC 8693 §2.2.2 has invalid_request for a token that is not good.
		return nil, newError(invalidRequest, "The subject_token is not valid.").because(err)
	}
	if err != nil {
		return nil, err
	}
	if err := p.narrow(ctx, f, c); err != nil {
		return nil, err
	}
	answer, err := p.issue(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.Actor != nil {
		p.auditDelegation(r, c)
	}
	answer.IssuedTokenType = accessTokenURN
	return answer, nil
}

// fromAccessToken makes the claims of a token that passes an access token on.
func (p *Provider) fromAccessToken(ctx context.Context, token string) (*accessClaims, error) {
	w := workFrom(ctx)
	at, err := p.VerifyAccessToken(ctx, token, "")
	if err != nil {
		return nil, err
	}
	if at.JKT != "" && at.JKT != w.jkt {
		return nil, newError(invalidRequest, "The subject_token is bound to a key that this request does not prove.")
	}
	if at.X5T != "" {
		if at.X5T != mtls.Thumbprint(mtls.From(ctx)) {
			return nil, newError(invalidRequest, "The subject_token is bound to a certificate that this request does not come with.")
		}
		w.x5t = at.X5T // what is bound stays bound
	}
	actors := at.Actors
	if at.ClientID != w.client.ID {
		if err := p.mayActFor(ctx, at, w.client); err != nil {
			return nil, err
		}
		if actors = slices.Insert(slices.Clone(actors), 0, w.client.ID); len(actors) > maxActors {
			return nil, newError(invalidRequest, "The subject_token has been passed on too often.")
		}
	}
	if at.Subject != at.ClientID && (at.APIKeyID == "" || at.Personal) {
		if err := p.checkPerson(ctx, at.Subject); err != nil {
			return nil, err
		}
	}
	c := &accessClaims{
		Subject: at.Subject, Audience: at.Audience, Scope: strings.Join(at.Scopes, " "), Expires: at.ExpiresAt.Unix(),
		GrantID: at.GrantID, SID: at.SID, AuthTime: unix(at.AuthTime), ACR: at.ACR, AMR: at.AMR, Risk: at.Risk,
		Details: at.Details, Actor: actorOf(actors), FamilyID: at.FamilyID,
	}
	c.APIKeyID, c.PersonalKey = keyNames(at.APIKeyID, at.Personal)
	return c, nil
}

// mayActFor reports whether a client may act with another's token: where that
// other one's registration says so, and for a person only.
func (p *Provider) mayActFor(ctx context.Context, at *oidc.AccessToken, client *oidc.Client) error {
	owner, err := p.Clients.Client(ctx, at.ClientID)
	if err != nil {
		return err
	}
	if !slices.Contains(owner.Metadata.MayAct, client.ID) || at.Subject == at.ClientID || at.APIKeyID != "" {
		return newError(invalidRequest, "The client may not act with this subject_token.")
	}
	return nil
}

// checkPerson refuses a person whose account is closed.
func (p *Provider) checkPerson(ctx context.Context, subject string) error {
	closed := fault.New(fault.Unauthenticated, "The account is closed.")
	user, err := id.Parse(subject)
	if err != nil {
		return closed
	}
	u, err := p.Users.User(ctx, user)
	if fault.Is(err, fault.NotFound) || err == nil && u.Disabled {
		return closed
	}
	return err
}

// fromAPIKey makes the claims of a token that an API key is exchanged for.
func (p *Provider) fromAPIKey(r *http.Request, key string) (*accessClaims, error) {
	if !strings.HasPrefix(key, apiKeyPrefix) || p.APIKeys == nil {
		return nil, fault.New(fault.Unauthenticated, "This is not an API key.")
	}
	k, err := p.APIKeys.Introspect(r.Context(), key, limit.Source(r))
	if err != nil {
		return nil, err
	}
	if p.keyRevoked(k) {
		return nil, fault.New(fault.Unauthenticated, "The key is revoked.")
	}
	c := &accessClaims{
		Subject: k.Subject().String(), Scope: strings.Join(k.Scopes, " "), Expires: unix(k.ExpiresAt), FamilyID: k.FamilyID.String(),
	}
	c.APIKeyID, c.PersonalKey = keyNames(k.ID.String(), k.Personal())
	for _, rs := range p.Config.ResourceServers {
		c.Audience = append(c.Audience, rs.Resource)
	}
	return c, nil
}

// narrow cuts c, which tells what the subject token is good for, down to what
// this request asks for and its client is registered for.
func (p *Provider) narrow(ctx context.Context, f form, c *accessClaims) error {
	w := workFrom(ctx)
	reach := intersection(c.Audience, w.client.Metadata.Resources)
	asked := slices.Clone(w.resources)
	if name := f.get("audience"); name != "" && !slices.Contains(asked, name) {
		asked = append(asked, name) // RFC 8693 §2.1: our APIs have no other name than their resource indicator
	}
	if len(asked) == 0 {
		asked = reach
	}
	if len(asked) == 0 || !subset(asked, reach) {
		return newError(invalidTarget, "The subject_token or the client does not reach this resource.")
	}
	allowed := intersection(apiScopes(oidc.SplitScope(c.Scope)), oidc.SplitScope(w.client.Metadata.Scope))
	allowed = slices.DeleteFunc(allowed, func(s string) bool { return s == oidc.ScopeAdmin })
	scopes := oidc.SplitScope(f.get("scope"))
	if len(scopes) == 0 {
		scopes = allowed
	}
	if len(scopes) == 0 || !subset(scopes, allowed) {
		return newError(invalidScope, "The subject_token or the client does not reach this scope.")
	}
	details, err := p.narrowedDetails(f, w.client, c.Details)
	if err != nil {
		return err
	}
	c.Audience, c.Scope, c.Details = asked, strings.Join(scopes, " "), details
	return nil
}

// issue signs an access token for the client of this request, bound to the key
// that it proves or the certificate that it shows. c.Expires is the latest end; 0 for none but the usual.
func (p *Provider) issue(ctx context.Context, c *accessClaims) (*tokenResponse, error) {
	w := workFrom(ctx)
	expires := w.at.Add(p.Config.AccessTokenLifespan)
	if latest := time.Unix(c.Expires, 0); c.Expires != 0 && latest.Before(expires) {
		expires = latest
	}
	c.ClientID, c.Expires, c.Confirmation = w.client.ID, expires.Unix(), confirm(w.jkt, w.x5t)
	token, err := p.signAccessToken(ctx, w.at, c)
	if err != nil {
		return nil, err
	}
	return &tokenResponse{
		AccessToken: token, TokenType: tokenType(w.jkt), ExpiresIn: c.Expires - w.at.Unix(), Scope: c.Scope, Details: c.Details,
	}, nil
}

func (p *Provider) auditDelegation(r *http.Request, c *accessClaims) {
	e := p.event(r, "token.delegated", audit.Success)
	e.Actor = audit.Actor{Kind: "client", ID: c.ClientID}
	e.ClientID, e.Target = c.ClientID, c.Subject
	e.Details = map[string]any{"scope": c.Scope, "actors": c.Actor.names()}
	p.Audit.Put(e)
}

// actor is who acts with a token for its subject (RFC 8693 §4.1): a client, and
// in it whoever acted before.
type actor struct {
	Subject string `json:"sub"`
	Actor   *actor `json:"act,omitempty"`
}

// actorOf is the claim for clients of which the present one stands first, nil
// for none.
func actorOf(clients []string) *actor {
	if len(clients) == 0 {
		return nil
	}
	return &actor{Subject: clients[0], Actor: actorOf(clients[1:])}
}

func (a *actor) names() []string {
	var names []string
	for ; a != nil; a = a.Actor {
		names = append(names, a.Subject)
	}
	return names
}

func intersection(a, b []string) []string {
	var both []string
	for _, s := range a {
		if slices.Contains(b, s) {
			both = append(both, s)
		}
	}
	return both
}
