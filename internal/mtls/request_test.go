package mtls_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"larder/internal/mtls"
	"larder/internal/mtls/mtlstest"
)

func TestACertificateIsTheClientsOrAListedProxysWord(t *testing.T) {
	t.Parallel()
	own, told, between := mtlstest.SelfSigned(t, "own"), mtlstest.SelfSigned(t, "told"), mtlstest.SelfSigned(t, "between")
	const proxy, stranger = "10.1.1.1:1000", "192.0.2.7:1000"
	for name, c := range map[string]struct {
		peer        string
		tls         *mtlstest.Pair
		cert, chain []string
		want        []*mtlstest.Pair
	}{
		"nothing":                     {peer: stranger},
		"our own listener":            {peer: stranger, tls: own, want: []*mtlstest.Pair{own}},
		"a proxy tells":               {peer: proxy, cert: []string{told.Header()}, want: []*mtlstest.Pair{told}},
		"a proxy, by IPv6":            {peer: "[::ffff:10.1.1.1]:9", cert: []string{told.Header()}, want: []*mtlstest.Pair{told}},
		"a stranger tells":            {peer: stranger, cert: []string{told.Header()}},
		"a stranger tells, and shows": {peer: stranger, tls: own, cert: []string{told.Header()}, want: []*mtlstest.Pair{own}},
		"a proxy shows its own":       {peer: proxy, tls: own},
		"a proxy tells and shows":     {peer: proxy, tls: own, cert: []string{told.Header()}, want: []*mtlstest.Pair{told}},
		"with a chain": {
			peer: proxy, cert: []string{told.Header()}, chain: []string{between.Header() + " , " + own.Header()}, want: []*mtlstest.Pair{told, between, own},
		},
		"twice":         {peer: proxy, cert: []string{told.Header(), told.Header()}},
		"a bare base64": {peer: proxy, cert: []string{told.Header()[1:]}},
		"no DER":        {peer: proxy, cert: []string{":AAAA:"}},
		"empty":         {peer: proxy, cert: []string{""}},
		"a chain that is none": {
			peer: proxy, cert: []string{told.Header()}, chain: []string{"none"},
		},
	} {
		var got []*x509.Certificate
		seen := 0
		h := mtls.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got, seen = mtls.From(r.Context()), len(r.Header)
		}), []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = c.peer
		if c.tls != nil {
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.tls.Cert}}
		}
		for _, v := range c.cert {
			r.Header.Add("Client-Cert", v)
		}
		for _, v := range c.chain {
			r.Header.Add("Client-Cert-Chain", v)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if seen != 0 {
			t.Errorf("%s: the headers went on", name)
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %d certificates, want %d", name, len(got), len(c.want))
			continue
		}
		for i, pair := range c.want {
			if !got[i].Equal(pair.Cert) {
				t.Errorf("%s: certificate %d is %s", name, i, got[i].Subject)
			}
		}
	}
}
