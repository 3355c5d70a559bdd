package bearer_test

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"larder/internal/fault"
	"larder/internal/mtls"
	"larder/internal/mtls/mtlstest"
	"larder/internal/pgtest"
	"larder/internal/web"
	"larder/resourceapi/bearer"
	"larder/resourceapi/bearer/bearertest"
)

// RFC 8705 §3, and module happy-flow: "client 1's key with client 2's token".
func TestATokenBoundToACertificateIsForWhoShowsIt(t *testing.T) {
	t.Parallel()
	p := withProofs(t, pgtest.Redis(t), func(c *bearer.Config) { c.Certificates = true })
	own, other := mtlstest.SelfSigned(t, "own"), mtlstest.SelfSigned(t, "other")
	x5t := mtls.Thumbprint([]*x509.Certificate{own.Cert})
	bound := p.issuer.Token(bearertest.Claims{"cnf": map[string]any{"x5t#S256": x5t}})
	both := p.issuer.Token(bearertest.Claims{"cnf": map[string]any{"x5t#S256": x5t, "jkt": p.key.Thumbprint}})
	plain := p.issuer.UserToken("ann", "lists:read")
	more := p.issuer.Token(bearertest.Claims{"cnf": map[string]any{"x5t#S256": x5t, "kid": x5t}})
	nothing := p.issuer.Token(bearertest.Claims{"cnf": map[string]any{}})
	show := func(chain []*mtlstest.Pair, scheme, token, proof string) error {
		r := request(t, token)
		r.Header.Set("Authorization", scheme+" "+token)
		if proof != "" {
			r.Header.Set("DPoP", proof)
		}
		var certs []*x509.Certificate
		for _, pair := range chain {
			certs = append(certs, pair.Cert)
		}
		c, err := p.Authenticate(r.WithContext(mtls.With(r.Context(), certs)))
		if (err == nil) != (c != nil) {
			t.Errorf("%+v and %v", c, err)
		}
		return err
	}
	type chain []*mtlstest.Pair
	for range 2 { // the second time from the cache
		for name, c := range map[string]struct {
			chain         chain
			scheme, token string
			proof         string
			taken         bool
		}{
			"with its certificate":         {chain{own}, "Bearer", bound, "", true},
			"without":                      {nil, "Bearer", bound, "", false},
			"with another":                 {chain{other}, "Bearer", bound, "", false},
			"behind another":               {chain{other, own}, "Bearer", bound, "", false},
			"by the other scheme":          {chain{own}, "DPoP", bound, p.key.Proof(t, p.good(bound)), false},
			"a bearer token":               {chain{other}, "Bearer", plain, "", true},
			"both, with both":              {chain{own}, "DPoP", both, p.key.Proof(t, p.good(both)), true},
			"both, without the proof":      {chain{own}, "Bearer", both, "", false},
			"both, without a certificate":  {nil, "DPoP", both, p.key.Proof(t, p.good(both)), false},
			"bound in a third way as well": {chain{own}, "Bearer", more, "", false},
			"bound to nothing":             {chain{own}, "Bearer", nothing, "", false},
		} {
			err := show(c.chain, c.scheme, c.token, c.proof)
			if c.taken && err != nil || !c.taken && !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	rt := web.NewRouter(p.Problem)
	p.Mount(rt)
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/.well-known/oauth-protected-resource", http.NoBody))
	if !strings.Contains(w.Body.String(), `"tls_client_certificate_bound_access_tokens":true`) {
		t.Errorf("metadata: %s", w.Body)
	}
}
