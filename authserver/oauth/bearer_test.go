package oauth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever stands in the Authorization header, the answer is one clean token or
// a refusal whose challenge is a well-formed header.
func FuzzBearerToken(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer a.b.c==", "Bearer", "Bearer  x y", "DPoP abc", "dpop", "Basic YTpi", "Bearer \x00", "", "Bearer a,b", `Bearer "x"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/userinfo", nil)
		r.Header["Authorization"] = []string{authorization}
		w := httptest.NewRecorder()
		shown, err := readAccessToken(w, r)
		token := shown.token
		if err == nil {
			if token == "" || strings.ContainsAny(token, " ,\"\\\x00\r\n\t") || !strings.HasSuffix(authorization, token) {
				t.Errorf("%q gives token %q", authorization, token)
			}
			return
		}
		writeBearerError(w, r, err)
		challenge := w.Header().Get("Www-Authenticate")
		if token != "" || !strings.HasPrefix(challenge, "Bearer ") && !strings.HasPrefix(challenge, "DPoP ") || strings.ContainsAny(challenge, "\r\n\x00") || w.Code < 400 || w.Code > 499 {
			t.Errorf("%q gives %q, %d %q", authorization, token, w.Code, challenge)
		}
	})
}
