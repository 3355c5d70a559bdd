package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"larder/internal/web"
)

// testStates has one state for every browser.
type testStates struct{ state string }

func (s testStates) BrowserState(http.ResponseWriter, *http.Request) string { return s.state }
func (testStates) BrowserStateCookie() string                               { return "larder-browser-state" }

// oidcc-session-management-rp-initiated-logout, as far as there is no browser.
func TestSessionStateOfAnAuthorizationResponse(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	if q := callback(t, h.authorize(browser, webRequest()), webRedirect); q.Has("session_state") {
		t.Errorf("session_state without session management: %v", q)
	}
	h.p.BrowserStates = testStates{"the state"}
	value, salt, ok := strings.Cut(callback(t, h.authorize(browser, webRequest()), webRedirect).Get("session_state"), ".")
	sum := sha256.Sum256([]byte("web https://web.test the state " + salt))
	if !ok || salt == "" || value != hex.EncodeToString(sum[:]) {
		t.Errorf("session_state %s.%s", value, salt)
	}
	if q := callback(t, h.authorize(browser, webRequest("scope", "lists:read")), webRedirect); q.Has("session_state") {
		t.Errorf("session_state without openid: %v", q)
	}
	for uri, origin := range map[string]string{
		"https://WEB.test:443/x": "https://web.test", "http://127.0.0.1:80/": "http://127.0.0.1", "https://web.test:8443/": "https://web.test:8443",
	} {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte("web " + origin + " s salt"))
		if got := sessionState("web", u, "s", "salt"); got != hex.EncodeToString(sum[:])+".salt" {
			t.Errorf("%s: not the state of %s", uri, origin)
		}
	}
}

// Module oidcc-session-management-discovery-endpoint-verification, and the page
// that it leads to.
func TestCheckSessionIframe(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if h.p.metadata().CheckSessionIframe != "" {
		t.Error("promised without session management")
	}
	expectMissing := h.get(nil, checkSessionPath)
	h.p.BrowserStates = testStates{}
	rt := web.NewRouter(web.Problem)
	h.p.Mount(rt)
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, checkSessionPath, nil))
	script := regexp.MustCompile(`(?s)<script>(.*)</script>`).FindStringSubmatch(w.Body.String())
	if expectMissing.status != http.StatusNotFound || w.Code != http.StatusOK || len(script) != 2 || h.p.metadata().CheckSessionIframe != h.issuer+checkSessionPath {
		t.Fatalf("%d without, %d with: %s", expectMissing.status, w.Code, w.Body)
	}
	sum := sha256.Sum256([]byte(script[1]))
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") || !strings.Contains(policy, "frame-ancestors *") ||
		w.Header().Get("X-Frame-Options") != "" || !strings.Contains(script[1], `"larder-browser-state"`) {
		t.Errorf("policy %s, page %s", policy, w.Body)
	}
}
