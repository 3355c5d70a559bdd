package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/authserver/oidc"
	"larder/internal/id"
	"larder/internal/revocation"
)

func (h *harness) userinfo(token string) answer {
	h.t.Helper()
	r := h.request(http.MethodGet, "/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return h.do(nil, r)
}

func TestUserinfoGivesTheClaimsOfTheScopes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	profile := map[string]any{
		"name": "Ada", "given_name": "Ada", "family_name": "Lovelace", "middle_name": "King", "nickname": "Addie", "preferred_username": "ada",
		"profile": "https://larder.test/ada", "picture": "https://larder.test/ada.png", "website": "https://ada.test", "gender": "female",
		"birthdate": "1815-12-10", "zoneinfo": "Europe/London", "locale": "en-GB", "updated_at": float64(ada.UpdatedAt.Unix()),
	}
	for scope, want := range map[string]map[string]any{
		"openid":         {},
		"openid profile": profile,
		"email openid":   {"email": "ada@larder.test", "email_verified": true},
		"openid address": {"address": map[string]any{"formatted": "12 St James's Square, London"}},
		"openid phone":   {"phone_number": "+441234567890", "phone_number_verified": true},
	} {
		claims := h.claims(ada.ID)
		claims.Scope = scope
		a := h.userinfo(h.sign(accessTokenType, claims))
		want["sub"] = ada.ID.String()
		if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%s: %d %v %s", scope, a.status, a.header, a.body)
		}
		if diff := cmp.Diff(want, a.json(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", scope, diff)
		}
	}
}

func TestUserinfoLeavesOutWhatIsUnknownOrMalformed(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	user := h.addUser("Bea")
	user.Email, user.Profile = "", map[string]any{
		"given_name": 7, "locale": "", "address": "a street", "phone_number_verified": "yes", "email_verified": true, "sub": "somebody else",
	}
	h.users.set(user)
	claims := h.claims(user.ID)
	claims.Scope = "openid profile email address phone"
	got := h.userinfo(h.sign(accessTokenType, claims)).json(t)
	delete(got, "updated_at")
	want := map[string]any{"sub": user.ID.String(), "name": "Bea"}
	if got["email_verified"] != nil {
		t.Error("email_verified without email")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUserinfoTakesTheTokenFromHeaderOrBody(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	token := h.sign(accessTokenType, h.claims(ada.ID))
	form := url.Values{"access_token": {token}}
	for name, c := range map[string]struct {
		method, path, authorization string
		form                        url.Values
		status                      int
		code                        string
	}{
		"header":               {http.MethodGet, "/userinfo", "Bearer " + token, nil, 200, ""},
		"scheme in lower case": {http.MethodGet, "/userinfo", "bearer " + token, nil, 200, ""},
		"POST header":          {http.MethodPost, "/userinfo", "Bearer " + token, nil, 200, ""},
		"POST body":            {http.MethodPost, "/userinfo", "", form, 200, ""},
		"POST both":            {http.MethodPost, "/userinfo", "Bearer " + token, form, 400, invalidRequest},
		"body twice":           {http.MethodPost, "/userinfo", "", url.Values{"access_token": {token, token}}, 400, invalidRequest},
		"body oversize":        {http.MethodPost, "/userinfo", "", url.Values{"access_token": {strings.Repeat("a", maxFormBytes)}}, 413, invalidRequest},
		"query":                {http.MethodGet, "/userinfo?access_token=" + token, "", nil, 400, invalidRequest},
		"query and header":     {http.MethodGet, "/userinfo?access_token=" + token, "Bearer " + token, nil, 400, invalidRequest},
		"none":                 {http.MethodGet, "/userinfo", "", nil, 401, ""},
		"Basic":                {http.MethodGet, "/userinfo", "Basic d2ViOng=", nil, 401, ""},
		"empty":                {http.MethodGet, "/userinfo", "Bearer ", nil, 400, invalidRequest},
		"two words":            {http.MethodGet, "/userinfo", "Bearer " + token + " x", nil, 400, invalidRequest},
		"control characters":   {http.MethodGet, "/userinfo", "Bearer \ttoken", nil, 400, invalidRequest},
		"PUT":                  {http.MethodPut, "/userinfo", "Bearer " + token, nil, 405, invalidRequest},
	} {
		r := h.request(c.method, c.path, c.form)
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		a := h.do(nil, r)
		challenge := a.header.Get("Www-Authenticate")
		if a.status != c.status || c.status != 405 && a.errorCode() != c.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if c.status == 401 && (challenge != `Bearer realm="larder"` || strings.Contains(a.body, `"error"`)) {
			t.Errorf("%s: challenge %q, %s; want no error (RFC 6750 section 3.1)", name, challenge, a.body)
		}
		if c.status == 400 && !strings.Contains(challenge, `error="invalid_request"`) {
			t.Errorf("%s: challenge %q", name, challenge)
		}
	}
}

// O12 to O15, and fosite's stateless introspector, which takes an ID token for
// an access token: only at+jwt of our own signature and issuer gets through.
func TestUserinfoRefusesWhatIsNoAccessTokenOfOurs(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	good := h.claims(ada.ID)
	with := func(change func(*accessClaims)) string {
		c := good
		change(&c)
		return h.sign(accessTokenType, c)
	}
	if a := h.userinfo(with(func(*accessClaims) {})); a.status != http.StatusOK {
		t.Fatalf("a good token: %d %s", a.status, a.body)
	}
	for name, token := range forgeries(h, good) {
		expectInvalidToken(t, name, h.userinfo(token))
	}
	_, refresh := h.grant(ada.ID, "sid", "openid")
	login := oidc.Login{Subject: ada.ID, SID: "sid"}
	for name, token := range map[string]string{
		"ID token":         h.idToken(login, "web"),
		"refresh token":    refresh,
		"logout token":     h.sign(logoutTokenType, good),
		"other issuer":     with(func(c *accessClaims) { c.Issuer = "https://sibling.test" }),
		"expired":          with(func(c *accessClaims) { c.Expires = h.clock.Now().Unix() }),
		"from the future":  with(func(c *accessClaims) { c.IssuedAt = h.clock.Now().Add(5 * time.Minute).Unix() }),
		"of a client":      with(func(c *accessClaims) { c.Subject = "web" }),
		"of nobody":        with(func(c *accessClaims) { c.Subject = id.New().String() }),
		"of no token type": h.sign("", good),
	} {
		expectInvalidToken(t, name, h.userinfo(token))
	}
	for _, entry := range []revocation.Entry{
		{Kind: revocation.JTI, Value: good.JTI},
		{Kind: revocation.Grant, Value: good.GrantID},
		{Kind: revocation.Session, Value: good.SID},
		{Kind: revocation.Subject, Value: good.Subject},
		{Kind: revocation.Client, Value: good.ClientID},
	} {
		h.p.Revocations = &revocation.Set{}
		entry.RevokedAt, entry.ExpiresAt = h.clock.Now(), h.clock.Now().Add(time.Hour)
		h.p.Revocations.Add(h.clock.Now(), entry)
		expectInvalidToken(t, "revoked by "+entry.Kind, h.userinfo(with(func(*accessClaims) {})))
	}
}

func expectInvalidToken(t *testing.T, name string, a answer) {
	t.Helper()
	challenge := a.header.Get("Www-Authenticate")
	if a.status != http.StatusUnauthorized || a.errorCode() != "invalid_token" || !strings.Contains(challenge, `error="invalid_token"`) {
		t.Errorf("%s: %d %s, challenge %q", name, a.status, a.body, challenge)
	}
}

func TestUserinfoNeedsOpenID(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	claims := h.claims(ada.ID)
	claims.Scope = "profile lists:read openidx"
	a := h.userinfo(h.sign(accessTokenType, claims))
	challenge := a.header.Get("Www-Authenticate")
	if a.status != http.StatusForbidden || a.errorCode() != "insufficient_scope" || !strings.HasSuffix(challenge, `, scope="openid"`) {
		t.Errorf("%d %s %q", a.status, a.body, challenge)
	}
}

func TestUserinfoOfADisabledPersonIsOver(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	token := h.sign(accessTokenType, h.claims(ada.ID))
	ada.Disabled = true
	h.users.set(ada)
	expectInvalidToken(t, "disabled", h.userinfo(token))
}

func TestUserinfoAnswersABrowsersPreflight(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.request(http.MethodOptions, "/userinfo", nil)
	r.Header.Set("Origin", "https://app.test")
	a := h.do(nil, r)
	if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Authorization") || a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
}
