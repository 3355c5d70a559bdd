package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"

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
// the person belong to userinfo.
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
	AtHash   string   `json:"at_hash"`
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
	now, w := h.p.Now(), workFrom(ctx)
	login := requester.GetSession().(*session) //nolint:errcheck,forcetypeassert // the only session there is
	alg := w.client.Metadata.IDTokenSignedAlg
	if alg == "" {
		alg = es256
	}
	payload, err := json.Marshal(&idClaims{
		Issuer:   h.p.Config.Issuer,
		Subject:  login.subject.String(),
		Audience: w.client.ID,
		Expires:  now.Add(h.p.Config.IDTokenLifespan).Unix(),
		IssuedAt: now.Unix(),
		AuthTime: login.authTime.Unix(),
		Nonce:    login.nonce,
		ACR:      login.acr,
		AMR:      login.amr,
		SID:      login.sid,
		AtHash:   leftHalf(alg, responder.GetAccessToken()),
	})
	if err != nil {
		return err
	}
	token, err := h.p.Keys.Sign(ctx, alg, idTokenType, payload)
	if err != nil {
		return err
	}
	responder.SetExtra("id_token", token)
	return nil
}

// leftHalf is at_hash (OpenID Connect Core §3.1.3.6): the left half of the hash
// that the signature algorithm uses, which is SHA-512 for Ed25519.
func leftHalf(alg, token string) string {
	if alg == edDSA {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
