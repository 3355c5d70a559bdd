package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/cache"
)

const (
	assertionType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	assertionLifespan = 5 * time.Minute                                          // how far ahead exp may lie
	longestJTI        = 256
)

// assertionAlgorithms are those that a client may sign its assertion with.
func assertionAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}
}

// assertionClaims are the claims of RFC 7523 §3. The audience must be one
// string: a list would let one assertion open two doors (CVE-2025-27370).
type assertionClaims struct {
	Issuer    string          `json:"iss"`
	Subject   string          `json:"sub"`
	Audience  json.RawMessage `json:"aud"`
	JTI       string          `json:"jti"`
	Expires   float64         `json:"exp"`
	NotBefore float64         `json:"nbf"`
	IssuedAt  float64         `json:"iat"`
}

// readAssertion finds the client that an assertion speaks of; whether it is
// genuine is for checkAssertion.
func readAssertion(f form) (credentials, error) {
	if f.get("client_assertion_type") != assertionType {
		return credentials{}, newError(invalidClient, "The client_assertion_type is not supported.")
	}
	token := f.get("client_assertion")
	jws, err := jose.ParseSignedCompact(token, assertionAlgorithms())
	if err != nil {
		return credentials{}, newError(invalidClient, "The client assertion is not a signed token of a kind that is accepted.").because(err)
	}
	var claims assertionClaims
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims); err != nil || claims.Subject == "" || !isText(claims.Subject) {
		return credentials{}, newError(invalidClient, "The client assertion names no client.")
	}
	return credentials{method: oidc.PrivateKeyJWT, clientID: claims.Subject, assertion: token}, nil
}

// checkAssertion verifies a private_key_jwt assertion (RFC 7523 §3, OpenID
// Connect Core §9): signed by a registered key, by and about the client, for
// us, short-lived, and used once.
func (p *Provider) checkAssertion(ctx context.Context, client *oidc.Client, token string) error {
	payload, err := verifyByClient(client, token)
	if err != nil {
		return err
	}
	var c assertionClaims
	if err := json.Unmarshal(payload, &c); err != nil {
		return fmt.Errorf("the claims are malformed: %w", err)
	}
	var aud string
	if err := json.Unmarshal(c.Audience, &aud); err != nil || !p.isAssertionAudience(client, aud) {
		return errors.New("aud is not the issuer")
	}
	if c.Issuer != client.ID || c.Subject != client.ID {
		return errors.New("iss and sub are not the client")
	}
	if c.JTI == "" || len(c.JTI) > longestJTI {
		return errors.New("jti is missing or too long")
	}
	now := p.Now()
	expires := numericDate(c.Expires)
	switch {
	case !now.Before(expires.Add(clockLeeway)):
		return errors.New("exp is missing or over")
	case expires.After(now.Add(assertionLifespan + clockLeeway)):
		return errors.New("exp is too far ahead")
	case c.NotBefore != 0 && numericDate(c.NotBefore).After(now.Add(clockLeeway)):
		return errors.New("nbf is ahead")
	case c.IssuedAt != 0 && numericDate(c.IssuedAt).After(now.Add(clockLeeway)):
		return errors.New("iat is ahead")
	}
	return p.spendJTI(ctx, client.ID, c.JTI, expires.Add(clockLeeway).Sub(now))
}

// isAssertionAudience reports whether an assertion for aud is one for us: the
// issuer or, as OpenID Connect Core §9 has it, the token endpoint. FAPI 2.0
// §5.3.2.1 knows the issuer only.
func (p *Provider) isAssertionAudience(client *oidc.Client, aud string) bool {
	return aud == p.Config.Issuer || aud == p.endpoint("/token") && !client.FAPI2()
}

// verifyByClient returns the payload of a token that one of the client's keys
// signed.
func verifyByClient(client *oidc.Client, token string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, assertionAlgorithms())
	if err != nil {
		return nil, err
	}
	if client.Metadata.JWKS == nil {
		return nil, errors.New("the client has no registered key")
	}
	header := jws.Signatures[0].Protected
	if !allowsAssertionAlg(client, header.Algorithm) {
		return nil, errors.New("alg is not one of the client's profile")
	}
	for _, key := range client.Metadata.JWKS.Keys {
		wrongKey := header.KeyID != "" && key.KeyID != "" && header.KeyID != key.KeyID
		wrongUse := key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != header.Algorithm
		if wrongKey || wrongUse || !key.IsPublic() {
			continue
		}
		if payload, err := jws.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no registered key made the signature")
}

// spendJTI remembers a jti of this client for as long as its assertion lives;
// one client's cannot block another's.
func (p *Provider) spendJTI(ctx context.Context, clientID, jti string, ttl time.Duration) error {
	sum := sha256.Sum256([]byte(clientMark(clientID) + jti))
	key := "oauth:jti:" + base64.RawURLEncoding.EncodeToString(sum[:])
	first, err := p.Redis.SetNX(ctx, key, "", ttl).Result()
	if err != nil {
		return cache.Translate(err)
	}
	if !first {
		return errors.New("the assertion was used before")
	}
	return nil
}

// numericDate reads seconds since the epoch (RFC 7519 §2); what is absent or
// absurd is a time long gone.
func numericDate(seconds float64) time.Time {
	const farFuture = 1 << 40
	if !(seconds > 0 && seconds < farFuture) {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// clientAssertionAlgs names them for the metadata.
func clientAssertionAlgs() []string {
	var names []string
	for _, alg := range assertionAlgorithms() {
		names = append(names, string(alg))
	}
	return names
}
