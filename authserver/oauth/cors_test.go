package oauth

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestOnlyWhatReadsNoCookieAnswersOtherOrigins asks as a browser does before a script's request, and then as the script.
func TestOnlyWhatReadsNoCookieAnswersOtherOrigins(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for path, open := range map[string]bool{
		"/.well-known/openid-configuration": true, "/.well-known/oauth-authorization-server": true, "/jwks": true,
		"/token": true, "/userinfo": true, "/revoke": true, "/par": true, "/device_authorization": true,
		"/authorize": false, "/logout": false, "/introspect": false, "/authorize/continue": false,
	} {
		for _, method := range []string{http.MethodOptions, http.MethodGet, http.MethodPost} {
			r := httptest.NewRequestWithContext(t.Context(), method, h.issuer+path, nil)
			r.Header.Set("Origin", "https://anybody.test")
			if method == http.MethodOptions {
				r.Header.Set("Access-Control-Request-Method", http.MethodPost)
			}
			w := httptest.NewRecorder()
			h.handler.ServeHTTP(w, r)
			if w.Code == http.StatusNotFound || w.Code == http.StatusMethodNotAllowed {
				continue // a method that the endpoint does not have
			}
			want := ""
			if open {
				want = "*"
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != want || w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s: Access-Control-Allow-Origin is %q, want %q (%d)", method, path, got, want, w.Code)
			}
		}
	}
}
