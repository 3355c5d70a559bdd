package client

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
)

const (
	maxKeys       = 10
	minRSA        = 2048 // bits
	maxRequestURI = 512  // bytes (RFC 9101 §5.2.1, for old browsers)
)

// keys checks where the public keys of a client come from: by value or by
// reference, never both (RFC 7591 §2).
func (c *check) keys() {
	switch {
	case c.m.JWKS != nil && c.m.JWKSURI != "":
		c.fault("jwks_uri", "must not stand beside jwks")
	case c.m.JWKS == nil && c.m.JWKSURI == "":
		if c.m.TokenEndpointAuthMethod == oidc.PrivateKeyJWT {
			c.fault("jwks", "must hold a public key for private_key_jwt, unless jwks_uri says where they are")
		}
		if c.m.RequireRequestObject || c.m.RequestObjectAlg != "" || c.m.BackchannelRequestAlg != "" {
			c.fault("jwks", "must hold a public key for request objects, unless jwks_uri says where they are")
		}
		return
	case c.m.JWKSURI != "":
		c.address("jwks_uri", c.m.JWKSURI)
		return
	}
	if n := len(c.m.JWKS.Keys); n == 0 || n > maxKeys {
		c.fault("jwks/keys", "must be 1 to %d keys", maxKeys)
		return
	}
	for i := range c.m.JWKS.Keys {
		if err := publicKey(&c.m.JWKS.Keys[i]); err != "" {
			c.fault(fmt.Sprintf("jwks/keys/%d", i), "%s", err)
		}
	}
}

func publicKey(key *jose.JSONWebKey) string {
	if !key.Valid() || !key.IsPublic() {
		return "must be a public key; keep the private one to yourself"
	}
	if key.Use != "" && key.Use != "sig" && key.Use != "enc" {
		return "must be for signatures or encryption"
	}
	if rsaKey, ok := key.Key.(*rsa.PublicKey); ok && rsaKey.N.BitLen() < minRSA {
		return fmt.Sprintf("must have at least %d bits", minRSA)
	}
	return ""
}

// algorithms checks what the client signs with, and what it wants signed with.
func (c *check) algorithms() {
	theirs, ours := []string{"ES256", "EdDSA", "PS256", "RS256"}, oidc.SigningAlgs()
	assertion := theirs
	switch c.m.TokenEndpointAuthMethod {
	case oidc.ClientSecretJWT:
		assertion = []string{"HS256"}
	case oidc.PrivateKeyJWT:
	default:
		assertion = slices.Concat(theirs, []string{"HS256"}) // it says nothing then
	}
	for _, member := range []struct {
		name, value string
		known       []string
	}{
		{"token_endpoint_auth_signing_alg", c.m.TokenEndpointAuthAlg, assertion},
		{"request_object_signing_alg", c.m.RequestObjectAlg, theirs},
		{"backchannel_authentication_request_signing_alg", c.m.BackchannelRequestAlg, theirs},
		{"authorization_signed_response_alg", c.m.AuthorizationAlg, ours},
		{"introspection_signed_response_alg", c.m.IntrospectionAlg, ours},
	} {
		switch {
		case member.value == "":
		case !slices.Contains(member.known, member.value):
			c.fault(member.name, "must be one of %s", strings.Join(member.known, ", "))
		case c.m.Profile == oidc.ProfileFAPI2 && member.value == "RS256":
			c.fault(member.name, "must not be RS256 for profile fapi2") // FAPI 2.0 §5.4.1
		}
	}
}

// fetched checks the addresses of request objects. The fragment belongs to the
// name by which one is registered and is no part of what is fetched.
func (c *check) fetched() {
	if len(c.m.RequestURIs) > maxURIs {
		c.fault("request_uris", "must be at most %d", maxURIs)
		return
	}
	for i, uri := range c.m.RequestURIs {
		member := fmt.Sprintf("request_uris/%d", i)
		if len(uri) > maxRequestURI {
			c.fault(member, "must be at most %d bytes", maxRequestURI)
			continue
		}
		address, _, _ := strings.Cut(uri, "#")
		c.address(member, address)
	}
}

// address checks one that we would have to fetch from.
func (c *check) address(member, uri string) {
	if strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		c.fault(member, "must hold printable ASCII only")
		return
	}
	if err := c.rules.reachable(uri); err != nil {
		c.fault(member, "%s", err)
	}
}
