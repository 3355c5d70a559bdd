package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// clientAlgorithms are those that a client may sign with by a key of its own.
func clientAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}
}

// assertionAlgorithms are those of client assertions. HS256 is for
// client_secret_jwt alone, whose secrets are long enough for no more.
func assertionAlgorithms() []jose.SignatureAlgorithm { return append(clientAlgorithms(), jose.HS256) }

// assertionClaims are the claims of RFC 7523 §3.
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
	shown := credentials{method: oidc.PrivateKeyJWT, clientID: claims.Subject, assertion: token}
	if jws.Signatures[0].Protected.Algorithm == string(jose.HS256) {
		shown.method = oidc.ClientSecretJWT
	}
	return shown, nil
}

// checkAssertion verifies a client assertion (RFC 7523 §3, OpenID Connect Core
// §9): signed by the client, by and about it, for us, short-lived, and used
// once.
func (p *Provider) checkAssertion(ctx context.Context, client *oidc.Client, shown credentials) error {
	payload, err := p.verifyAssertion(ctx, client, shown)
	if err != nil {
		return err
	}
	var c assertionClaims
	if err := json.Unmarshal(payload, &c); err != nil {
		return fmt.Errorf("the claims are malformed: %w", err)
	}
	if !p.isAssertionAudience(client, c.Audience, shown.path) {
		return errors.New("aud is not the issuer")
	}
	if c.Issuer != client.ID || c.Subject != client.ID {
		return errors.New("iss and sub are not the client")
	}
	now := p.Now()
	if err := c.checkTimes(now); err != nil {
		return err
	}
	return p.spendJTI(ctx, client.ID, c.JTI, numericDate(c.Expires).Add(clockLeeway).Sub(now))
}

// verifyAssertion returns the claims of an assertion whose signature is good. The
// client's registration, not the token, says by which kind of key.
func (p *Provider) verifyAssertion(ctx context.Context, client *oidc.Client, shown credentials) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(shown.assertion, assertionAlgorithms())
	if err != nil {
		return nil, err
	}
	if err := checkType(jws, "client-authentication+jwt"); err != nil {
		return nil, err
	}
	if alg := client.Metadata.TokenEndpointAuthAlg; alg != "" && alg != jws.Signatures[0].Protected.Algorithm {
		return nil, errors.New("alg is not the one that the client is registered for")
	}
	if shown.method == oidc.PrivateKeyJWT {
		return p.verifyByClient(ctx, client, jws)
	}
	values, err := p.Clients.Secrets(ctx, client)
	if err != nil {
		return nil, err
	}
	for _, value := range values {
		if payload, err := jws.Verify([]byte(value.Reveal())); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no secret of the client made the signature")
}

// isAssertionAudience reports whether an assertion for aud, that came to the
// endpoint at path, is one for us. FAPI 2.0 §5.3.2.1 knows the issuer only, as
// one string. Others may name the token endpoint (OpenID Connect Core §9), the
// one that they call, or the one for pushed requests (RFC 9126 §2), and several
// of these: with a stranger among them one assertion would open two doors
// (CVE-2025-27370).
func (p *Provider) isAssertionAudience(client *oidc.Client, aud json.RawMessage, path string) bool {
	var one string
	var several []string
	if json.Unmarshal(aud, &one) == nil {
		several = []string{one}
	} else if client.FAPI2() || json.Unmarshal(aud, &several) != nil {
		return false
	}
	ours := []string{p.Config.Issuer}
	if !client.FAPI2() {
		ours = append(ours, p.endpoint("/token"), p.endpoint("/par"), p.endpoint(path))
	}
	return len(several) > 0 && !slices.ContainsFunc(several, func(name string) bool { return !slices.Contains(ours, name) })
}

// spendJTI remembers a jti of this maker for as long as its assertion lives; one
// client's cannot block another's.
func (p *Provider) spendJTI(ctx context.Context, maker, jti string, ttl time.Duration) error {
	sum := sha256.Sum256([]byte(clientMark(maker) + jti))
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

// algorithmNames lists algorithms as the metadata does.
func algorithmNames(algorithms []jose.SignatureAlgorithm) []string {
	names := make([]string, 0, len(algorithms))
	for _, alg := range algorithms {
		names = append(names, string(alg))
	}
	return names
}
