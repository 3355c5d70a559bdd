package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"larder/internal/web"
)

func TestOnlyTrustedProxiesSayWhoTheClientIs(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		peer string
		xff  []string
		want string
	}{
		{"192.0.2.7:1000", []string{"203.0.113.9"}, "192.0.2.7:1000"},
		{"10.1.1.1:1000", nil, "10.1.1.1:1000"},
		{"10.1.1.1:1000", []string{"203.0.113.9"}, "203.0.113.9:0"},
		{"10.1.1.1:1000", []string{"1.1.1.1, 203.0.113.9", "10.2.2.2"}, "203.0.113.9:0"},
		{"10.1.1.1:1000", []string{"203.0.113.9, garbage"}, "10.1.1.1:1000"},
		{"10.1.1.1:1000", []string{"10.3.3.3"}, "10.1.1.1:1000"},
		{"[::ffff:10.1.1.1]:1000", []string{"2001:db8::1"}, "[2001:db8::1]:0"},
	} {
		var got string
		h := web.BehindProxies(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }), trusted)
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = c.peer
		for _, v := range c.xff {
			r.Header.Add("X-Forwarded-For", v)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("%s via %v: %s, want %s", c.peer, c.xff, got, c.want)
		}
	}
}
