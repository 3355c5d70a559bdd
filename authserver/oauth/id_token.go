package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/ory/fosite"

	"larder/authserver/oidc"
)

// Signing algorithms (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	es256 = "ES256"
	rs256 = "RS256"
	edDSA = "EdDSA"
)

// idClaims are the claims of an ID token (OpenID Connect Core §2). Claims about
// the person belong to userinfo, unless they were asked for here.
type idClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	Expires  int64    `json:"exp"`
	IssuedAt int64    `json:"iat"`
	AuthTime int64    `json:"auth_time"`
	Nonce    string   `json:"nonce,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	SID      string   `json:"sid,omitempty"`
	AtHash   string   `json:"at_hash,omitempty"`
	CHash    string   `json:"c_hash,omitempty"`
}

// idTokenHandler adds an ID token to an answer whose scope has openid. It is in
// the place of fosite's OpenID Connect handler, which would judge prompt,
// max_age and id_token_hint a second time and by other rules than authorize.go.
// It stands last, after the handler that makes the access token.
type idTokenHandler struct{ p *Provider }

var _ fosite.TokenEndpointHandler = (*idTokenHandler)(nil)

func (h *idTokenHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}

func (h *idTokenHandler) CanHandleTokenEndpointRequest(context.Context, fosite.AccessRequester) bool {
	return true
}

// HandleTokenEndpointRequest leaves the judgement to the grant's own handler.
func (h *idTokenHandler) HandleTokenEndpointRequest(context.Context, fosite.AccessRequester) error {
	return fosite.ErrUnknownRequest
}

func (h *idTokenHandler) PopulateTokenEndpointResponse(ctx context.Context, requester fosite.AccessRequester, responder fosite.AccessResponder) error {
	if !requester.GetGrantedScopes().Has(oidc.ScopeOpenID) {
		return nil
	}
	login := requester.GetSession().(*session) //nolint:errcheck,forcetypeassert // the only session there is
	token, err := h.p.idToken(ctx, workFrom(ctx).client, login, issued{accessToken: responder.GetAccessToken()}, login.claims.IDToken)
	if err != nil {
		return err
	}
	responder.SetExtra("id_token", token)
	return nil
}

// issued is what leaves together with an ID token, "" for what does not.
type issued struct{ accessToken, code string }

// idToken makes the ID token of a client for a person who has signed in. names
// are claims about the person that it is to hold: those that the claims
// parameter asked for here.
func (p *Provider) idToken(ctx context.Context, client *oidc.Client, login *session, beside issued, names []string) (string, error) {
	now, how := p.Now(), idTokenProtection(&client.Metadata)
	subject, err := p.subjectFor(client, login.subject)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(&idClaims{
		Issuer:   p.Config.Issuer,
		Subject:  subject,
		Audience: client.ID,
		Expires:  now.Add(p.Config.IDTokenLifespan).Unix(),
		IssuedAt: now.Unix(),
		AuthTime: login.authTime.Unix(),
		Nonce:    login.nonce,
		ACR:      login.acr,
		AMR:      login.amr,
		SID:      login.sid,
		AtHash:   leftHalf(how.signed, beside.accessToken),
		CHash:    leftHalf(how.signed, beside.code),
	})
	if err == nil && len(names) > 0 {
		payload, err = p.addPerson(ctx, payload, login, names)
	}
	if err != nil {
		return "", err
	}
	return p.protect(ctx, client, how, payload)
}

// addPerson puts claims about the person behind those of the sign-in, with
// which they share no name.
func (p *Provider) addPerson(ctx context.Context, payload []byte, login *session, names []string) ([]byte, error) {
	user, err := p.Users.User(ctx, login.subject)
	if err != nil {
		return nil, err
	}
	claims := personClaims(user, names)
	if len(claims) == 0 {
		return payload, nil
	}
	more, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	return slices.Concat(payload[:len(payload)-1], []byte{','}, more[1:]), nil
}

// leftHalf is at_hash or c_hash (OpenID Connect Core §3.1.3.6, §3.3.2.11): the
// left half of the hash that the signature algorithm uses, which is SHA-512 for
// Ed25519. It is "" of nothing.
func leftHalf(alg, token string) string {
	if token == "" {
		return ""
	}
	if alg == edDSA {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
