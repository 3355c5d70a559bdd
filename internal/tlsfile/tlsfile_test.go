package tlsfile_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"larder/internal/mtls/mtlstest"
	"larder/internal/tlsfile"
	"larder/internal/web"
)

// clock stands still until a test moves it.
type clock struct {
	began time.Time
	ahead atomic.Int64
}

func (c *clock) Now() time.Time          { return c.began.Add(time.Duration(c.ahead.Load())) }
func (c *clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// serve answers over TLS until the test ends.
func serve(t *testing.T, cert *tlsfile.Certificate, h http.Handler) (addr string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	bound, done := make(chan []net.Addr, 1), make(chan error, 1)
	go func() {
		done <- web.Serve(ctx, slog.New(slog.DiscardHandler),
			[]web.Listener{{Name: "public", Addr: "127.0.0.1:0", Handler: h, TLS: cert.Server(true)}}, func(addrs []net.Addr) { bound <- addrs })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return (<-bound)[0].String()
}

func TestANewCertificateIsServedWithoutDroppingConnections(t *testing.T) {
	t.Parallel()
	folder, now, ca := t.TempDir(), &clock{began: time.Now()}, mtlstest.NewCA(t)
	first, second := ca.Server(t, nil), ca.Server(t, nil)
	certFile, keyFile := first.Write(t, folder)
	var logged bytes.Buffer
	cert, err := tlsfile.Open(certFile, keyFile, now.Now, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, cert, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	old := mtlstest.Client(t, ca, nil)
	get := func(client *http.Client) (served *x509.Certificate) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "HTTP/2.0" || resp.TLS.Version != tls.VersionTLS13 {
			t.Fatalf("%s over TLS %x: %v", body, resp.TLS.Version, err)
		}
		return resp.TLS.PeerCertificates[0]
	}
	if !get(old).Equal(first.Cert) {
		t.Fatal("another certificate")
	}
	// The certificate comes before its key: a pair that does not fit.
	if err := os.WriteFile(certFile, second.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	now.Advance(2 * time.Second)
	for range 2 {
		if !get(mtlstest.Client(t, ca, nil)).Equal(first.Cert) {
			t.Error("half a pair was used")
		}
		now.Advance(2 * time.Second)
	}
	second.Write(t, folder)
	now.Advance(2 * time.Second)
	if !get(mtlstest.Client(t, ca, nil)).Equal(second.Cert) {
		t.Error("the new certificate is not served")
	}
	if !get(old).Equal(first.Cert) {
		t.Error("the connection from before was dropped")
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	now.Advance(2 * time.Second)
	if !get(mtlstest.Client(t, ca, nil)).Equal(second.Cert) {
		t.Error("no file, no service")
	}
	if n := strings.Count(logged.String(), "level=WARN"); n != 2 || !strings.Contains(logged.String(), "read again") {
		t.Errorf("the log says:\n%s", logged.String())
	}
}

// Module happy-flow: no TLS 1.0 or 1.1, 1.3 preferred, 1.2 with the suites of
// BCP 195 only.
func TestOnlyTheSuitesOfBCP195AreSpoken(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ca := mtlstest.NewCA(t)
	for _, key := range []crypto.Signer{nil, rsaKey} {
		certFile, keyFile := ca.Server(t, key).Write(t, t.TempDir())
		cert, err := tlsfile.Open(certFile, keyFile, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		addr := serve(t, cert, http.NotFoundHandler())
		shake := func(least, most uint16, suites ...uint16) (tls.ConnectionState, error) {
			config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: least, MaxVersion: most, CipherSuites: suites}
			config.RootCAs.AddCert(ca.Cert)
			conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", addr)
			if err != nil {
				return tls.ConnectionState{}, err
			}
			defer func() { _ = conn.Close() }()
			secured, _ := conn.(*tls.Conn)
			return secured.ConnectionState(), nil
		}
		if state, err := shake(tls.VersionTLS10, 0); err != nil || state.Version != tls.VersionTLS13 {
			t.Errorf("%x, %v", state.Version, err)
		}
		if _, err := shake(tls.VersionTLS10, tls.VersionTLS11); err == nil {
			t.Error("TLS 1.1 is spoken")
		}
		spoken := 0
		for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if !strings.Contains(suite.Name, "_WITH_") {
				continue // TLS 1.3
			}
			_, err := shake(tls.VersionTLS12, tls.VersionTLS12, suite.ID)
			good := strings.HasPrefix(suite.Name, "TLS_ECDHE_") && strings.Contains(suite.Name, "_GCM_")
			if err == nil && !good {
				t.Errorf("%s is spoken", suite.Name)
			}
			if err == nil {
				spoken++
			}
		}
		if spoken != 2 {
			t.Errorf("%d suites of TLS 1.2 are spoken, want 2 for each kind of key", spoken)
		}
	}
}

func TestAuthoritiesVouchForClientsOnly(t *testing.T) {
	t.Parallel()
	now, ca, stranger := &clock{began: time.Now()}, mtlstest.NewCA(t), mtlstest.NewCA(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tlsfile.OpenAuthorities(file, "", now.Now, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file without certificates is accepted")
	}
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	authorities, err := tlsfile.OpenAuthorities(file, "", now.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	name := x509.Certificate{Subject: pkix.Name{CommonName: "bank"}}
	below := ca.Intermediate(t)
	own := ca.Issue(t, name).Cert
	for name, c := range map[string]struct {
		chain []*x509.Certificate
		good  bool
	}{
		"issued":                       {[]*x509.Certificate{own}, true},
		"by way of an intermediate":    {[]*x509.Certificate{below.Issue(t, name).Cert, below.Cert}, true},
		"the intermediate is missing":  {[]*x509.Certificate{below.Issue(t, name).Cert}, false},
		"of another authority":         {[]*x509.Certificate{stranger.Issue(t, name).Cert}, false},
		"with the authority behind it": {[]*x509.Certificate{stranger.Issue(t, name).Cert, stranger.Cert}, false},
		"self-signed":                  {[]*x509.Certificate{mtlstest.SelfSigned(t, "bank").Cert}, false},
		"a server's":                   {[]*x509.Certificate{ca.Server(t, nil).Cert}, false},
		"none":                         {nil, false},
	} {
		if err := authorities.Verify(t.Context(), c.chain); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	now.Advance(48 * time.Hour)
	if authorities.Verify(t.Context(), []*x509.Certificate{own}) == nil {
		t.Error("an expired certificate is accepted")
	}
	now.Advance(-48 * time.Hour)
	if err := os.WriteFile(file, stranger.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	now.Advance(2 * time.Second)
	if authorities.Verify(t.Context(), []*x509.Certificate{own}) == nil {
		t.Error("an authority that was taken out still vouches")
	}
}
