package oauth

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"larder/authserver/oidc"
	"larder/internal/id"
	"larder/internal/revocation"
)

func (h *harness) revoke(token string, auth ...string) answer {
	h.t.Helper()
	return h.post("/revoke", url.Values{"token": {token}}, auth...)
}

func expectRevoked(t *testing.T, name string, a answer) {
	t.Helper()
	if a.status != http.StatusOK || a.body != "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d %v %q", name, a.status, a.header, a.body)
	}
}

func TestRevokedAccessTokenIsDeadAtOnceAndAlone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addResourceServer()
	ada := h.addUser("Ada")
	g, refresh := h.grant(ada.ID, "sid", "openid")
	claims := h.claims(ada.ID)
	claims.GrantID = g.ID.String()
	token, sibling := h.sign(accessTokenType, claims), claims
	sibling.JTI = "another"

	expectRevoked(t, "first", h.revoke(token, "web", webSecret))
	expectRevoked(t, "again", h.revoke(token, "web", webSecret))
	if a := h.introspect(token, "api", apiSecret); a.body != dead {
		t.Errorf("revoked: %s", a.body)
	}
	if a := h.introspect(h.sign(accessTokenType, sibling), "api", apiSecret); a.json(t)["active"] != true {
		t.Errorf("another token of the grant: %s", a.body)
	}
	if a := h.introspect(refresh, "web", webSecret); a.json(t)["active"] != true {
		t.Errorf("the refresh token: %s", a.body)
	}
	h.audited("access_token.revoked", 1)
	h.onAnotherReplica(revocation.JTI, claims.JTI)
}

// onAnotherReplica checks that a revocation is in the table that all read.
func (h *harness) onAnotherReplica(kind, value string) {
	h.t.Helper()
	var set revocation.Set
	now := h.clock.Now()
	if _, err := revocation.Load(h.t.Context(), h.db.Auth, &set, now, now.AddDate(0, 0, -1)); err != nil {
		h.t.Fatal(err)
	}
	if !set.Revoked(kind, value, now.AddDate(0, 0, -1)) {
		h.t.Errorf("another replica does not learn of %s %s", kind, value)
	}
}

func TestRevokedRefreshTokenTakesItsGrantWithIt(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addResourceServer()
	ada := h.addUser("Ada")
	g, refresh := h.grant(ada.ID, "sid", "openid")
	other, otherRefresh := h.grant(ada.ID, "sid", "openid")
	claims := h.claims(ada.ID)
	claims.GrantID = g.ID.String()
	token := h.sign(accessTokenType, claims)

	expectRevoked(t, "with a wrong hint", h.post("/revoke", url.Values{"token": {refresh}, "token_type_hint": {"access_token"}}, "web", webSecret))
	expectRevoked(t, "again", h.revoke(refresh, "web", webSecret))
	for name, dying := range map[string]string{"refresh token": refresh, "access token": token} {
		if a := h.introspect(dying, "web", webSecret); a.body != dead {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	if h.revokedReason(g.ID) == "" || h.revokedReason(other.ID) != "" {
		t.Errorf("revoked %q, other %q", h.revokedReason(g.ID), h.revokedReason(other.ID))
	}
	if a := h.introspect(otherRefresh, "web", webSecret); a.json(t)["active"] != true {
		t.Errorf("another grant: %s", a.body)
	}
	h.audited("refresh_token.revoked", 1)
	h.onAnotherReplica(revocation.Grant, g.ID.String())
}

func TestRevocationByAnUsedUpTokenEndsTheFamilyToo(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	g, first := h.grant(ada.ID, "sid", "openid")
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE auth.grants SET generation = 5, previous_salt = NULL, salt = $2 WHERE id = $1`, g.ID, newSalt()); err != nil {
		t.Fatal(err)
	}
	expectRevoked(t, "generation 0 of 5", h.revoke(first, "web", webSecret))
	if h.revokedReason(g.ID) == "" {
		t.Error("the grant lives on")
	}
}

func TestRevocationOfWhatIsNotTheClientsChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addClient("other", "other-secret", oidc.Metadata{})
	ada := h.addUser("Ada")
	g, refresh := h.grant(ada.ID, "sid", "openid")
	claims := h.claims(ada.ID)
	token := h.sign(accessTokenType, claims)
	expectRevoked(t, "foreign access token", h.revoke(token, "other", "other-secret"))
	expectRevoked(t, "foreign refresh token", h.revoke(refresh, "other", "other-secret"))
	for name, forged := range forgeries(h, claims) {
		expectRevoked(t, name, h.revoke(forged, "web", webSecret))
	}
	expectRevoked(t, "junk", h.revoke("junk", "web", webSecret))
	expectRevoked(t, "unknown refresh token", h.revoke(refreshToken{grantID: id.New()}.encode(h.keys.mac[0]), "web", webSecret))
	expectRevoked(t, "ID token", h.revoke(h.idToken(oidc.Login{Subject: ada.ID, SID: claims.SID}, "web"), "web", webSecret))
	for name, living := range map[string]string{"access token": token, "refresh token": refresh} {
		if a := h.introspect(living, "web", webSecret); a.json(t)["active"] != true {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	var entries int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.revocations`).Scan(&entries); err != nil || entries != 0 || h.revokedReason(g.ID) != "" {
		t.Errorf("%d revocations, %v", entries, err)
	}
}

func TestPublicClientRevokesByItsNameAlone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addClient("spa", "", oidc.Metadata{})
	h.addWeb()
	claims := h.claims(h.addUser("Ada").ID)
	claims.ClientID = "spa"
	token := h.sign(accessTokenType, claims)
	a := h.post("/revoke", url.Values{"token": {token}, "client_id": {"spa"}})
	expectRevoked(t, "public", a)
	if a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("a browser's script cannot read the answer")
	}
	expectInvalidToken(t, "afterwards", h.userinfo(token))
	expectInvalidClient(t, "confidential by name alone", h.post("/revoke", url.Values{"token": {token}, "client_id": {"web"}}))
	expectInvalidClient(t, "nobody", h.post("/revoke", url.Values{"token": {token}}))
	expectInvalidClient(t, "public with a secret", h.post("/revoke", url.Values{"token": {token}, "client_id": {"spa"}, "client_secret": {"x"}}))
}

// fosite answers 200 when its storage fails, and the client forgets a token
// that lives on.
func TestRevocationIsNeverClaimedWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	g, refresh := h.grant(ada.ID, "sid", "openid")
	token := h.sign(accessTokenType, h.claims(ada.ID))
	h.withoutDatabase(func() {
		for name, dying := range map[string]string{"access token": token, "refresh token": refresh} {
			a := h.revoke(dying, "web", webSecret)
			if a.status != http.StatusServiceUnavailable || a.errorCode() != temporarilyUnavailable || a.header.Get("Retry-After") == "" {
				t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
			}
		}
		if a := h.introspect(refresh, "web", webSecret); a.status != http.StatusServiceUnavailable {
			t.Errorf("introspection: %d %s", a.status, a.body)
		}
	})
	if a := h.introspect(token, "web", webSecret); a.json(t)["active"] != true || h.revokedReason(g.ID) != "" {
		t.Errorf("half revoked: %s", a.body)
	}
	expectRevoked(t, "afterwards", h.revoke(refresh, "web", webSecret))
	if h.revokedReason(g.ID) == "" {
		t.Error("not revoked after the database came back")
	}
}

// withoutDatabase runs f while the role of the server may not connect, and its
// connections are gone.
func (h *harness) withoutDatabase(f func()) {
	h.t.Helper()
	ctx := h.t.Context()
	name := `"` + h.db.Name + `"`
	if _, err := h.db.Owner.Exec(ctx, `ALTER DATABASE `+name+` CONNECTION LIMIT 0`); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.db.Owner.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename <> current_user`, h.db.Name); err != nil {
		h.t.Fatal(err)
	}
	f()
	if _, err := h.db.Owner.Exec(ctx, `ALTER DATABASE `+name+` CONNECTION LIMIT -1`); err != nil {
		h.t.Fatal(err)
	}
}

// Whoever holds an API key may end it; to everybody the answer is the same.
func TestAPIKeysAreRevokedByTheirHolders(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	h.addResourceServer()
	h.apiKeys.byKey[testAPIKey] = oidc.APIKey{ID: id.New(), ServiceAccountID: id.New(), FamilyID: id.New()}
	h.apiKeys.byKey[testAPIKey+"2"] = oidc.APIKey{ID: id.New(), ServiceAccountID: id.New(), FamilyID: id.New()}
	for _, token := range []string{testAPIKey, testAPIKey, testAPIKey + "3"} {
		expectRevoked(t, token, h.post("/revoke", url.Values{"token": {token}, "client_id": {"spa"}, "token_type_hint": {"refresh_token"}}))
	}
	if a := h.introspect(testAPIKey, "api", apiSecret); a.body != dead {
		t.Errorf("the key: %s", a.body)
	}
	if a := h.introspect(testAPIKey+"2", "api", apiSecret); a.json(t)["active"] != true {
		t.Errorf("another key: %s", a.body)
	}
}

func TestRevocationRefusesMalformedRequests(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	malformed(t, h, "/revoke", "web", webSecret)
}

// A code is redeemed at a replica that has not read yet that another one ended
// the session, shut the person out, or the client.
func TestNoGrantIsMadeOfWhatEndedElsewhere(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	browser := h.browser()
	login := h.signIn(browser, ada.ID)
	for kind, value := range map[string]string{
		revocation.Session: login.SID, revocation.Subject: ada.ID.String(), revocation.Client: "web",
	} {
		code := h.code(browser, webRequest())
		if _, err := h.db.Owner.Exec(t.Context(), `INSERT INTO auth.revocations (kind, value, revoked_at, expires_at) VALUES ($1, $2, $3, $4)`,
			kind, value, h.clock.Now().Add(time.Second), h.clock.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		refused(t, h.webExchange(code), 400, "invalid_grant")
		h.clock.Advance(2 * time.Second)
	}
	h.tokens(h.webExchange(h.code(browser, webRequest())))
}
