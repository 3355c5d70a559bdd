package oauth

import (
	"context"
	"encoding/json"
	"time"

	"larder/authserver/oidc"
	"larder/internal/id"
)

const (
	logoutTokenType  = "logout+jwt"                                         //nolint:gosec // the name of a type
	logoutTokenEvent = "http://schemas.openid.net/event/backchannel-logout" //nolint:gosec // it is no credential

	// logoutTokenLife is short, as OpenID Connect Back-Channel Logout 1.0 §2.4
	// recommends: who is told again is sent another one.
	logoutTokenLife = 2 * time.Minute
)

// logoutClaims are those of a logout token (§2.4). There is no nonce, so that it
// can never pass for an ID token.
type logoutClaims struct {
	Issuer   string              `json:"iss"`
	Subject  string              `json:"sub"`
	Audience string              `json:"aud"`
	IssuedAt int64               `json:"iat"`
	Expires  int64               `json:"exp"`
	JTI      string              `json:"jti"`
	Events   map[string]struct{} `json:"events"`
	SID      string              `json:"sid"`
}

// LogoutToken makes the token by which a client is told that a session is over.
// It is signed and, where the client has its ID tokens so, encrypted as they
// are (§2.4).
func (p *Provider) LogoutToken(ctx context.Context, client *oidc.Client, person id.ID, sid string) (string, error) {
	subject, err := p.subjectFor(client, person)
	if err != nil {
		return "", err
	}
	now := p.Now()
	payload, err := json.Marshal(&logoutClaims{
		Issuer: p.Config.Issuer, Subject: subject, Audience: client.ID, IssuedAt: now.Unix(), Expires: now.Add(logoutTokenLife).Unix(),
		JTI: id.New().String(), Events: map[string]struct{}{logoutTokenEvent: {}}, SID: sid,
	})
	if err != nil {
		return "", err
	}
	how := idTokenProtection(&client.Metadata)
	how.typ = logoutTokenType
	return p.protect(ctx, client, how, payload)
}
