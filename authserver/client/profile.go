package client

import (
	"slices"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
)

// profile checks what the profile of a client demands of its registration.
func (c *check) profile() {
	switch c.m.Profile {
	case "", oidc.ProfileOIDC:
	case oidc.ProfileFAPI2:
		c.fapi2()
	default:
		c.fault("profile", "must be %s or %s", oidc.ProfileOIDC, oidc.ProfileFAPI2)
	}
}

// fapi2 holds a registration to the FAPI 2.0 Security Profile §5.3.2: keys in
// the place of secrets, tokens that only their sender can use, PKCE, and no
// RS256 (§5.4.1).
func (c *check) fapi2() {
	if !slices.Contains([]string{oidc.PrivateKeyJWT, oidc.TLSClientAuth, oidc.SelfSignedTLSClientAuth}, c.m.TokenEndpointAuthMethod) {
		c.fault("token_endpoint_auth_method", "must be private_key_jwt, tls_client_auth or self_signed_tls_client_auth for profile fapi2")
	}
	if !c.m.DPoPBound && !c.m.CertificateBound {
		c.fault("dpop_bound_access_tokens", "must be true for profile fapi2, or tls_client_certificate_bound_access_tokens")
	}
	if slices.Contains(c.m.GrantTypes, oidc.Implicit) {
		c.fault("grant_types", "must not have implicit for profile fapi2")
	}
	if c.m.RequirePKCE != nil && !*c.m.RequirePKCE {
		c.fault("require_pkce", "must not be false for profile fapi2")
	}
	if c.m.IDTokenSignedAlg == "RS256" {
		c.fault("id_token_signed_response_alg", "must not be RS256 for profile fapi2")
	}
	if c.m.JWKS != nil && slices.ContainsFunc(c.m.JWKS.Keys, func(k jose.JSONWebKey) bool { return k.Algorithm == "RS256" }) {
		c.fault("jwks/keys", "must not be for RS256 in profile fapi2")
	}
}
