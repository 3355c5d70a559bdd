package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"larder/authserver/oidc"
)

const (
	testVerifier = "a-verifier-of-at-least-forty-three-characters-0"
	spaRedirect  = "http://127.0.0.1:51000/callback"
	webRedirect  = "https://web.test/callback"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// addSPA registers a public client on a loopback redirect URI.
func (h *harness) addSPA() *oidc.Client {
	return h.addClient("spa", "", oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode, oidc.RefreshToken}, RedirectURIs: []string{"http://127.0.0.1/callback"},
		Scope: "openid profile email offline_access lists:read lists:write", Resources: []string{testAPI}, FirstParty: true,
	})
}

// addMachine registers a client that acts for itself.
func (h *harness) addMachine() {
	h.addClient("machine", "machine-secret", oidc.Metadata{
		GrantTypes: []string{oidc.ClientCredentials}, Scope: "lists:read lists:write", Resources: []string{testAPI},
	})
}

// with returns a copy of v in which names have other values; "" deletes one.
func with(v url.Values, namesAndValues ...string) url.Values {
	c := url.Values{}
	for name, values := range v {
		c[name] = append([]string(nil), values...)
	}
	for i := 0; i < len(namesAndValues); i += 2 {
		if c.Del(namesAndValues[i]); namesAndValues[i+1] != "" {
			c.Set(namesAndValues[i], namesAndValues[i+1])
		}
	}
	return c
}

// webRequest and spaRequest are complete authorization requests.
func webRequest(namesAndValues ...string) url.Values {
	return with(url.Values{
		"client_id": {"web"}, "redirect_uri": {webRedirect}, "response_type": {"code"}, "scope": {"openid lists:read"}, "state": {"s"},
		"nonce": {"n"}, "code_challenge": {challengeOf(testVerifier)}, "code_challenge_method": {"S256"},
	}, namesAndValues...)
}

func spaRequest(namesAndValues ...string) url.Values {
	return with(webRequest("client_id", "spa", "redirect_uri", spaRedirect), namesAndValues...)
}

func (h *harness) authorize(browser *http.Client, request url.Values) answer {
	h.t.Helper()
	return h.get(browser, "/authorize?"+request.Encode())
}

// callback is what the client is told, and checks that only it is.
func callback(t testing.TB, a answer, redirectURI string) url.Values {
	t.Helper()
	location := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(location, redirectURI+"?") {
		t.Fatalf("status %d, location %q, body %q; want 303 to %s", a.status, location, a.body, redirectURI)
	}
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// flowOf is the id of the parked request that the browser is sent to a page for.
func flowOf(t testing.TB, a answer, page string) string {
	t.Helper()
	flowID, ok := strings.CutPrefix(a.header.Get("Location"), page+"?flow=")
	if a.status != http.StatusSeeOther || !ok {
		t.Fatalf("status %d, location %q, body %q; want 303 to %s", a.status, a.header.Get("Location"), a.body, page)
	}
	return flowID
}

// code gets a code for a person who is signed in and has agreed.
func (h *harness) code(browser *http.Client, request url.Values) string {
	h.t.Helper()
	q := callback(h.t, h.authorize(browser, request), request.Get("redirect_uri"))
	if q.Get("code") == "" {
		h.t.Fatalf("no code: %v", q)
	}
	return q.Get("code")
}

// spaTokens redeems a code of spa.
func (h *harness) spaExchange(code string, namesAndValues ...string) answer {
	h.t.Helper()
	return h.post("/token", with(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"spa"}, "code": {code}, "redirect_uri": {spaRedirect}, "code_verifier": {testVerifier},
	}, namesAndValues...))
}

func (h *harness) webExchange(code string, namesAndValues ...string) answer {
	h.t.Helper()
	return h.post("/token", with(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {webRedirect}, "code_verifier": {testVerifier},
	}, namesAndValues...), "web", webSecret)
}

func (h *harness) spaRefresh(token string, namesAndValues ...string) answer {
	h.t.Helper()
	return h.post("/token", with(url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {token}}, namesAndValues...))
}

// tokens reads an answer that must be a success.
func (h *harness) tokens(a answer) tokenResponse {
	h.t.Helper()
	if a.status != http.StatusOK {
		h.t.Fatalf("status %d: %s", a.status, a.body)
	}
	m := a.json(h.t)
	get := func(name string) string { s, _ := m[name].(string); return s }
	expires, _ := m["expires_in"].(float64)
	return tokenResponse{
		AccessToken: get("access_token"), TokenType: get("token_type"), ExpiresIn: int64(expires), Scope: get("scope"),
		RefreshToken: get("refresh_token"), IDToken: get("id_token"),
	}
}

// family signs somebody in at spa and returns the first tokens.
func (h *harness) family(namesAndValues ...string) (tokenResponse, oidc.Login) {
	h.t.Helper()
	if _, err := h.clients.Client(h.t.Context(), "spa"); err != nil {
		h.addSPA()
	}
	browser := h.browser()
	login := h.signIn(browser, h.addUser("Ada").ID)
	return h.tokens(h.spaExchange(h.code(browser, spaRequest(namesAndValues...)))), login
}

// refused fails unless a is the given error, and a well-formed one.
func refused(t testing.TB, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.errorCode() != code {
		t.Errorf("status %d, body %s; want %d %s", a.status, a.body, status, code)
		return
	}
	if description, _ := a.json(t)["error_description"].(string); description == "" || strings.ContainsAny(description, `"\`) {
		t.Errorf("error_description %q", description)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", a.header)
	}
}

// live reports whether an access token is accepted.
func (h *harness) live(accessToken string) bool {
	_, err := h.p.VerifyAccessToken(h.t.Context(), accessToken, "")
	return err == nil
}

// logOut ends a session as the end-session endpoint does.
func (h *harness) logOut(login oidc.Login) {
	h.t.Helper()
	if _, err := h.p.endSession(h.request(http.MethodPost, "/logout", nil), &login, &logoutRequest{}); err != nil {
		h.t.Fatal(err)
	}
}
