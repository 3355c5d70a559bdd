package dpop

import (
	"net/url"
	"strings"
	"testing"
)

func TestSameURL(t *testing.T) {
	const target = "https://id.example.com/token"
	for _, c := range []struct {
		htu, target string
		want        bool
	}{
		{target, target, true},
		{"https://id.example.com/token?x=1#y", target, true},
		{"HTTPS://ID.Example.COM/token", target, true},
		{"https://id.example.com:443/token", target, true},
		{"https://id.example.com:/token", target, true},
		{"https://id.example.com/%74oken", target, true},
		{"https://id.example.com/./a/../token", target, true},
		{"https://id.example.com/a/%2e%2E/token", target, true},
		{"https://id.example.com", "https://id.example.com/", true},
		{"http://[::1]:80/a", "http://[::1]/a", true},
		{"http://localhost:9000/a%2fb", "http://localhost:9000/a%2Fb", true},
		{"https://h/caf%c3%a9", "https://h/caf%C3%A9", true},

		{"http://id.example.com/token", target, false},
		{"https://id.example.com:80/token", target, false},
		{"https://id.example.com:8443/token", target, false},
		{"https://id.example.com/Token", target, false},
		{"https://id.example.com/token/", target, false},
		{"https://id.example.com//token", target, false},
		{"https://id.example.com/to%2Fken", "https://id.example.com/to/ken", false},
		{"https://id.example.com/token%3Fx", target, false},
		{"https://other.example.com/token", target, false},
		{"https://id.example.com.evil.test/token", target, false},
		{"https://user@id.example.com/token", target, false},
		{"https://id.example.com@evil.test/token", target, false},
		{"/token", target, false},
		{"//id.example.com/token", target, false},
		{"https:id.example.com/token", target, false},
		{"https:///token", target, false},
		{"https://:443/token", target, false},
		{"ftp://id.example.com/token", target, false},
		{"https://id.example.com/%zz", target, false},
		{"https://id.example.com/token\n", target, false},
		{"", target, false},
	} {
		if got := sameURL(c.htu, c.target); got != c.want {
			t.Errorf("sameURL(%q, %q) = %v, want %v", c.htu, c.target, got, c.want)
		}
	}
}

func FuzzCanonicalURL(f *testing.F) {
	for _, seed := range []string{
		"https://h/a/../b", "http://[fe80::1%25en0]:80/%7e", "https://h:443/%2e%2e/x?y#z", "HTTPS://H/%2f/./..//", "http://h/%", "https://h/a%",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once, err := canonical(raw)
		if err != nil {
			return
		}
		twice, err := canonical(once)
		if err != nil || twice != once {
			t.Fatalf("canonical(%q) = %q, but of that it is %q, %v", raw, once, twice, err)
		}
		if strings.ContainsAny(once, "?#") {
			t.Fatalf("canonical(%q) = %q keeps a query or a fragment", raw, once)
		}
		// The normal form leads to the same server.
		before, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		after, err := url.Parse(once)
		if err != nil || !strings.EqualFold(before.Hostname(), after.Hostname()) {
			t.Fatalf("canonical(%q) = %q is on another host", raw, once)
		}
	})
}
