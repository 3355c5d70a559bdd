package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"larder/authserver/oidc"
)

const (
	responseLifespan   = 2 * time.Minute // of a signed authorization response
	signedResponseType = "oauth-authz-resp+jwt"
	// A token about a token has a type of its own, lest it pass for one (RFC 9701
	// §5, §8.1).
	introspectionTokenType = "token-introspection+jwt"
	introspectionMedia     = "application/" + introspectionTokenType
)

// signResponse makes the one parameter of a signed authorization response (JARM
// §2.1): its claims are the parameters, who answers, whom, and until when. JARM
// defines no type; ours keeps it from being read as an ID token. A client
// may have it encrypted, too (§2.2).
func (p *Provider) signResponse(ctx context.Context, client *oidc.Client, parameters url.Values) (string, error) {
	claims := map[string]any{"aud": client.ID, "exp": p.Now().Add(responseLifespan).Unix()}
	for name := range parameters {
		claims[name] = parameters.Get(name)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return p.protect(ctx, client, authorizationProtection(&client.Metadata), payload)
}

// signedIntrospection is the JWT of RFC 9701 §5. The claims of the token in
// question stand apart from its own.
type signedIntrospection struct {
	Issuer   string        `json:"iss"`
	Audience string        `json:"aud"`
	IssuedAt int64         `json:"iat"`
	Token    introspection `json:"token_introspection"`
}

// writeSignedIntrospection answers a client that asked for proof of what it is
// told.
func (p *Provider) writeSignedIntrospection(w http.ResponseWriter, r *http.Request, client *oidc.Client, answer introspection) error {
	payload, err := json.Marshal(&signedIntrospection{
		Issuer: p.Config.Issuer, Audience: client.ID, IssuedAt: p.Now().Unix(), Token: answer,
	})
	if err != nil {
		return err
	}
	token, err := p.protect(r.Context(), client, introspectionProtection(&client.Metadata), payload)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", introspectionMedia)
	_, err = w.Write([]byte(token))
	return err
}

// acceptsSigned reports whether the caller of the introspection endpoint asks
// for a JWT by its media type (RFC 9701 §4). Whoever takes anything gets JSON.
func acceptsSigned(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			media, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(media), introspectionMedia) {
				return true
			}
		}
	}
	return false
}
