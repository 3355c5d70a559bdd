package emulator

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"larder/internal/secret"
)

const (
	tokenLife = time.Hour
	// Apple refuses client secrets that live longer.
	longestSecret = 15777000 * time.Second
)

// token exchanges a code (RFC 6749 §4.1.3).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	hang := p.hang
	p.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
			return
		}
	}
	if err := p.authenticate(r); err != nil {
		respond(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client", "error_description": err.Error()})
		return
	}
	p.mu.Lock()
	g, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	alter := p.alter
	p.mu.Unlock()
	if !ok || p.emulator.now().After(g.expires) || r.PostFormValue("grant_type") != "authorization_code" ||
		r.PostFormValue("redirect_uri") != g.redirect || !verifies(g.challenge, r.PostFormValue("code_verifier")) {
		respond(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	answer := &Answer{Claims: p.claims(g), Sign: p.Sign}
	if alter != nil {
		alter(answer)
	}
	p.answer(w, g, answer)
}

func (p *Provider) answer(w http.ResponseWriter, g grant, answer *Answer) {
	if answer.Status != 0 {
		respond(w, answer.Status, map[string]string{"error": "server_error"})
		return
	}
	body := map[string]any{"access_token": secret.New().Reveal(), "token_type": "Bearer", "expires_in": int(tokenLife.Seconds())}
	if !answer.OmitIDToken {
		idToken, err := answer.Sign(answer.Claims)
		if err != nil {
			respond(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		body["id_token"] = idToken
	}
	if p.Name == "apple" {
		token := secret.New().Reveal()
		p.mu.Lock()
		p.refresh[token] = p.Subject(g.person.email)
		p.mu.Unlock()
		body["refresh_token"] = token
	}
	respond(w, http.StatusOK, body)
}

func (p *Provider) claims(g grant) map[string]any {
	now := p.emulator.now()
	c := map[string]any{
		"iss": p.Issuer, "aud": p.ClientID, "sub": p.Subject(g.person.email), "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "email": address(g.person),
	}
	if g.nonce != "" {
		c["nonce"] = g.nonce
	}
	if p.Name == "apple" {
		maps.Copy(c, map[string]any{"nonce_supported": true, "auth_time": now.Unix(), "email_verified": boolText(g.person.verified)})
		if g.person.relay {
			c["is_private_email"] = "true"
		}
		return c
	}
	maps.Copy(c, map[string]any{"azp": p.ClientID, "email_verified": g.person.verified, "name": g.person.name})
	return c
}

// boolText is how Apple may spell a boolean.
func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func verifies(challenge, verifier string) bool {
	if challenge == "" {
		return verifier == ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:]) == challenge
}

// authenticate checks the client: Google's secret, or the JWT that is Apple's.
func (p *Provider) authenticate(r *http.Request) error {
	id, clientSecret, basic := r.BasicAuth()
	if !basic {
		id, clientSecret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != p.ClientID {
		return errors.New("the client is unknown")
	}
	if p.Name == "google" {
		if !secret.Matches(clientSecret, secret.Sum(p.Secret.Reveal())) {
			return errors.New("the secret is wrong")
		}
		return nil
	}
	if basic {
		return errors.New("the secret belongs into the body")
	}
	token, err := jwt.ParseSigned(clientSecret, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	var claims jwt.Claims
	if err := token.Claims(p.appleKey, &claims); err != nil {
		return err
	}
	now := p.emulator.now()
	switch {
	case len(token.Headers) != 1 || token.Headers[0].KeyID != p.Credentials.KeyID:
		return errors.New("the key is unknown")
	case claims.Expiry == nil || claims.IssuedAt == nil || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > longestSecret:
		return errors.New("the secret lives too long")
	}
	return claims.Validate(jwt.Expected{Issuer: p.Credentials.TeamID, Subject: p.ClientID, AnyAudience: jwt.Audience{"https://appleid.apple.com"}, Time: now})
}

// revoke takes a refresh token back, and with it the person's consent.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	if err := p.authenticate(r); err != nil {
		respond(w, http.StatusBadRequest, map[string]string{"error": "invalid_client", "error_description": err.Error()})
		return
	}
	token := strings.TrimSpace(r.PostFormValue("token"))
	p.mu.Lock()
	defer p.mu.Unlock()
	if subject, ok := p.refresh[token]; ok {
		delete(p.refresh, token)
		delete(p.agreed, subject)
		p.revoked++
	}
	w.WriteHeader(http.StatusOK)
}
