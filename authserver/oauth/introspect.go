package oauth

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/revocation"
	"larder/internal/risk"
	"larder/internal/web"
)

// apiKeyPrefix begins every API key, so that one is known by sight and by the
// scanners that look for leaked secrets.
const apiKeyPrefix = "lrd_live_"

// introspection is the answer of RFC 7662 §2.2, with the claims of RFC 9068 and
// our own members for API keys behind it. Its zero value says no more than
// "active": false.
type introspection struct {
	Active    bool     `json:"active"`
	TokenType string   `json:"token_type,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Audience  audience `json:"aud,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	JTI       string   `json:"jti,omitempty"`
	GrantID   string   `json:"grant_id,omitempty"`
	SID       string   `json:"sid,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`

	Risk risk.Level `json:"risk,omitempty"` // ours, see accessClaims

	Details      []oidc.AuthorizationDetail `json:"authorization_details,omitempty"` // RFC 9396 §9.2
	Confirmation *confirmation              `json:"cnf,omitempty"`                   // RFC 9449 §6.2, RFC 8705 §3.2

	Actor    *actor `json:"act,omitempty"` // RFC 8693 §4.1
	FamilyID string `json:"family_id,omitempty"`
	Name     string `json:"name,omitempty"`

	APIKeyID      string `json:"api_key_id,omitempty"`
	PersonalKeyID string `json:"personal_key_id,omitempty"`
}

// mountTokens mounts what is done with a token once it is there.
func (p *Provider) mountTokens(rt *web.Router) {
	userinfo := rt.With(writeBearerError)
	userinfo.Handle(http.MethodGet, "/userinfo", allowAnyOrigin(p.offersNonce(p.handleUserinfo)))
	userinfo.Handle(http.MethodPost, "/userinfo", allowAnyOrigin(p.offersNonce(p.handleUserinfo)))
	userinfo.Handle(http.MethodOptions, "/userinfo", preflight("GET, POST"))

	endpoints := rt.With(writeError)
	endpoints.Handle(http.MethodPost, "/introspect", p.handleIntrospect)
	endpoints.Handle(http.MethodPost, "/revoke", allowAnyOrigin(p.handleRevoke))
	endpoints.Handle(http.MethodOptions, "/revoke", preflight("POST"))
	endpoints.Handle(http.MethodGet, "/revocations", p.handleRevocations)
}

// handleIntrospect answers POST /introspect (RFC 7662). A client sees what was
// issued to it; a resource server also what is meant for it, and API keys. To
// everyone else a live token looks like a dead one (§2.2). The answer is signed
// for whoever asks for that (RFC 9701).
func (p *Provider) handleIntrospect(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	client, err := p.authenticateConfidential(r, f)
	if err != nil {
		return err
	}
	token, err := tokenParameter(f)
	if err != nil {
		return err
	}
	answer, err := p.introspect(r.Context(), client, token, network(f.get("client_address")))
	if err != nil {
		return err
	}
	noStore(w.Header())
	w.Header().Set("Vary", "Accept")
	if acceptsSigned(r) {
		return p.writeSignedIntrospection(w, r, client, answer)
	}
	return web.JSON(w, http.StatusOK, answer)
}

// network is the address or network that a resource server says its own caller
// is at (RFC 7662 §2.1 lets it give such context); "" for none.
func network(said string) string {
	if addr, err := netip.ParseAddr(said); err == nil {
		return addr.WithZone("").String()
	}
	if prefix, err := netip.ParsePrefix(said); err == nil {
		return prefix.Masked().String()
	}
	return ""
}

// authenticateConfidential finds the client that calls and refuses one that has
// no credential to show: here anybody could be it.
func (p *Provider) authenticateConfidential(r *http.Request, f form) (*oidc.Client, error) {
	client, err := p.authenticateClient(r.Context(), r, f)
	if err == nil && client.Public() {
		return nil, newError(invalidClient, "This endpoint needs client authentication.")
	}
	return client, err
}

// tokenParameter is the one mandatory parameter of introspection and
// revocation (RFC 7662 §2.1, RFC 7009 §2.1).
func tokenParameter(f form) (string, error) {
	if !f.has("token") {
		return "", newError(invalidRequest, "The parameter 'token' is missing.")
	}
	return f.get("token"), nil
}

// introspect tells the kinds of token apart by their looks; token_type_hint
// (§2.1) would add nothing.
func (p *Provider) introspect(ctx context.Context, client *oidc.Client, token, from string) (introspection, error) {
	var answer introspection
	var err error
	switch {
	case strings.HasPrefix(token, apiKeyPrefix):
		answer, err = p.introspectAPIKey(ctx, client, token, from)
	case strings.Count(token, ".") == 2:
		answer, err = p.introspectAccessToken(ctx, client, token)
	default:
		answer, err = p.introspectRefreshToken(ctx, client, token)
	}
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.NotFound) {
		return introspection{}, nil
	}
	return answer, err
}

func (p *Provider) introspectAccessToken(ctx context.Context, client *oidc.Client, token string) (introspection, error) {
	at, err := p.VerifyAccessToken(ctx, token, "")
	if err != nil {
		return introspection{}, err
	}
	resource := client.Metadata.IntrospectResource
	if at.ClientID != client.ID && (resource == "" || !slices.Contains(at.Audience, resource)) {
		return introspection{}, nil
	}
	subject := at.Subject
	if person, err := id.Parse(subject); err == nil && at.ClientID == client.ID && resource == "" {
		if subject, err = p.accessSubject(client, person, p.apis(at.Audience)); err != nil {
			return introspection{}, err
		}
	}
	answer := introspection{
		Active: true, TokenType: tokenType(at.JKT), Confirmation: confirm(at.JKT, at.X5T), Issuer: p.Config.Issuer, Subject: subject, ClientID: at.ClientID,
		Audience: at.Audience, Scope: strings.Join(at.Scopes, " "), ExpiresAt: at.ExpiresAt.Unix(), IssuedAt: at.IssuedAt.Unix(),
		JTI: at.JTI, GrantID: at.GrantID, SID: at.SID, AuthTime: unix(at.AuthTime), ACR: at.ACR, AMR: at.AMR, Risk: at.Risk, Details: at.Details,
		Actor: actorOf(at.Actors), FamilyID: at.FamilyID,
	}
	answer.APIKeyID, answer.PersonalKeyID = keyNames(at.APIKeyID, at.Personal)
	return answer, nil
}

// apis are the audiences that are not ourselves.
func (p *Provider) apis(aud []string) []string {
	return slices.DeleteFunc(slices.Clone(aud), func(one string) bool { return one == p.Config.Issuer })
}

func (p *Provider) introspectAPIKey(ctx context.Context, client *oidc.Client, token, from string) (introspection, error) {
	resource := client.Metadata.IntrospectResource
	if resource == "" {
		return introspection{}, nil
	}
	key, err := p.APIKeys.Introspect(ctx, token, from)
	if err != nil || p.keyRevoked(key) {
		return introspection{}, err
	}
	answer := introspection{
		Active: true, TokenType: "api_key", Issuer: p.Config.Issuer, Subject: key.Subject().String(), Audience: audience{resource},
		Scope: strings.Join(key.Scopes, " "), ExpiresAt: unix(key.ExpiresAt), IssuedAt: unix(key.CreatedAt),
		JTI: key.ID.String(), FamilyID: key.FamilyID.String(), Name: key.Name,
	}
	answer.APIKeyID, answer.PersonalKeyID = keyNames(key.ID.String(), key.Personal())
	return answer, nil
}

// keyRevoked reports whether a key, or all that its person held, was revoked.
func (p *Provider) keyRevoked(key *oidc.APIKey) bool {
	return p.Revocations.Revoked(revocation.APIKey, key.ID.String(), key.CreatedAt) ||
		p.Revocations.Revoked(revocation.Subject, key.Subject().String(), key.CreatedAt)
}

// keyNames puts the id of a key under the name that tells whose it is: a
// resource server that does not know of personal keys must not take one for a
// service account's, which acts for the whole family.
func keyNames(key string, personal bool) (apiKeyID, personalKeyID string) {
	if personal {
		return "", key
	}
	return key, ""
}

// introspectRefreshToken shows a refresh token to the client that holds it. It
// means nothing to a resource server.
func (p *Provider) introspectRefreshToken(ctx context.Context, client *oidc.Client, token string) (introspection, error) {
	g, active, err := p.grants.find(ctx, token)
	if err != nil || !active || g.ClientID != client.ID {
		return introspection{}, err
	}
	expires := g.IdleExpiresAt
	if g.ExpiresAt.Before(expires) {
		expires = g.ExpiresAt
	}
	subject, err := p.subjectFor(client, g.UserID)
	if err != nil {
		return introspection{}, err
	}
	return introspection{
		Active: true, TokenType: "refresh_token", Confirmation: confirm(g.JKT, g.X5T), Issuer: p.Config.Issuer, Subject: subject, ClientID: g.ClientID,
		Scope: strings.Join(g.Scopes, " "), ExpiresAt: expires.Unix(), GrantID: g.ID.String(), SID: g.SID,
		AuthTime: unix(g.Session.AuthTime), ACR: g.Session.ACR, AMR: g.Session.AMR, Risk: g.Session.Risk, Details: g.Details,
	}, nil
}

// unix gives the NumericDate of t (RFC 7519 §2), 0 for none.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
