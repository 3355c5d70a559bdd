package oauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/authserver/oidc"
	"larder/internal/id"
	"larder/internal/revocation"
)

const testAPIKey = "lrd_live_0123456789abcdefghijklmnopqrstuvwxyz"

func (h *harness) introspect(token string, auth ...string) answer {
	h.t.Helper()
	return h.post("/introspect", url.Values{"token": {token}}, auth...)
}

// dead is all that a client learns of a token that is over or not its own.
const dead = `{"active":false}`

func TestIntrospectionTellsOfAnAccessToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addResourceServer()
	ada := h.addUser("Ada")
	c := h.claims(ada.ID)
	token := h.sign(accessTokenType, c)
	want := map[string]any{
		"active": true, "token_type": "Bearer", "iss": h.issuer, "sub": c.Subject, "client_id": "web", "aud": testAPI, "scope": c.Scope,
		"exp": float64(c.Expires), "iat": float64(c.IssuedAt), "jti": c.JTI, "grant_id": c.GrantID, "sid": c.SID,
		"auth_time": float64(c.AuthTime), "acr": c.ACR, "amr": []any{"pwd"},
	}
	for _, auth := range [][]string{{"web", webSecret}, {"api", apiSecret}} {
		a := h.introspect(token, auth...)
		if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d %v %s", auth[0], a.status, a.header, a.body)
		}
		if diff := cmp.Diff(want, a.json(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", auth[0], diff)
		}
	}
	hinted := h.post("/introspect", url.Values{"token": {token}, "token_type_hint": {"refresh_token"}}, "web", webSecret)
	if hinted.json(t)["active"] != true {
		t.Error("a wrong token_type_hint hides the token")
	}
}

// fosite shows every token to every client, and takes any live access token in
// place of client authentication.
func TestIntrospectionShowsNoClientWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addResourceServer()
	h.addClient("other", "other-secret", oidc.Metadata{})
	h.addClient("files", "files-secret", oidc.Metadata{IntrospectResource: "https://files.test"})
	h.addClient("spa", "", oidc.Metadata{})
	ada := h.addUser("Ada")
	token := h.sign(accessTokenType, h.claims(ada.ID))
	_, refresh := h.grant(ada.ID, "sid", "openid")
	h.apiKeys.byKey[testAPIKey] = oidc.APIKey{ID: id.New(), ServiceAccountID: id.New(), FamilyID: id.New()}

	for _, c := range []struct{ name, token, client, secret string }{
		{"access token", token, "other", "other-secret"},
		{"access token", token, "files", "files-secret"},
		{"refresh token", refresh, "other", "other-secret"},
		{"refresh token", refresh, "api", apiSecret},
		{"API key", testAPIKey, "other", "other-secret"},
		{"API key", testAPIKey, "web", webSecret},
	} {
		if a := h.introspect(c.token, c.client, c.secret); a.status != http.StatusOK || a.body != dead {
			t.Errorf("%s seen by %s: %d %s", c.name, c.client, a.status, a.body)
		}
	}
	r := h.request(http.MethodPost, "/introspect", url.Values{"token": {token}})
	r.Header.Set("Authorization", "Bearer "+token)
	expectInvalidClient(t, "bearer", h.do(nil, r))
	expectInvalidClient(t, "nobody", h.introspect(token))
	expectInvalidClient(t, "wrong secret", h.introspect(token, "api", "wrong"))
	expectInvalidClient(t, "post instead of basic", h.post("/introspect", url.Values{"token": {token}, "client_id": {"api"}, "client_secret": {apiSecret}}))
	expectInvalidClient(t, "public client", h.post("/introspect", url.Values{"token": {token}, "client_id": {"spa"}}))
	expectInvalidClient(t, "unknown client", h.introspect(token, "nobody", "x"))
}

func expectInvalidClient(t *testing.T, name string, a answer) {
	t.Helper()
	if a.status != http.StatusUnauthorized || a.errorCode() != invalidClient || !strings.HasPrefix(a.header.Get("Www-Authenticate"), "Basic ") {
		t.Errorf("%s: %d %s, challenge %q", name, a.status, a.body, a.header.Get("Www-Authenticate"))
	}
}

func TestIntrospectionOfAnythingElseIsInactive(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addResourceServer()
	ada := h.addUser("Ada")
	c := h.claims(ada.ID)
	tokens := forgeries(h, c)
	tokens["ID token"] = h.idToken(oidc.Login{Subject: ada.ID, SID: c.SID}, "web")
	tokens["junk"] = "junk"
	tokens["unknown API key"] = testAPIKey
	tokens["forged refresh token"] = refreshToken{grantID: id.New()}.encode([]byte("not our key"))
	tokens["refresh token of no grant"] = refreshToken{grantID: id.New()}.encode(h.keys.mac[0])
	expired := c
	expired.Expires = h.clock.Now().Unix()
	tokens["expired"] = h.sign(accessTokenType, expired)
	sibling := c
	sibling.Issuer = "https://sibling.test"
	tokens["sibling issuer"] = h.sign(accessTokenType, sibling)
	for name, token := range tokens {
		for _, auth := range [][]string{{"web", webSecret}, {"api", apiSecret}} {
			if a := h.introspect(token, auth...); a.status != http.StatusOK || a.body != dead {
				t.Errorf("%s seen by %s: %d %s", name, auth[0], a.status, a.body)
			}
		}
	}
}

func TestIntrospectionTellsItsHolderOfARefreshToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	g, token := h.grant(ada.ID, "a-session", "openid", "lists:read")
	want := map[string]any{
		"active": true, "token_type": "refresh_token", "iss": h.issuer, "sub": ada.ID.String(), "client_id": "web", "scope": "openid lists:read",
		"exp": float64(g.IdleExpiresAt.Unix()), "grant_id": g.ID.String(), "sid": "a-session",
		"auth_time": float64(g.Session.AuthTime.Unix()), "acr": oidc.ACRPassword, "amr": []any{"pwd"},
	}
	if diff := cmp.Diff(want, h.introspect(token, "web", webSecret).json(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other := refreshToken{grantID: g.ID, generation: 7}.encode(h.keys.mac[0])
	if a := h.introspect(other, "web", webSecret); a.body != dead {
		t.Errorf("a token of another generation: %s", a.body)
	}
	h.clock.Advance(31 * 24 * time.Hour)
	if a := h.introspect(token, "web", webSecret); a.body != dead {
		t.Errorf("idle for too long: %s", a.body)
	}
}

func TestIntrospectionTellsTheResourceServerOfAnAPIKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addResourceServer()
	now := h.clock.Now()
	key := oidc.APIKey{
		ID: id.New(), ServiceAccountID: id.New(), Name: "fridge", FamilyID: id.New(), Scopes: []string{"lists:read", "lists:write"},
		CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	h.apiKeys.byKey[testAPIKey] = key
	want := map[string]any{
		"active": true, "token_type": "api_key", "iss": h.issuer, "sub": key.ServiceAccountID.String(), "aud": testAPI, "scope": "lists:read lists:write",
		"exp": float64(key.ExpiresAt.Unix()), "iat": float64(now.Unix()), "jti": key.ID.String(),
		"family_id": key.FamilyID.String(), "api_key_id": key.ID.String(), "name": "fridge",
	}
	if diff := cmp.Diff(want, h.introspect(testAPIKey, "api", apiSecret).json(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A person's own goes under another name, so that nobody takes it for one that acts for the family.
	key.UserID, key.ServiceAccountID = id.New(), id.ID{}
	h.apiKeys.byKey[testAPIKey] = key
	want["sub"], want["personal_key_id"] = key.UserID.String(), key.ID.String()
	delete(want, "api_key_id")
	if diff := cmp.Diff(want, h.introspect(testAPIKey, "api", apiSecret).json(t)); diff != "" {
		t.Errorf("a person's own (-want +got):\n%s", diff)
	}
	h.p.Revocations.Add(now, revocation.Entry{Kind: revocation.APIKey, Value: key.ID.String(), RevokedAt: now.Add(time.Second), ExpiresAt: now.Add(time.Hour)})
	if a := h.introspect(testAPIKey, "api", apiSecret); a.body != dead {
		t.Errorf("revoked: %s", a.body)
	}
	for said, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "2001:db8::/64": "2001:db8::/64", "2001:db8::1%eth0": "2001:db8::1", "": "", "unknown": "", "<b>": "",
	} {
		if got := network(said); got != want {
			t.Errorf("the network %q is kept as %q, want %q", said, got, want)
		}
	}
}

func TestIntrospectionRefusesMalformedRequests(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addResourceServer()
	malformed(t, h, "/introspect", "api", apiSecret)
}

// malformed sends what no endpoint that takes a token may accept.
func malformed(t *testing.T, h *harness, path, client, clientSecret string) {
	t.Helper()
	token := url.Values{"token": {"x"}}
	for name, c := range map[string]struct {
		form   url.Values
		status int
	}{
		"no token":         {url.Values{}, 400},
		"empty token":      {url.Values{"token": {""}}, 400},
		"two tokens":       {url.Values{"token": {"x", "y"}}, 400},
		"two hints":        {url.Values{"token": {"x"}, "token_type_hint": {"a", "b"}}, 400},
		"NUL":              {url.Values{"token": {"x\x00"}}, 400},
		"not UTF-8":        {url.Values{"token": {"\xff"}}, 400},
		"oversize":         {url.Values{"token": {strings.Repeat("x", maxFormBytes)}}, 413},
		"unknown is fine":  {url.Values{"token": {"x"}, "colour": {"green"}}, 200},
		"too many at once": {manyParameters(), 400},
	} {
		a := h.post(path, c.form, client, clientSecret)
		if a.status != c.status || c.status != 200 && a.errorCode() != invalidRequest {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, c.status)
		}
	}
	for _, media := range []string{"application/json", "text/plain", "", "multipart/form-data; boundary=x"} {
		r := h.request(http.MethodPost, path, token)
		r.SetBasicAuth(client, clientSecret)
		r.Header.Set("Content-Type", media)
		if a := h.do(nil, r); a.status != http.StatusBadRequest || a.errorCode() != invalidRequest {
			t.Errorf("Content-Type %q: %d %s", media, a.status, a.body)
		}
	}
	r := h.request(http.MethodPost, path+"?token=x", url.Values{})
	r.SetBasicAuth(client, clientSecret)
	if a := h.do(nil, r); a.status != http.StatusBadRequest {
		t.Errorf("token in the query: %d %s", a.status, a.body)
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		r := h.request(method, path+"?token=x", nil)
		r.SetBasicAuth(client, clientSecret)
		if a := h.do(nil, r); a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, a.status)
		}
	}
}

func manyParameters() url.Values {
	v := url.Values{"token": {"x"}}
	for i := range maxParameters + 1 {
		v.Set("p"+strings.Repeat("x", i), "1")
	}
	return v
}

// BenchmarkIntrospection measures the handler in process; the target is 6,000
// requests a second on two processors with their clients.
func BenchmarkIntrospection(b *testing.B) {
	h := newHarness(b)
	h.addWeb()
	h.addResourceServer()
	form := url.Values{"token": {h.sign(accessTokenType, h.claims(id.New()))}}.Encode()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/introspect", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("api", apiSecret)
		w := httptest.NewRecorder()
		if h.handler.ServeHTTP(w, r); w.Code != http.StatusOK || w.Body.Len() < 100 {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

func benchmarkGet(b *testing.B, path string) {
	b.Helper()
	h := newHarness(b)
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.handler.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}
