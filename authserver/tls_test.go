package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/internal/mtls/mtlstest"
)

// A whole authserver that speaks TLS itself, with a listener for certificates.
func TestServingTLS(t *testing.T) {
	t.Parallel()
	ca, folder := mtlstest.NewCA(t), t.TempDir()
	certFile, keyFile := ca.Server(t, nil).Write(t, folder)
	bundle := filepath.Join(folder, "clients.pem")
	if err := os.WriteFile(bundle, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	named := x509.Certificate{Subject: pkix.Name{CommonName: "bank"}}
	own, taken, lists := ca.Issue(t, named), ca.Issue(t, named), filepath.Join(folder, "crl.pem")
	list := x509.RevocationList{ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	if err := os.WriteFile(lists, ca.Revoke(t, list, taken), 0o600); err != nil {
		t.Fatal(err)
	}
	const mtlsURL = "https://mtls.localhost:9443"
	w := newWorld(t).with("AUTHSERVER_ISSUER", "https://localhost:9000", "AUTHSERVER_TLS_CERT", certFile, "AUTHSERVER_TLS_KEY", keyFile,
		"AUTHSERVER_MTLS_URL", mtlsURL, "AUTHSERVER_MTLS_ADDR", "127.0.0.1:0", "AUTHSERVER_CLIENT_CA", bundle, "AUTHSERVER_CLIENT_CRL", lists)
	w.must(t, nil, "", "client", "create", "--id", "bank", "--name", "Bank", "--grant", "client_credentials", "--scope", "lists:read admin",
		"--resource", testAPI, "--auth", "tls_client_auth", "--tls-subject-dn", "CN=bank", "--certificate-bound")
	if _, _, err := w.run(t, "", "client", "create", "--name", "Two", "--auth", "tls_client_auth", "--tls-san-dns", "a", "--tls-san-ip", "::1",
		"--redirect-uri", "https://two.example/"); err == nil || !strings.Contains(err.Error(), "exactly one") {
		t.Errorf("two names: %v", err)
	}
	s := w.start(t)
	public, certified := "https://"+s.addrs[0].String(), "https://"+s.addrs[2].String()
	asked := 0
	browser := mtlstest.Client(t, ca, nil)
	transport, _ := browser.Transport.(*http.Transport)
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked++
		return &tls.Certificate{}, nil
	}
	send := func(client *http.Client, method, address string, form url.Values, token string) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{res.StatusCode, res.Status, res.Header, string(raw)}
	}
	for deadline := time.Now().Add(patience); send(browser, http.MethodGet, public+"/readyz", nil, "").StatusCode != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("not ready")
		}
		time.Sleep(20 * time.Millisecond)
	}
	page := send(browser, http.MethodGet, public+"/register", nil, "")
	if page.StatusCode != http.StatusOK || !strings.HasPrefix(page.Header.Get("Strict-Transport-Security"), "max-age=") {
		t.Errorf("%s %v", page.Status, page.Header)
	}
	for _, cookie := range page.Header.Values("Set-Cookie") {
		if !strings.HasPrefix(cookie, "__Host-") || !strings.Contains(cookie, "; Secure") {
			t.Errorf("cookie %q", cookie)
		}
	}
	if asked != 0 {
		t.Errorf("browsers were asked for a certificate %d times", asked)
	}
	var doc struct {
		Aliases map[string]string `json:"mtls_endpoint_aliases"`
		Methods []string          `json:"token_endpoint_auth_methods_supported"`
	}
	send(browser, http.MethodGet, public+"/.well-known/openid-configuration", nil, "").decode(t, &doc)
	if doc.Aliases["token_endpoint"] != mtlsURL+"/token" || !slices.Contains(doc.Methods, "tls_client_auth") {
		t.Errorf("%+v", doc)
	}

	bank := mtlstest.Client(t, ca, own)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"bank"}, "scope": {"admin"}}
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	got := send(bank, http.MethodPost, certified+"/token", form, "")
	if got.decode(t, &tokens); got.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", got.Status, got.Body)
	}
	for name, res := range map[string]answer{
		"no certificate":               send(mtlstest.Client(t, ca, nil), http.MethodPost, certified+"/token", form, ""),
		"a revoked certificate":        send(mtlstest.Client(t, ca, taken), http.MethodPost, certified+"/token", form, ""),
		"where nobody asks":            send(bank, http.MethodPost, public+"/token", form, ""),
		"the admin API, a bound token": send(browser, http.MethodGet, public+"/admin/v1/users", nil, tokens.AccessToken),
	} {
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s %s", name, res.Status, res.Body)
		}
	}
	for _, path := range []string{"/login", "/authorize", "/admin/v1/users", "/metrics"} {
		if res := send(bank, http.MethodGet, certified+path, nil, ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s among the aliases: %s", path, res.Status)
		}
	}
}

func TestTLSSettingsFitTogether(t *testing.T) {
	t.Parallel()
	pair := map[string]string{"AUTHSERVER_TLS_CERT": "c", "AUTHSERVER_TLS_KEY": "k"}
	and := func(namesAndValues ...string) map[string]string {
		all := maps.Clone(pair)
		for i := 0; i < len(namesAndValues); i += 2 {
			all[namesAndValues[i]] = namesAndValues[i+1]
		}
		return all
	}
	for name, c := range map[string]struct {
		set   map[string]string
		fault string // "" for none
	}{
		"nothing":              {nil, ""},
		"TLS":                  {pair, ""},
		"TLS and certificates": {and("AUTHSERVER_MTLS_ADDR", ":9443", "AUTHSERVER_MTLS_URL", "https://m.example", "AUTHSERVER_CLIENT_CA", "ca", "AUTHSERVER_CLIENT_CRL", "crl"), ""},
		"a proxy's certificates": {
			map[string]string{"AUTHSERVER_CLIENT_CERT_PROXIES": "10.0.0.1", "AUTHSERVER_MTLS_URL": "https://m.example"}, "",
		},
		"no key":                      {map[string]string{"AUTHSERVER_TLS_CERT": "c"}, "AUTHSERVER_TLS_KEY"},
		"no certificate":              {map[string]string{"AUTHSERVER_TLS_KEY": "k"}, "AUTHSERVER_TLS_CERT"},
		"an issuer without https":     {and("AUTHSERVER_ISSUER", "http://localhost:1", "AUTHSERVER_DEVELOPMENT", "true"), "AUTHSERVER_TLS_CERT"},
		"a listener without TLS":      {map[string]string{"AUTHSERVER_MTLS_ADDR": ":9443", "AUTHSERVER_MTLS_URL": "https://m.example"}, "AUTHSERVER_MTLS_ADDR"},
		"a listener without a name":   {and("AUTHSERVER_MTLS_ADDR", ":9443"), "AUTHSERVER_MTLS_URL"},
		"a name without a listener":   {and("AUTHSERVER_MTLS_URL", "https://m.example"), "AUTHSERVER_MTLS_URL"},
		"authorities without clients": {and("AUTHSERVER_CLIENT_CA", "ca"), "AUTHSERVER_CLIENT_CA"},
		"lists of nobody":             {and("AUTHSERVER_CLIENT_CRL", "crl"), "AUTHSERVER_CLIENT_CRL"},
		"a plain name":                {and("AUTHSERVER_MTLS_ADDR", ":9443", "AUTHSERVER_MTLS_URL", "http://m.example"), "AUTHSERVER_MTLS_URL"},
		"nonsense for an address":     {and("AUTHSERVER_MTLS_ADDR", "nowhere", "AUTHSERVER_MTLS_URL", "https://m.example"), "AUTHSERVER_MTLS_ADDR"},
	} {
		env := goodEnv()
		maps.Copy(env, c.set)
		_, err := loadConfig(lookup(env), needServe)
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault+":")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
