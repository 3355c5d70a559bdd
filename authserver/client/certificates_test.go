package client_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/mtls/mtlstest"
)

// RFC 8705 §2.1.2, §2.2, §3.4: what may be registered depends on what the
// operator has set up.
func TestCertificatesMayBeRegisteredWhereTheyCanBeShown(t *testing.T) {
	t.Parallel()
	own := mtlstest.SelfSigned(t, "own")
	bare := &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: own.Cert.PublicKey}}}
	full := &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: own.Cert.PublicKey, Certificates: []*x509.Certificate{own.Cert}}}}
	const all, alone, none = 2, 1, 0
	for name, c := range map[string]struct {
		set    int
		change func(m *oidc.Metadata)
		fault  string // "" for none
	}{
		"by a CA":                 {all, func(m *oidc.Metadata) { m.TokenEndpointAuthMethod, m.TLSSubjectDN = oidc.TLSClientAuth, "CN=a,O=b" }, ""},
		"by a CA, none set up":    {alone, func(m *oidc.Metadata) { m.TokenEndpointAuthMethod, m.TLSSubjectDN = oidc.TLSClientAuth, "CN=a" }, "token_endpoint_auth_method"},
		"by a CA, no name":        {all, func(m *oidc.Metadata) { m.TokenEndpointAuthMethod = oidc.TLSClientAuth }, "exactly one"},
		"by a CA, two names":      {all, func(m *oidc.Metadata) { m.TokenEndpointAuthMethod, m.TLSDNS, m.TLSIP = oidc.TLSClientAuth, "a", "::1" }, "exactly one"},
		"by a CA, no such name":   {all, func(m *oidc.Metadata) { m.TokenEndpointAuthMethod, m.TLSSubjectDN = oidc.TLSClientAuth, "bank" }, "RFC 4514"},
		"a name for a secret":     {all, func(m *oidc.Metadata) { m.TLSDNS = "a" }, "must be tls_client_auth"},
		"self-signed":             {alone, func(m *oidc.Metadata) { m.TokenEndpointAuthMethod, m.JWKS = oidc.SelfSignedTLSClientAuth, full }, ""},
		"self-signed, no x5c":     {all, func(m *oidc.Metadata) { m.TokenEndpointAuthMethod, m.JWKS = oidc.SelfSignedTLSClientAuth, bare }, "x5c"},
		"self-signed, no keys":    {all, func(m *oidc.Metadata) { m.TokenEndpointAuthMethod = oidc.SelfSignedTLSClientAuth }, "x5c"},
		"self-signed, not set up": {none, func(m *oidc.Metadata) { m.TokenEndpointAuthMethod, m.JWKS = oidc.SelfSignedTLSClientAuth, full }, "token_endpoint_auth_method"},
		"bound":                   {alone, func(m *oidc.Metadata) { m.CertificateBound = true }, ""},
		"bound, not set up":       {none, func(m *oidc.Metadata) { m.CertificateBound = true }, "tls_client_certificate_bound_access_tokens"},
		"fapi2": {all, func(m *oidc.Metadata) {
			m.Profile, m.TokenEndpointAuthMethod, m.TLSSubjectDN, m.CertificateBound = oidc.ProfileFAPI2, oidc.TLSClientAuth, "CN=a", true
		}, ""},
		"fapi2, not bound": {all, func(m *oidc.Metadata) {
			m.Profile, m.TokenEndpointAuthMethod, m.TLSSubjectDN = oidc.ProfileFAPI2, oidc.TLSClientAuth, "CN=a"
		}, "dpop_bound_access_tokens"},
	} {
		m := web()
		c.change(&m)
		r := rules()
		r.Certificates, r.CertificateCAs = c.set >= alone, c.set == all
		err := r.Check(&m)
		if c.fault == "" && err != nil || c.fault != "" && !strings.Contains(faults(err), c.fault) {
			t.Errorf("%s: %v %s", name, err, faults(err))
		}
	}
}

// faults is what a refusal says of each member.
func faults(err error) string {
	refusal, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return ""
	}
	var b strings.Builder
	for _, field := range refusal.Fields {
		b.WriteString(field.Pointer + " " + field.Detail + "; ")
	}
	return b.String()
}
