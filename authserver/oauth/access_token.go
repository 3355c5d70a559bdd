package oauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/revocation"
	"larder/internal/risk"
)

const (
	accessTokenType = "at+jwt" // RFC 9068 §2.1
	idTokenType     = "JWT"
	// clockLeeway is how far another replica's clock may be ahead; it is
	// granted to iat and nbf, never to exp.
	clockLeeway = 30 * time.Second
)

// audience is the aud claim: a string where there is one, else an array (RFC
// 7519 §4.1.3).
type audience []string

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

func (a *audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = make(audience, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// accessClaims are the claims of an access token (RFC 9068 §2.2). grant_id is
// ours, named after Grant Management for OAuth 2.0: by it resource servers see
// that a grant was revoked.
type accessClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	Audience audience `json:"aud"`
	Scope    string   `json:"scope,omitempty"`
	Expires  int64    `json:"exp"`
	IssuedAt int64    `json:"iat"`
	JTI      string   `json:"jti"`
	GrantID  string   `json:"grant_id,omitempty"`
	SID      string   `json:"sid,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	// Risk is ours: how unlike its owner the sign-in looked, for policies.
	Risk risk.Level `json:"risk,omitempty"`

	// Userinfo is ours too: what userinfo gives for the token beyond its scopes,
	// as the claims parameter asked for it (OpenID Connect Core §5.5).
	Userinfo []string `json:"userinfo_claims,omitempty"`

	Details      []oidc.AuthorizationDetail `json:"authorization_details,omitempty"` // RFC 9396 §9.1
	Actor        *actor                     `json:"act,omitempty"`                   // RFC 8693 §4.1
	FamilyID     string                     `json:"family_id,omitempty"`             // of an API key that was exchanged
	APIKeyID     string                     `json:"api_key_id,omitempty"`
	PersonalKey  string                     `json:"personal_key_id,omitempty"` // in place of api_key_id, see keyNames
	Confirmation *confirmation              `json:"cnf,omitempty"`
}

// confirmation names the key that a token is bound to (RFC 7800 §3.1).
type confirmation struct {
	JKT string `json:"jkt,omitempty"`      // RFC 9449 §6.1
	X5T string `json:"x5t#S256,omitempty"` // RFC 8705 §3.1
}

// confirm binds to a key, a certificate or both, or to nothing if there is none.
func confirm(jkt, x5t string) *confirmation {
	if jkt == "" && x5t == "" {
		return nil
	}
	return &confirmation{JKT: jkt, X5T: x5t}
}

// tokenType is the type of an access token that is bound to a key, or to none;
// one that is bound to a certificate is shown as Bearer (RFC 8705 §3).
func tokenType(jkt string) string {
	if jkt == "" {
		return "Bearer"
	}
	return "DPoP"
}

// VerifyAccessToken checks an access token of ours: signature and typ, issuer,
// audience, times, and that neither it nor what it stems from was revoked. An
// empty audience accepts any. What fails is fault.Unauthenticated. Of a token
// with a JKT it does not say that the sender holds the key.
func (p *Provider) VerifyAccessToken(ctx context.Context, token, aud string) (*oidc.AccessToken, error) {
	c, err := p.signedClaims(token)
	if err != nil {
		return nil, err
	}
	subject, err := p.realSubject(ctx, c)
	if err != nil {
		return nil, err
	}
	now, issued := p.Now(), time.Unix(c.IssuedAt, 0)
	switch {
	case c.Issuer != p.Config.Issuer:
		return nil, fault.New(fault.Unauthenticated, "The access token has another issuer.")
	case aud != "" && !slices.Contains(c.Audience, aud):
		return nil, fault.New(fault.Unauthenticated, "The access token is for another audience.")
	case !now.Before(time.Unix(c.Expires, 0)):
		return nil, fault.New(fault.Unauthenticated, "The access token has expired.")
	case issued.After(now.Add(clockLeeway)):
		return nil, fault.New(fault.Unauthenticated, "The access token comes from the future.")
	case p.revoked(c, subject, issued):
		return nil, fault.New(fault.Unauthenticated, "The access token was revoked.")
	}
	at := &oidc.AccessToken{
		Subject: subject, ClientID: c.ClientID, Scopes: oidc.SplitScope(c.Scope), Audience: c.Audience,
		JTI: c.JTI, GrantID: c.GrantID, SID: c.SID, IssuedAt: issued, ExpiresAt: time.Unix(c.Expires, 0),
		ACR: c.ACR, AMR: c.AMR, Risk: c.Risk, Details: c.Details, Claims: c.Userinfo,
		Actors: c.Actor.names(), FamilyID: c.FamilyID, APIKeyID: cmp.Or(c.APIKeyID, c.PersonalKey), Personal: c.PersonalKey != "",
	}
	if c.Confirmation != nil {
		at.JKT, at.X5T = c.Confirmation.JKT, c.Confirmation.X5T
	}
	if c.AuthTime != 0 {
		at.AuthTime = time.Unix(c.AuthTime, 0)
	}
	return at, nil
}

// signedClaims reads a token whose signature and typ are right. The claims are
// shared and must not be changed.
func (p *Provider) signedClaims(token string) (*accessClaims, error) {
	keys, name := p.Keys.JWKS(), sha256.Sum256([]byte(token))
	if c := p.verified.find(keys, name); c != nil {
		return c, nil
	}
	payload, _, err := p.Keys.Verify(token, accessTokenType)
	if err != nil {
		return nil, fault.Wrap(fault.Unauthenticated, "The access token is not one of ours.", err)
	}
	c := &accessClaims{}
	if err := json.Unmarshal(payload, c); err != nil {
		return nil, fault.Wrap(fault.Unauthenticated, "The access token is malformed.", err)
	}
	p.verified.remember(keys, name, c)
	return c, nil
}

func (p *Provider) revoked(c *accessClaims, subject string, issued time.Time) bool {
	for _, name := range [...]struct{ kind, value string }{
		{revocation.JTI, c.JTI},
		{revocation.Grant, c.GrantID},
		{revocation.Session, c.SID},
		{revocation.Subject, subject},
		{revocation.Client, c.ClientID},
		{revocation.APIKey, cmp.Or(c.APIKeyID, c.PersonalKey)},
	} {
		if p.Revocations.Revoked(name.kind, name.value, issued) {
			return true
		}
	}
	return false
}
