package rp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"larder/internal/devstack/demo"
	"larder/internal/mtls/mtlstest"
	"larder/tests/stack"
)

// TestNodeDevice has a person allow, or deny, what a script asks for on a device.
func TestNodeDevice(t *testing.T) {
	dir := install(t)
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	ada := s.User(t, demo.Admin)
	s.Converse(t, stack.Script{Dir: dir, Name: "device.mjs", Open: func(link string) string {
		link, denied := strings.CutSuffix(link, "#deny")
		action := map[bool]string{false: "allow", true: "deny"}[denied]
		b := s.NewBrowser()
		page, err := b.Open(t.Context(), link)
		if err == nil {
			page, err = b.Press(t.Context(), page, "verify")
		}
		if err == nil && page.Has("login") {
			page, err = b.SignIn(t.Context(), page, ada.Email, ada.Password)
		}
		if err == nil {
			page, err = b.Press(t.Context(), page, action)
		}
		if err != nil || page.Status != http.StatusOK {
			t.Errorf("%s: %v, %v", action, page, err)
		}
		return link
	}})
}

// TestNodeGrants lets scripts have the clients that only an operator makes.
func TestNodeGrants(t *testing.T) {
	dir := install(t)
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private := jose.JSONWebKey{Key: key, KeyID: "partner", Algorithm: "ES256", Use: "sig"}
	keyText, err := json.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := json.Marshal([]map[string]any{{
		"issuer": "https://partner.example", "jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{private.Public()}},
		"subjects": map[string]string{"ada@partner": s.User(t, demo.Admin).ID},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "trusted.json")
	if err := os.WriteFile(file, trusted, 0o600); err != nil {
		t.Fatal(err)
	}
	made := map[string]json.RawMessage{}
	for name, flags := range map[string][]string{
		"gateway":   {"--grant", "token_exchange"},
		"stranger":  {"--grant", "token_exchange"},
		"partnered": {"--grant", "jwt_bearer", "--first-party", "--trusted-issuers-file", file},
	} {
		args := append([]string{"client", "create", "--id", name, "--name", name, "--scope", "lists:read", "--resource", s.API, "--json"}, flags...)
		out, err := s.Operate(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		made[name] = json.RawMessage(out)
	}
	if _, err := s.Operate(t.Context(), "client", "update", "--may-act", "gateway", s.Demo.Clients.Web.ID); err != nil {
		t.Fatal(err)
	}
	clients, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	converse(t, s, dir, "grants.mjs", nil, "CLIENTS="+string(clients), "PARTNER_KEY="+string(keyText))
}

// TestNodeCertificates puts both services behind a proxy that asks for certificates and passes them on (RFC 9440).
func TestNodeCertificates(t *testing.T) {
	dir := install(t)
	t.Parallel()
	ca, folder := mtlstest.NewCA(t), t.TempDir()
	bundle := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(bundle, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	bank := x509.Certificate{Subject: pkix.Name{CommonName: "bank"}}
	for name, pair := range map[string]*mtlstest.Pair{
		"bank": ca.Issue(t, bank), "renewed": ca.Issue(t, bank), "other": ca.Issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "other"}}),
		"alone": mtlstest.SelfSigned(t, "alone"),
	} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		pair.Write(t, filepath.Join(folder, name))
	}
	issuer, api := newAsker(t, ca), newAsker(t, ca)
	s := stack.New(t, stack.BuildForTest(t), stack.Options{Env: []string{
		"AUTHSERVER_MTLS_URL=" + issuer.URL, "AUTHSERVER_CLIENT_CA=" + bundle,
		"AUTHSERVER_CLIENT_CERT_PROXIES=127.0.0.1", "RESOURCEAPI_CLIENT_CERT_PROXIES=127.0.0.1",
	}})
	issuer.leadTo(t, s.Issuer)
	api.leadTo(t, s.API)
	if _, err := s.Operate(t.Context(), "client", "create", "--id", "bank", "--name", "Bank", "--profile", "fapi2", "--auth", "tls_client_auth",
		"--tls-subject-dn", "CN=bank", "--certificate-bound", "--grant", "authorization_code", "--grant", "refresh_token",
		"--redirect-uri", "https://bank.example/callback", "--scope", "openid email offline_access lists:read", "--resource", s.API); err != nil {
		t.Fatal(err)
	}
	converse(t, s, dir, "certificates.mjs", nil, "CERTIFICATES="+folder, "MTLS_API="+api.URL)
}

// asker is a proxy that ends TLS and asks clients for certificates.
type asker struct {
	*httptest.Server
	target chan *url.URL // one, once it is known
}

func newAsker(t *testing.T, ca *mtlstest.Pair) *asker {
	t.Helper()
	a := &asker{target: make(chan *url.URL, 1)}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		target := <-a.target
		a.target <- target
		r.SetURL(target)
		r.Out.Header.Del("Client-Cert")
		for _, own := range r.In.TLS.PeerCertificates[:min(1, len(r.In.TLS.PeerCertificates))] {
			r.Out.Header.Set("Client-Cert", (&mtlstest.Pair{Cert: own}).Header())
		}
	}}
	a.Server = httptest.NewUnstartedServer(proxy)
	a.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.Server(t, nil).TLS()}, ClientAuth: tls.RequestClientCert}
	a.StartTLS()
	t.Cleanup(a.Close)
	return a
}

func (a *asker) leadTo(t *testing.T, address string) {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	a.target <- target
}
