package client

import (
	"slices"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
)

// certificateMethods are the methods of RFC 8705 §2 that may be registered here.
func (r Rules) certificateMethods() []string {
	switch {
	case !r.Certificates:
		return nil
	case !r.CertificateCAs:
		return []string{oidc.SelfSignedTLSClientAuth}
	}
	return []string{oidc.TLSClientAuth, oidc.SelfSignedTLSClientAuth}
}

// certificates checks what has to do with TLS certificates (RFC 8705 §2.1.2,
// §2.2, §3.4).
func (c *check) certificates() {
	if c.m.CertificateBound && !c.rules.Certificates {
		c.fault("tls_client_certificate_bound_access_tokens", "clients cannot show certificates to this server")
	}
	subject := c.m.CertificateSubject()
	if c.m.TokenEndpointAuthMethod == oidc.TLSClientAuth {
		if err := subject.Check(); err != "" {
			c.fault("token_endpoint_auth_method", "%s", err)
		}
	} else if !subject.IsZero() {
		c.fault("token_endpoint_auth_method", "must be tls_client_auth when a name of the certificate is registered")
	}
	if c.m.TokenEndpointAuthMethod == oidc.SelfSignedTLSClientAuth &&
		c.m.JWKSURI == "" && (c.m.JWKS == nil || !slices.ContainsFunc(c.m.JWKS.Keys, hasCertificate)) {
		c.fault("jwks", "must hold a key with its certificate (x5c) for self_signed_tls_client_auth, unless jwks_uri says where it is")
	}
}

func hasCertificate(key jose.JSONWebKey) bool { return len(key.Certificates) > 0 }
