package oauth

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
	"larder/internal/mtls"
	"larder/internal/mtls/mtlstest"
	"larder/internal/tlsfile"
	"larder/internal/web"
)

// certified is a harness with a second listener, which asks for certificates.
type certified struct {
	*harness
	ca  *mtlstest.Pair // of servers and clients alike
	url string
}

func newCertified(t testing.TB) *certified {
	t.Helper()
	c := &certified{ca: mtlstest.NewCA(t)}
	var handler http.Handler
	listener := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	listener.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{c.ca.Server(t, nil).TLS()}, ClientAuth: tls.RequestClientCert}
	listener.StartTLS()
	t.Cleanup(listener.Close)
	c.url = listener.URL
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, c.ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	authorities, err := tlsfile.OpenAuthorities(bundle, "", time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c.harness = newHarness(t, func(d *Dependencies) { d.Config.MTLSURL, d.ClientCAs = c.url, authorities })
	rt := web.NewRouter(web.Problem)
	c.p.MountAliases(rt)
	handler = mtls.Handler(rt, nil)
	return c
}

// send posts a form to an alias, with a certificate unless that is nil.
func (c *certified) send(own *mtlstest.Pair, path string, form url.Values, change ...func(r *http.Request)) answer {
	c.t.Helper()
	r := c.request(http.MethodPost, c.url+path, form)
	for _, f := range change {
		f(r)
	}
	return c.do(mtlstest.Client(c.t, c.ca, own), r)
}

// proof adds a DPoP proof for the request.
func (c *certified) proof(key *dpoptest.Key) func(r *http.Request) {
	return func(r *http.Request) {
		r.Header.Set(dpop.Header, key.Proof(c.t, dpoptest.Request{Method: r.Method, URL: r.URL.String(), At: c.clock.Now()}))
	}
}

// issue makes a certificate for a name.
func (c *certified) issue(name string) *mtlstest.Pair {
	c.t.Helper()
	return c.ca.Issue(c.t, x509.Certificate{Subject: pkix.Name{CommonName: name}})
}

// addBank registers a client of the fapi2 profile that authenticates by a
// certificate and has its tokens bound to it.
func (c *certified) addBank(clientID string, change func(m *oidc.Metadata)) {
	c.t.Helper()
	m := oidc.Metadata{
		GrantTypes:   []string{oidc.AuthorizationCode, oidc.RefreshToken, oidc.ClientCredentials},
		RedirectURIs: []string{webRedirect}, Scope: "openid lists:read", Resources: []string{testAPI}, FirstParty: true,
		TokenEndpointAuthMethod: oidc.TLSClientAuth, TLSSubjectDN: "CN=" + clientID, Profile: oidc.ProfileFAPI2, CertificateBound: true,
	}
	if change != nil {
		change(&m)
	}
	c.addClient(clientID, "", m)
}

// x5tOf is the certificate that an access token is bound to.
func x5tOf(t testing.TB, accessToken string) string {
	t.Helper()
	_, claims := unpack(t, accessToken)
	cnf, _ := claims["cnf"].(map[string]any)
	x5t, _ := cnf["x5t#S256"].(string)
	return x5t
}

func thumbprint(p *mtlstest.Pair) string { return mtls.Thumbprint([]*x509.Certificate{p.Cert}) }

// keysOf is the public JWK set of a client with self_signed_tls_client_auth, as
// it would be registered.
func keysOf(t testing.TB, pairs ...*mtlstest.Pair) *jose.JSONWebKeySet {
	t.Helper()
	set := &jose.JSONWebKeySet{}
	for _, p := range pairs {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: p.Cert.PublicKey, Certificates: []*x509.Certificate{p.Cert}})
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	read := &jose.JSONWebKeySet{}
	if err := json.Unmarshal(raw, read); err != nil {
		t.Fatal(err)
	}
	return read
}

// RFC 8705 §2.1 and §2.2.
func TestClientsAuthenticateByCertificate(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	own := url.Values{"grant_type": {oidc.ClientCredentials}}
	as := func(clientID string) url.Values { return with(own, "client_id", clientID) }
	machine := oidc.Metadata{GrantTypes: []string{oidc.ClientCredentials}, Scope: "lists:read", Resources: []string{testAPI}}
	register := func(clientID, method string, change func(m *oidc.Metadata)) {
		m := machine
		m.TokenEndpointAuthMethod = method
		change(&m)
		c.addClient(clientID, "", m)
	}
	alone, renewed := mtlstest.SelfSigned(t, "alone"), mtlstest.SelfSigned(t, "alone")
	register("dn", oidc.TLSClientAuth, func(m *oidc.Metadata) { m.TLSSubjectDN = "cn=bank" })
	register("dns", oidc.TLSClientAuth, func(m *oidc.Metadata) { m.TLSDNS = "bank.example" })
	register("self", oidc.SelfSignedTLSClientAuth, func(m *oidc.Metadata) { m.JWKS = keysOf(t, alone, renewed) })
	register("keys", oidc.PrivateKeyJWT, func(m *oidc.Metadata) { m.JWKS = keysOf(t, alone) })
	c.addMachine()
	bank := c.issue("bank")
	named := c.ca.Issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "other"}, DNSNames: []string{"bank.example"}})

	for clientID, pairs := range map[string][]*mtlstest.Pair{"dn": {bank, c.issue("bank")}, "dns": {named}, "self": {alone, renewed}} {
		for _, pair := range pairs {
			if got := c.tokens(c.send(pair, "/token", as(clientID))); got.TokenType != "Bearer" || x5tOf(t, got.AccessToken) != "" {
				t.Errorf("%s: %+v", clientID, got)
			}
		}
	}
	basic := func(r *http.Request) { r.SetBasicAuth("machine", "machine-secret") }
	c.tokens(c.send(bank, "/token", own, basic)) // a certificate is no second method
	for name, a := range map[string]answer{
		"no certificate":                    c.send(nil, "/token", as("dn")),
		"no certificate, self-signed":       c.send(nil, "/token", as("self")),
		"another subject":                   c.send(named, "/token", as("dn")),
		"the subject, by nobody":            c.send(mtlstest.SelfSigned(t, "bank"), "/token", as("dn")),
		"the subject, by another authority": c.send(mtlstest.NewCA(t).Issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "bank"}}), "/token", as("dn")),
		"another name":                      c.send(bank, "/token", as("dns")),
		"self-signed, not registered":       c.send(mtlstest.SelfSigned(t, "alone"), "/token", as("self")),
		"self-signed, of another client":    c.send(bank, "/token", as("self")),
		"registered for assertions":         c.send(alone, "/token", as("keys")),
		"no client_id":                      c.send(bank, "/token", own),
		"another client_id":                 c.send(bank, "/token", as("machine")),
		"unknown client":                    c.send(bank, "/token", as("nobody")),
		"with a secret as well":             c.send(bank, "/token", with(as("dn"), "client_secret", "x")),
		"a header of a stranger":            c.send(nil, "/token", as("dn"), func(r *http.Request) { r.Header.Set("Client-Cert", bank.Header()) }),
		"without the listener that asks":    c.post("/token", as("dn")),
		"a stranger's header, plain":        c.withHeader("/token", as("dn"), bank),
		"introspection by nobody":           c.send(nil, "/introspect", with(url.Values{"token": {"x"}}, "client_id", "dn")),
		"a secret for a certificate":        c.post("/token", own, "dn", "x"),
		"an expired one of the right name":  c.send(c.expired("bank"), "/token", as("dn")),
		"a server's one of the right name":  c.send(c.forServers("bank"), "/token", as("dn")),
		"a right one that is not the first": c.send(named.With(bank), "/token", as("dn")),
		"PAR with another's":                c.send(named, "/par", with(webRequest("client_id", "dn"))),
		"revocation by another's":           c.send(named, "/revoke", with(url.Values{"token": {"x"}}, "client_id", "dn")),
		"device authorization by another's": c.send(named, "/device_authorization", with(url.Values{"scope": {"lists:read"}}, "client_id", "dn")),
	} {
		if a.status != http.StatusUnauthorized || a.errorCode() != invalidClient {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := c.send(bank, "/introspect", with(url.Values{"token": {"x"}}, "client_id", "dn")); a.status != http.StatusOK || a.json(t)["active"] != false {
		t.Errorf("introspection: %d %s", a.status, a.body)
	}
}

// RFC 8705 §2.2.2: the certificates stand where the client publishes its keys,
// and are read again when it comes with one that was not there.
func TestSelfSignedCertificatesArePublishedAtJWKSURI(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	theirs := newPublisher(t)
	one, two := mtlstest.SelfSigned(t, "bank"), mtlstest.SelfSigned(t, "bank")
	c.addBank("bank", func(m *oidc.Metadata) {
		m.TokenEndpointAuthMethod, m.TLSSubjectDN, m.JWKSURI = oidc.SelfSignedTLSClientAuth, "", theirs.URL+"/jwks"
	})
	come := func(own *mtlstest.Pair) answer {
		return c.send(own, "/token", url.Values{"grant_type": {oidc.ClientCredentials}, "client_id": {"bank"}})
	}
	theirs.publish(t, keysOf(t, one).Keys...)
	if got := c.tokens(come(one)); x5tOf(t, got.AccessToken) != thumbprint(one) {
		t.Errorf("%+v", got)
	}
	theirs.publish(t, keysOf(t, two).Keys...)
	if got := c.tokens(come(two)); x5tOf(t, got.AccessToken) != thumbprint(two) {
		t.Errorf("%+v", got)
	}
	for _, own := range []*mtlstest.Pair{one, mtlstest.SelfSigned(t, "bank"), nil} { // taken out, never there, none
		refused(t, come(own), http.StatusUnauthorized, invalidClient)
	}
}

func (c *certified) withHeader(path string, form url.Values, pair *mtlstest.Pair) answer {
	c.t.Helper()
	r := c.request(http.MethodPost, path, form)
	r.Header.Set("Client-Cert", pair.Header())
	return c.do(nil, r)
}

func (c *certified) expired(name string) *mtlstest.Pair {
	c.t.Helper()
	return c.ca.Issue(c.t, x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour),
	})
}

func (c *certified) forServers(name string) *mtlstest.Pair {
	c.t.Helper()
	return c.ca.Issue(c.t, x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

// Modules happy-flow, ensure-holder-of-key-required, refresh-token,
// ensure-authorization-code-is-bound-to-client and
// ensure-client-id-in-token-endpoint of
// fapi2-security-profile-final[client_auth_type=mtls][sender_constrain=mtls].
func TestFAPI2WithCertificates(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	c.addBank("bank", nil)
	c.addBank("rival", nil)
	bank, rival := c.issue("bank"), c.issue("rival")
	browser := c.browser()
	c.signIn(browser, c.addUser("Ada").ID)
	code := func() string {
		a := c.send(bank, "/par", webRequest("client_id", "bank"))
		if a.status != http.StatusCreated {
			t.Fatalf("PAR: %d %s", a.status, a.body)
		}
		requestURI, _ := a.json(t)["request_uri"].(string)
		return c.code(browser, url.Values{"client_id": {"bank"}, "request_uri": {requestURI}, "redirect_uri": {webRedirect}})
	}
	got := c.tokens(c.send(bank, "/token", exchangeOf(code(), "bank", webRedirect)))
	if got.TokenType != "Bearer" || x5tOf(t, got.AccessToken) != thumbprint(bank) {
		t.Errorf("%+v bound to %q", got, x5tOf(t, got.AccessToken))
	}
	userinfo := func(own *mtlstest.Pair) answer {
		r := c.request(http.MethodGet, c.url+"/userinfo", nil)
		r.Header.Set("Authorization", "Bearer "+got.AccessToken)
		return c.do(mtlstest.Client(t, c.ca, own), r)
	}
	if a := userinfo(bank); a.status != http.StatusOK {
		t.Errorf("userinfo: %d %s", a.status, a.body)
	}
	for _, own := range []*mtlstest.Pair{nil, rival} { // "client 1's key with client 2's token"
		if a := userinfo(own); a.status != http.StatusUnauthorized || a.errorCode() != "invalid_token" {
			t.Errorf("userinfo: %d %s", a.status, a.body)
		}
	}
	seen := c.send(bank, "/introspect", url.Values{"token": {got.AccessToken}, "client_id": {"bank"}}).json(t)
	if cnf, _ := seen["cnf"].(map[string]any); seen["active"] != true || cnf["x5t#S256"] != thumbprint(bank) || cnf["jkt"] != nil || seen["token_type"] != "Bearer" {
		t.Errorf("introspection: %v", seen)
	}

	refused(t, c.send(nil, "/token", exchangeOf(code(), "bank", webRedirect)), http.StatusUnauthorized, invalidClient)
	refused(t, c.post("/token", exchangeOf(code(), "bank", webRedirect)), http.StatusUnauthorized, invalidClient)
	refused(t, c.send(rival, "/token", exchangeOf(code(), "bank", webRedirect)), http.StatusUnauthorized, invalidClient)
	refused(t, c.send(rival, "/token", exchangeOf(code(), "rival", webRedirect)), http.StatusBadRequest, invalidGrant)

	refresh := refreshOf(got.RefreshToken, "bank")
	refused(t, c.send(nil, "/token", refresh), http.StatusUnauthorized, invalidClient)
	refused(t, c.send(rival, "/token", refresh), http.StatusUnauthorized, invalidClient)
	refused(t, c.send(rival, "/token", refreshOf(got.RefreshToken, "rival")), http.StatusBadRequest, invalidGrant)
	renewed := c.issue("bank") // RFC 8705 §6.3: refresh tokens outlive a certificate
	for range 2 {
		if next := c.tokens(c.send(renewed, "/token", refresh)); x5tOf(t, next.AccessToken) != thumbprint(renewed) || next.RefreshToken != got.RefreshToken {
			t.Errorf("%+v", next)
		}
		c.clock.Advance(35 * time.Second)
	}
}

// The other halves of the plan: [client_auth_type=private_key_jwt][sender_constrain=mtls]
// and [client_auth_type=mtls][sender_constrain=dpop]; ensure-holder-of-key-required.
func TestFAPI2CertificatesForOneHalf(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	signs, keys := keyPair(t)
	c.addBank("signs", func(m *oidc.Metadata) {
		m.TokenEndpointAuthMethod, m.TLSSubjectDN, m.JWKS = oidc.PrivateKeyJWT, "", keys
	})
	c.addBank("proves", func(m *oidc.Metadata) { m.CertificateBound, m.DPoPBound = false, true })
	c.addBank("both", func(m *oidc.Metadata) { m.DPoPBound = true })
	own, key := mtlstest.SelfSigned(t, "anybody"), dpoptest.NewKey(t)
	asserted := func() url.Values {
		return url.Values{
			"grant_type": {oidc.ClientCredentials}, "client_assertion_type": {assertionType},
			"client_assertion": {assertionOf(t, c.harness, signs, "signs", nil)},
		}
	}
	if got := c.tokens(c.send(own, "/token", asserted())); got.TokenType != "Bearer" || x5tOf(t, got.AccessToken) != thumbprint(own) {
		t.Errorf("%+v", got)
	}
	refused(t, c.send(nil, "/token", asserted()), http.StatusBadRequest, invalidRequest)

	as := func(clientID string) url.Values {
		return url.Values{"grant_type": {oidc.ClientCredentials}, "client_id": {clientID}}
	}
	got := c.tokens(c.send(c.issue("proves"), "/token", as("proves"), c.proof(key))) // htu is the alias
	if got.TokenType != "DPoP" || boundTo(t, got.AccessToken) != key.Thumbprint || x5tOf(t, got.AccessToken) != "" {
		t.Errorf("%+v", got)
	}
	refused(t, c.send(c.issue("proves"), "/token", as("proves")), http.StatusBadRequest, dpop.CodeInvalidProof)
	refused(t, c.send(c.issue("both"), "/token", as("both")), http.StatusBadRequest, dpop.CodeInvalidProof)
	pair := c.issue("both")
	if got := c.tokens(c.send(pair, "/token", as("both"), c.proof(key))); x5tOf(t, got.AccessToken) != thumbprint(pair) || boundTo(t, got.AccessToken) != key.Thumbprint {
		t.Errorf("%+v", got)
	}
}

// RFC 8705 §4: a public client has no other credential than its certificate.
func TestPublicClientsRefreshTokensAreBoundToTheCertificate(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	spa := c.addSPA()
	bound := *spa
	bound.Metadata.CertificateBound = true
	c.clients.set(&bound)
	browser := c.browser()
	c.signIn(browser, c.addUser("Ada").ID)
	own, other := mtlstest.SelfSigned(t, "phone"), mtlstest.SelfSigned(t, "phone")
	exchange := exchangeOf(c.code(browser, spaRequest()), "spa", spaRedirect)
	refused(t, c.send(nil, "/token", exchange), http.StatusBadRequest, invalidRequest)
	first := c.tokens(c.send(own, "/token", exchange)) // the refusal spent nothing
	refresh := refreshOf(first.RefreshToken, "spa")
	refused(t, c.send(nil, "/token", refresh), http.StatusBadRequest, invalidRequest)
	refused(t, c.send(other, "/token", refresh), http.StatusBadRequest, invalidGrant)
	second := c.tokens(c.send(own, "/token", refresh))
	if x5tOf(t, second.AccessToken) != thumbprint(own) {
		t.Errorf("%+v", second)
	}
	c.clock.Advance(time.Minute)
	refused(t, c.send(other, "/token", refresh), http.StatusBadRequest, invalidGrant) // a thief ends nothing
	c.tokens(c.send(own, "/token", refreshOf(second.RefreshToken, "spa")))
	c.audited("refresh_token.reused", 0)
}

// Module discovery-end-point-verification, and RFC 8705 §5.
func TestDiscoveryTellsOfCertificates(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	doc := c.get(nil, "/.well-known/oauth-authorization-server").json(t)
	aliases, _ := doc["mtls_endpoint_aliases"].(map[string]any)
	if doc["tls_client_certificate_bound_access_tokens"] != true || len(aliases) < 6 {
		t.Errorf("%v", doc)
	}
	for _, member := range []string{"token_endpoint_auth_methods_supported", "revocation_endpoint_auth_methods_supported", "introspection_endpoint_auth_methods_supported"} {
		methods, _ := doc[member].([]any)
		if !slices.Contains(methods, any(oidc.TLSClientAuth)) || !slices.Contains(methods, any(oidc.SelfSignedTLSClientAuth)) {
			t.Errorf("%s: %v", member, methods)
		}
	}
	for name, address := range aliases {
		text, _ := address.(string)
		a := c.do(mtlstest.Client(t, c.ca, nil), c.request(http.MethodPost, text, url.Values{}))
		if a.status == http.StatusNotFound || doc[name] == nil || doc[name] == text {
			t.Errorf("%s at %s: %d", name, text, a.status)
		}
	}
	if a := c.do(mtlstest.Client(t, c.ca, nil), c.request(http.MethodGet, c.url+"/authorize", nil)); a.status != http.StatusNotFound {
		t.Errorf("a browser is served where certificates are asked for: %d", a.status)
	}
	plain := newHarness(t).get(nil, "/.well-known/openid-configuration").json(t)
	if methods, _ := plain["token_endpoint_auth_methods_supported"].([]any); plain["mtls_endpoint_aliases"] != nil ||
		plain["tls_client_certificate_bound_access_tokens"] != nil || slices.Contains(methods, any(oidc.SelfSignedTLSClientAuth)) {
		t.Errorf("%v", plain)
	}
}
