package oauth

import (
	"context"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/fault"
)

// PublishedKeys reads the key sets that clients publish at addresses of theirs.
// Renewed fetches one again because no key of it would do, and reports whether
// it did: a stranger must not be able to have us fetch at will.
type PublishedKeys interface {
	Keys(ctx context.Context, address string) ([]jose.JSONWebKey, error)
	Renewed(ctx context.Context, address string) (keys []jose.JSONWebKey, ok bool)
}

var errNoKey = errors.New("no registered key made the signature")

// verifyByClient returns the payload of a token that one of the client's keys
// signed, by an algorithm that its profile allows. A client that publishes its
// keys may have changed them a moment ago: they are fetched anew before a
// signature is refused.
func (p *Provider) verifyByClient(ctx context.Context, client *oidc.Client, jws *jose.JSONWebSignature) ([]byte, error) {
	if !allowsAlg(client, jws.Signatures[0].Protected.Algorithm) {
		return nil, errors.New("alg is not one of the client's profile")
	}
	return p.verifyByKeys(ctx, client.Metadata.JWKS, client.Metadata.JWKSURI, jws)
}

// verifyByKeys returns the payload of a token that one of some registered keys
// signed, or of those that are published at an address.
func (p *Provider) verifyByKeys(ctx context.Context, registered *jose.JSONWebKeySet, address string, jws *jose.JSONWebSignature) ([]byte, error) {
	switch {
	case registered != nil:
		return verifyByOne(registered.Keys, jws)
	case address == "":
		return nil, errors.New("there is no registered key")
	}
	keys, err := p.PublishedKeys.Keys(ctx, address)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "The keys cannot be read at the jwks_uri.", err)
	}
	if payload, err := verifyByOne(keys, jws); err == nil {
		return payload, nil
	}
	if keys, ok := p.PublishedKeys.Renewed(ctx, address); ok {
		return verifyByOne(keys, jws)
	}
	return nil, errNoKey
}

// verifyByOne finds the key that made a signature. Its use and its algorithm are
// what the key says, never the token.
func verifyByOne(keys []jose.JSONWebKey, jws *jose.JSONWebSignature) ([]byte, error) {
	header := jws.Signatures[0].Protected
	for _, key := range keys {
		wrongKey := header.KeyID != "" && key.KeyID != "" && header.KeyID != key.KeyID
		wrongUse := key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != header.Algorithm
		if wrongKey || wrongUse || !key.IsPublic() {
			continue
		}
		if payload, err := jws.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, errNoKey
}

// fapi2Algorithms are those of FAPI 2.0 §5.4.1.
func fapi2Algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256}
}

// allowsAlg reports whether the client may sign so.
func allowsAlg(client *oidc.Client, alg string) bool {
	return !client.FAPI2() || slices.Contains(fapi2Algorithms(), jose.SignatureAlgorithm(alg))
}
