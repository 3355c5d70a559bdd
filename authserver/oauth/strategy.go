package oauth

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/ory/fosite"
	fositeoauth2 "github.com/ory/fosite/handler/oauth2"

	"larder/authserver/oidc"
	"larder/internal/id"
	"larder/internal/risk"
)

// session is what fosite carries from the sign-in to the tokens.
type session struct {
	subject     id.ID // zero when the client acts for itself
	sid         string
	grantID     string
	nonce       string
	authTime    time.Time
	acr         string
	amr         []string
	risk        risk.Level
	claims      claimNames // asked for one by one
	codeExpires time.Time
}

// SetExpiresAt is ignored: fosite reckons with its own clock, we with ours.
func (s *session) SetExpiresAt(fosite.TokenType, time.Time) {}

// GetExpiresAt knows the end of a code only.
func (s *session) GetExpiresAt(key fosite.TokenType) time.Time {
	if key == fosite.AuthorizeCode {
		return s.codeExpires
	}
	return time.Time{}
}

func (s *session) GetUsername() string { return "" }
func (s *session) GetSubject() string  { return s.subject.String() }

func (s *session) Clone() fosite.Session {
	c := *s
	return &c
}

// strategy makes the codes and tokens that fosite hands out.
type strategy struct{ p *Provider }

var _ fositeoauth2.CoreStrategy = (*strategy)(nil)

// GenerateAuthorizeCode makes a code; its signature, by which fosite stores and
// finds it, is its hash.
func (s *strategy) GenerateAuthorizeCode(context.Context, fosite.Requester) (token, signature string, err error) {
	code := newCode()
	return code, string(hashCode(code)), nil
}

func (s *strategy) AuthorizeCodeSignature(_ context.Context, code string) string {
	return string(hashCode(code))
}

func (s *strategy) ValidateAuthorizeCode(ctx context.Context, _ fosite.Requester, _ string) error {
	if !s.p.Now().Before(workFrom(ctx).code.ExpiresAt) {
		return fosite.ErrTokenExpired
	}
	return nil
}

// GenerateRefreshToken makes the first token of a new family.
func (s *strategy) GenerateRefreshToken(ctx context.Context, _ fosite.Requester) (token, signature string, err error) {
	w := workFrom(ctx)
	w.salt = newSalt()
	token, err = s.p.encodeRefreshToken(w.code.GrantID, 0, w.salt)
	return token, "in the grant", err
}

func (s *strategy) RefreshTokenSignature(context.Context, string) string { return "" }

func (s *strategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error {
	return errNotUsed
}

// GenerateAccessToken makes a signed access token (RFC 9068) for what was
// granted. Nothing is stored.
func (s *strategy) GenerateAccessToken(ctx context.Context, requester fosite.Requester) (token, signature string, err error) {
	w, login := workFrom(ctx), requester.GetSession().(*session) //nolint:errcheck,forcetypeassert // the only session there is
	c := &accessClaims{
		ClientID: requester.GetClient().GetID(),
		Audience: audience(requester.GetGrantedAudience()),
		Scope:    strings.Join(requester.GetGrantedScopes(), " "),
		Expires:  w.at.Add(s.p.Config.AccessTokenLifespan).Unix(),
		GrantID:  login.grantID,
		SID:      login.sid,
		ACR:      login.acr,
		AMR:      login.amr,
		Risk:     login.risk,

		Details:      w.details,
		Confirmation: confirm(w.jkt, w.x5t),
	}
	if c.Subject = c.ClientID; !login.subject.IsZero() {
		if c.Subject, err = s.p.accessSubject(w.client, login.subject, c.Audience); err != nil {
			return "", "", err
		}
		c.AuthTime = login.authTime.Unix()
		c.Userinfo = beyond(login.claims.Userinfo, requester.GetGrantedScopes())
	}
	if len(c.Audience) == 0 {
		c.Audience = audience{s.p.Config.Issuer}
	}
	token, err = s.p.signAccessToken(ctx, w.at, c)
	return token, "self-contained", err
}

// signAccessToken makes c a token of ours that is issued as of at, with a name of its own.
func (p *Provider) signAccessToken(ctx context.Context, at time.Time, c *accessClaims) (string, error) {
	c.Issuer, c.IssuedAt, c.JTI = p.Config.Issuer, at.Unix(), id.New().String()
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return p.Keys.Sign(ctx, es256, accessTokenType, payload)
}

// askingFor is how long a token lives that we ask an API by.
const askingFor = time.Minute

// SignForPerson makes a token by which we ask an API, in the name of a person
// who is on one of our pages, what we want to show there.
func (p *Provider) SignForPerson(ctx context.Context, person id.ID, resource, scope string) (string, error) {
	now := p.Now()
	return p.signAccessToken(ctx, now, &accessClaims{
		Subject: person.String(), ClientID: p.Config.Issuer, Audience: audience{resource}, Scope: scope, Expires: now.Add(askingFor).Unix(),
	})
}

// SignForItself makes a token by which we ask an API for something in our own
// name. As client and subject are the issuer, no client of anybody's has one
// like it.
func (p *Provider) SignForItself(ctx context.Context, resource, scope string) (string, error) {
	now := p.Now()
	return p.signAccessToken(ctx, now, &accessClaims{
		Subject: p.Config.Issuer, ClientID: p.Config.Issuer, Audience: audience{resource}, Scope: scope, Expires: now.Add(askingFor).Unix(),
	})
}

func (s *strategy) AccessTokenSignature(context.Context, string) string { return "" }

func (s *strategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return errNotUsed
}

// apiScopes are those of scopes that mean something at a resource server, not
// to the client about the person.
func apiScopes(scopes []string) []string {
	var api []string
	for _, s := range scopes {
		switch s {
		case oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeAddress, oidc.ScopePhone, oidc.ScopeOfflineAccess:
		default:
			api = append(api, s)
		}
	}
	return api
}
