package oauth

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"larder/authserver/oidc"
	"larder/internal/id"
)

// A redirect URI that passes is one that was registered, or differs from one
// in the port of a loopback IP only, and the browser goes to the same host.
func FuzzRedirectURI(f *testing.F) {
	registered := []string{"https://web.test/callback", "http://127.0.0.1/callback", "http://[::1]:7/cb?x=1", "com.example.app:/callback"}
	for _, seed := range append(slices.Clone(registered), "http://127.0.0.1:51000/callback", "http://127.0.0.1:1@evil.test/callback",
		"https://web.test/callback#x", "http://[::1]/cb?x=1", "http://127.0.0.1:0/callback", "https://web.test\\@evil.test/callback") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if !matchRedirectURI(raw, registered) || slices.Contains(registered, raw) {
			return
		}
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatalf("%q passes and does not parse: %v", raw, err)
		}
		if u.Scheme != "http" || u.User != nil || u.Fragment != "" || u.Port() == "" && !strings.Contains(raw, "[::1]/") {
			t.Fatalf("%q passes", raw)
		}
		switch u.Hostname() + u.EscapedPath() + "?" + u.RawQuery {
		case "127.0.0.1/callback?", "::1/cb?x=1":
		default:
			t.Fatalf("%q passes", raw)
		}
	})
}

// Whatever the scope parameter holds, what comes out is part of the ceiling,
// and each once.
func FuzzScope(f *testing.F) {
	for _, seed := range []string{"", "openid", "openid lists:read", "openid  openid", "lists:*", "OPENID", "openid\x00", "openid\tadmin", " ", "lists:read\nadmin"} {
		f.Add(seed)
	}
	client := &oidc.Client{ID: "c", Metadata: oidc.Metadata{Scope: "openid lists:read", Resources: []string{testAPI}}}
	p := &Provider{}
	f.Fuzz(func(t *testing.T, scope string) {
		a := &authorization{client: client, form: form{values: url.Values{"scope": {scope}}}}
		if err := p.checkScope(t.Context(), a); err != nil {
			return
		}
		for i, s := range a.scopes {
			if s != "openid" && s != "lists:read" || slices.Contains(a.scopes[i+1:], s) {
				t.Fatalf("%q gives %q", scope, a.scopes)
			}
		}
	})
}

// Only what we made is read as a refresh token, and it says what it was made of.
func FuzzRefreshToken(f *testing.F) {
	key, other := make([]byte, 32), []byte(strings.Repeat("k", 32))
	made := refreshToken{grantID: id.New(), generation: 7, salt: [saltSize]byte(newSalt())}
	f.Add(made.encode(key))
	f.Add(made.encode(other))
	f.Add("lrt_")
	f.Add("")
	f.Add(made.encode(key)[:90])
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := readRefreshToken(s, [][]byte{other, key})
		if ok && got.encode(key) != s && got.encode(other) != s {
			t.Fatalf("%q reads as %+v", s, got)
		}
		if _, ok := readRefreshToken(s, nil); ok {
			t.Fatalf("%q is read without a key", s)
		}
	})
}

// A form that is read holds text only, within the limits, and each parameter
// once.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{"", "a=b", "a=b&a=c", "a=&a=", "a=%zz", "a=%00", "a=%ff", "a;b", "=&=", "resource=x&resource=y", strings.Repeat("a=b&", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		got, err := parseForm(encoded)
		if err != nil {
			return
		}
		if len(got.values) > maxParameters {
			t.Fatalf("%d parameters", len(got.values))
		}
		for name, values := range got.values {
			if name != "resource" && len(values) > 1 && got.repeated == "" {
				t.Fatalf("%q repeats unseen", name)
			}
			for _, v := range values {
				if !utf8.ValidString(v) || strings.Contains(v, "\x00") {
					t.Fatalf("%q is %q", name, v)
				}
			}
		}
	})
}
