package main

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"larder/internal/mtls"
	"larder/internal/mtls/mtlstest"
	"larder/internal/tlsfile"
	"larder/internal/web"
	"larder/resourceapi/bearer/bearertest"
)

// The API speaks TLS itself, and takes tokens that are bound to a certificate
// from its own listener, or from a listed proxy, and from nobody else.
func TestServingTLS(t *testing.T) {
	t.Parallel()
	ca, own := mtlstest.NewCA(t), mtlstest.SelfSigned(t, "own")
	certFile, keyFile := ca.Server(t, nil).Write(t, t.TempDir())
	s := newService(t, func(s *server) {
		var err error
		if s.certificate, err = tlsfile.Open(certFile, keyFile, time.Now, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		s.cfg.Addr, s.cfg.InternalAddr, s.cfg.MTLSAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	})
	handler := func(proxies ...netip.Prefix) http.Handler { return mtls.Handler(s.gated(s.api), proxies) }
	listen := func(h http.Handler) []net.Addr {
		t.Helper()
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		bound, done := make(chan []net.Addr, 1), make(chan error, 1)
		go func() {
			done <- web.Serve(ctx, slog.New(slog.DiscardHandler), s.listeners(h), func(addrs []net.Addr) { bound <- addrs })
		}()
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		return <-bound
	}
	strict := listen(handler())
	proxied := listen(handler(netip.MustParsePrefix("127.0.0.0/8")))
	token := s.issuer.Token(bearertest.Claims{"scope": "family:read", "cnf": map[string]any{"x5t#S256": mtls.Thumbprint([]*x509.Certificate{own.Cert})}})
	for name, c := range map[string]struct {
		addr   net.Addr
		shown  *mtlstest.Pair
		header string
		want   int
	}{
		"with its certificate":             {strict[2], own, "", http.StatusOK},
		"without":                          {strict[2], nil, "", http.StatusUnauthorized},
		"where nobody asks for it":         {strict[0], own, "", http.StatusUnauthorized},
		"another":                          {strict[2], mtlstest.SelfSigned(t, "own"), "", http.StatusUnauthorized},
		"in a header of a stranger's":      {strict[2], nil, own.Header(), http.StatusUnauthorized},
		"in a header of a proxy's":         {proxied[0], nil, own.Header(), http.StatusOK},
		"another in a header of a proxy's": {proxied[0], nil, mtlstest.SelfSigned(t, "own").Header(), http.StatusUnauthorized},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+c.addr.String()+"/v1/families", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		if c.header != "" {
			r.Header.Set("Client-Cert", c.header)
		}
		resp, err := mtlstest.Client(t, ca, c.shown).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != c.want {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
}

func TestTLSSettingsFitTogether(t *testing.T) {
	t.Parallel()
	for set, fault := range map[string]string{
		"RESOURCEAPI_TLS_CERT=c":       "RESOURCEAPI_TLS_KEY:",
		"RESOURCEAPI_TLS_KEY=k":        "RESOURCEAPI_TLS_CERT:",
		"RESOURCEAPI_MTLS_ADDR=:9444":  "RESOURCEAPI_MTLS_ADDR:",
		"RESOURCEAPI_MTLS_ADDR=nobody": "RESOURCEAPI_MTLS_ADDR:",
		"RESOURCEAPI_TLS_CERT=c RESOURCEAPI_TLS_KEY=k RESOURCEAPI_RESOURCE=http://localhost:1 RESOURCEAPI_DEVELOPMENT=true": "RESOURCEAPI_TLS_CERT:",
		"RESOURCEAPI_CLIENT_CERT_PROXIES=everybody":                                                   "RESOURCEAPI_CLIENT_CERT_PROXIES:",
		"RESOURCEAPI_TLS_CERT=c RESOURCEAPI_TLS_KEY=k RESOURCEAPI_MTLS_ADDR=:9444":                    "",
		"RESOURCEAPI_CLIENT_CERT_PROXIES=10.0.0.0/8,::1 RESOURCEAPI_RESOURCE=https://api.example.com": "",
	} {
		env := map[string]string{}
		for pair := range strings.FieldsSeq(set) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		_, err := loadConfig(func(name string) string { return env[name] }, 0)
		if fault == "" && err != nil || fault != "" && (err == nil || !strings.Contains(err.Error(), fault)) {
			t.Errorf("%s: %v", set, err)
		}
	}
}
