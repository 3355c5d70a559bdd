package bearer

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestFreshness(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":                             defaultFresh,
		"max-age=600":                  10 * time.Minute,
		"public, Max-Age=600":          10 * time.Minute,
		`max-age="600"`:                10 * time.Minute,
		"max-age=0":                    minFresh,
		"max-age=99999999":             maxFresh,
		"max-age=99999999999999999999": defaultFresh,
		"max-age=-1":                   defaultFresh,
		"no-store":                     minFresh,
		"max-age=600, no-cache":        minFresh,
	} {
		if got := freshness(header); got != want {
			t.Errorf("%q is fresh for %v, want %v", header, got, want)
		}
	}
}

// FuzzAuthorization: whatever the header holds, what comes out is one short
// b64token or an error.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer ", "bearer abc", "Bearer a.b.c", "Basic YTpi", "Bearer  x", "Bearer a b", "Bearer x==", "Bearer =", "DPoP x", "Bearer\tx"} {
		f.Add(seed, "")
	}
	f.Add("Bearer a", "Bearer b")
	f.Fuzz(func(t *testing.T, first, second string) {
		h := http.Header{"Authorization": {first}}
		if second != "" {
			h.Add("Authorization", second)
		}
		shown, err := readCredential(h)
		token := shown.token
		if err != nil {
			if token != "" {
				t.Errorf("an error and %q", token)
			}
			return
		}
		if second != "" {
			t.Error("two headers were taken")
		}
		if token == "" || len(token) > maxCredential || strings.ContainsAny(token, " \t\r\n\",\x00") || !strings.HasSuffix(first, token) {
			t.Errorf("%q gives %q", first, token)
		}
	})
}

// FuzzToken: no token passes the header check without the one typ, a kid, and
// none of the members that point to keys; and nothing makes the parsers panic.
func FuzzToken(f *testing.F) {
	for _, header := range []string{
		`{"alg":"ES256","typ":"at+jwt","kid":"k"}`, `{"alg":"none"}`, `{"typ":"AT+JWT","kid":"k","jwk":{}}`, `{"typ":"at+jwt","kid":1}`,
		`{"typ":"at+jwt","kid":"k","crit":["b64"],"b64":false}`, `[]`, `null`, `"at+jwt"`, `{"typ":"at+jwt","typ":"JWT","kid":"k"}`,
	} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(header)) + ".e30.AA")
	}
	f.Add("lrd_live_000000000000000000000000000000000000")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		wellFormedKey(token)
		h, err := readHeader(token)
		if err != nil {
			return
		}
		if !strings.HasSuffix(strings.ToLower(h.Typ), "at+jwt") || h.Kid == "" || h.JWK != nil || h.JKU != nil || h.X5U != nil || h.X5C != nil || h.Crit != nil {
			t.Errorf("header %+v passes", h)
		}
		if jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA}); err == nil {
			if jws.Signatures[0].Header.Algorithm != h.Alg || jws.Signatures[0].Header.KeyID != h.Kid {
				t.Errorf("go-jose reads %+v, we read %+v", jws.Signatures[0].Header, h)
			}
		}
	})
}
