package oauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"larder/authserver/oidc"
	"larder/internal/id"
)

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, login := h.family()
	h.clock.Advance(time.Minute)
	second := h.tokens(h.spaRefresh(first.RefreshToken))
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken || second.ExpiresIn != 300 || second.Scope != first.Scope {
		t.Errorf("answer %+v", second)
	}
	_, was := unpack(t, first.IDToken)
	_, is := unpack(t, second.IDToken)
	for _, claim := range []string{"iss", "sub", "aud", "auth_time", "sid", "acr"} {
		if was[claim] != is[claim] {
			t.Errorf("ID token: %s was %v, is %v", claim, was[claim], is[claim])
		}
	}
	if seconds(is, "iat") < seconds(was, "iat")+60 || is["nonce"] != nil || is["sid"] != login.SID {
		t.Errorf("refreshed ID token %v", is)
	}
	_, was = unpack(t, first.AccessToken)
	_, is = unpack(t, second.AccessToken)
	if was["grant_id"] != is["grant_id"] || was["jti"] == is["jti"] || was["sub"] != is["sub"] {
		t.Errorf("refreshed access token %v", is)
	}
	h.tokens(h.spaRefresh(second.RefreshToken))
}

// A lost response: the same token again, inside the grace, finds the same successor.
func TestRefreshIsIdempotentWithinTheGrace(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, _ := h.family()
	second := h.tokens(h.spaRefresh(first.RefreshToken))
	h.clock.Advance(29 * time.Second)
	again := h.tokens(h.spaRefresh(first.RefreshToken))
	if again.RefreshToken != second.RefreshToken || !h.live(again.AccessToken) {
		t.Errorf("another successor, or no valid access token")
	}
	h.tokens(h.spaRefresh(second.RefreshToken))
}

// O18: after the grace it is reuse, and the family stays dead.
func TestRefreshReuseKillsTheFamily(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, _ := h.family()
	second := h.tokens(h.spaRefresh(first.RefreshToken))
	h.clock.Advance(31 * time.Second)
	refused(t, h.spaRefresh(first.RefreshToken), http.StatusBadRequest, "invalid_grant")
	refused(t, h.spaRefresh(second.RefreshToken), http.StatusBadRequest, "invalid_grant")
	if h.live(second.AccessToken) {
		t.Error("the access token lives on")
	}
	h.audited("refresh_token.reused", 1)
	if g, active, err := h.p.grants.find(t.Context(), second.RefreshToken); err != nil || active || g.RevokedAt.IsZero() {
		t.Errorf("grant %+v, active %t, %v", g, active, err)
	}
	// A replica that has only just started has never seen the token, and what Redis knew of it is gone.
	restarted, err := New(h.p.Dependencies)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.p.Redis.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {second.RefreshToken}}
	rec := httptest.NewRecorder()
	h.mount(restarted).ServeHTTP(rec, h.request(http.MethodPost, "/token", form))
	refused(t, answer{status: rec.Code, header: rec.Header(), body: rec.Body.String()}, http.StatusBadRequest, "invalid_grant")
}

// Two generations back is reuse, grace or not.
func TestRefreshReuseOfAnOldGeneration(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, _ := h.family()
	second := h.tokens(h.spaRefresh(first.RefreshToken))
	third := h.tokens(h.spaRefresh(second.RefreshToken))
	refused(t, h.spaRefresh(first.RefreshToken), http.StatusBadRequest, "invalid_grant")
	refused(t, h.spaRefresh(third.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

// O3: another client's attempt is refused and costs the family nothing.
func TestRefreshTokenIsBoundToItsClient(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	first, _ := h.family()
	h.tokens(h.spaRefresh(first.RefreshToken))
	h.clock.Advance(time.Minute)
	second := h.tokens(h.spaRefresh(h.newest(first.RefreshToken)))
	for _, token := range []string{first.RefreshToken, second.RefreshToken} {
		a := h.post("/token", map[string][]string{"grant_type": {"refresh_token"}, "refresh_token": {token}}, "web", webSecret)
		refused(t, a, http.StatusBadRequest, "invalid_grant")
	}
	h.tokens(h.spaRefresh(second.RefreshToken))
	h.audited("refresh_token.reused", 0)
}

// newest makes the newest token of a family.
func (h *harness) newest(member string) string {
	h.t.Helper()
	g, _, err := h.p.grants.find(h.t.Context(), member)
	if err != nil {
		h.t.Fatal(err)
	}
	token, err := h.p.encodeRefreshToken(g.ID, g.Generation, g.Salt)
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// O20: less is given, more is not, and a slip costs nothing.
func TestRefreshNarrows(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, _ := h.family("scope", "openid lists:read")
	for _, scope := range []string{"openid lists:read lists:write", "email", "admin"} {
		refused(t, h.spaRefresh(first.RefreshToken, "scope", scope), http.StatusBadRequest, "invalid_scope")
	}
	refused(t, h.spaRefresh(first.RefreshToken, "resource", "https://other.test"), http.StatusBadRequest, "invalid_target")
	narrow := h.tokens(h.spaRefresh(first.RefreshToken, "scope", "lists:read"))
	if _, claims := unpack(t, narrow.AccessToken); narrow.Scope != "lists:read" || claims["scope"] != "lists:read" || narrow.IDToken != "" {
		t.Errorf("answer %+v", narrow)
	}
	if wide := h.tokens(h.spaRefresh(narrow.RefreshToken)); wide.Scope != "openid lists:read" {
		t.Errorf("the family lost scope: %+v", wide)
	}
}

// O19: who is shut out gets nothing more.
func TestRefreshEndsWithTheRightToIt(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	web := h.addWeb()
	browser, user := h.browser(), h.addUser("Ada")
	h.signIn(browser, user.ID)
	family := func() string { return h.tokens(h.webExchange(h.code(browser, webRequest()))).RefreshToken }
	refresh := func(token string) answer {
		return h.post("/token", map[string][]string{"grant_type": {"refresh_token"}, "refresh_token": {token}}, "web", webSecret)
	}
	token := family()
	for name, c := range map[string]struct{ out, in string }{
		"disabled":          {`UPDATE auth.users SET disabled_at = now() WHERE id = $1`, `UPDATE auth.users SET disabled_at = NULL WHERE id = $1`},
		"consent withdrawn": {`DELETE FROM auth.consents WHERE user_id = $1`, `INSERT INTO auth.consents (user_id, client_id, scopes, resources) VALUES ($1, 'web', '{}', '{}')`},
	} {
		if _, err := h.db.Owner.Exec(t.Context(), c.out, user.ID); err != nil {
			t.Fatal(err)
		}
		if a := refresh(token); a.errorCode() != "invalid_grant" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if _, err := h.db.Owner.Exec(t.Context(), c.in, user.ID); err != nil {
			t.Fatal(err)
		}
	}
	disabled := *web
	disabled.Disabled = true
	h.clients.set(&disabled)
	refused(t, refresh(token), http.StatusUnauthorized, "invalid_client")
	h.clients.set(web)
	h.tokens(refresh(token))
	if _, err := h.db.Owner.Exec(t.Context(), `DELETE FROM auth.users WHERE id = $1`, user.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, refresh(token), http.StatusBadRequest, "invalid_grant")
}

func TestRefreshTokenExpires(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	idle, _ := h.family()
	h.clock.Advance(30*24*time.Hour + time.Second)
	refused(t, h.spaRefresh(idle.RefreshToken), http.StatusBadRequest, "invalid_grant")

	used, _ := h.family()
	for range 3 {
		h.clock.Advance(29 * 24 * time.Hour)
		used = h.tokens(h.spaRefresh(used.RefreshToken))
	}
	h.clock.Advance(3*24*time.Hour + time.Hour) // 90 days and an hour old, used 3 days ago
	refused(t, h.spaRefresh(used.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

// Without offline_access a family ends with the browser session, with it it stays.
func TestRefreshAfterLogout(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	online, login := h.family("scope", "openid")
	offline, other := h.family("scope", "openid offline_access")
	for _, over := range []oidc.Login{login, other} {
		h.logOut(over)
	}
	refused(t, h.spaRefresh(online.RefreshToken), http.StatusBadRequest, "invalid_grant")
	h.tokens(h.spaRefresh(offline.RefreshToken))
	if h.live(online.AccessToken) || h.live(offline.AccessToken) {
		t.Error("an access token of an ended session lives on")
	}
}

// Junk costs no query: there is no database to ask here.
func TestJunkRefreshTokensCostNoQuery(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	genuine := refreshToken{grantID: id.New(), salt: [saltSize]byte(newSalt())}
	flipped := []byte(genuine.encode(h.keys.mac[0]))
	flipped[20] ^= 1
	h.breakDatabase()
	for name, token := range map[string]string{
		"empty prefix": "lrt_", "garbage": "garbage", "another key": genuine.encode(make([]byte, 32)), "one bit off": string(flipped),
		"padded": genuine.encode(h.keys.mac[0]) + "=", "too long": genuine.encode(h.keys.mac[0]) + strings.Repeat("A", 4), "no prefix": genuine.encode(h.keys.mac[0])[4:],
	} {
		if a := h.spaRefresh(token); a.errorCode() != "invalid_grant" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := h.spaRefresh(genuine.encode(h.keys.mac[0])); a.status != http.StatusServiceUnavailable {
		t.Errorf("the database is not broken: %d %s", a.status, a.body)
	}
}

// A key rotation leaves the tokens that are out valid.
func TestRefreshAcrossAKeyRotation(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, _ := h.family()
	newer := make([]byte, 32)
	newer[0] = 1
	h.keys.mac = append([][]byte{newer}, h.keys.mac...)
	second := h.tokens(h.spaRefresh(first.RefreshToken))
	if _, ok := readRefreshToken(second.RefreshToken, [][]byte{newer}); !ok {
		t.Error("the successor is not under the newest key")
	}
	h.tokens(h.spaRefresh(second.RefreshToken))
}
