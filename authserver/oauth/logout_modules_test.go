package oauth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/authserver/oidc"
	"larder/internal/id"
)

// The modules of the OpenID Foundation's plans for logout, each by its name.

const webFront = "https://web.test/front?x=1"

// loggedIn signs Ada in at web by a whole code flow and returns her browser and
// the ID token.
func (h *harness) loggedIn(browser *http.Client) (idToken string) {
	h.t.Helper()
	h.signIn(browser, h.addUser("Ada").ID)
	return h.tokens(h.webExchange(h.code(browser, webRequest("scope", "openid")))).IDToken
}

func (h *harness) addWebThatHears() {
	h.t.Helper()
	h.addWeb()
	web, _ := h.clients.Client(h.t.Context(), "web")
	m := web.Metadata
	m.BackchannelLogoutURI, m.FrontchannelLogoutURI = "https://web.test/back", webFront
	h.clients.set(&oidc.Client{ID: web.ID, SecretHashes: web.SecretHashes, Metadata: m, Version: 2})
}

// isSignedIn asks as a relying party does, with prompt=none.
func (h *harness) isSignedIn(browser *http.Client) bool {
	h.t.Helper()
	q := callback(h.t, h.authorize(browser, webRequest("prompt", "none")), webRedirect)
	if !q.Has("code") && q.Get("error") != "login_required" {
		h.t.Errorf("prompt=none: %v", q)
	}
	return q.Has("code")
}

func TestRPInitiatedLogoutModules(t *testing.T) {
	t.Parallel()
	const uri, hint = "post_logout_redirect_uri", "id_token_hint"
	type module struct {
		query  func(idToken string) []string
		goesTo string // "" is a page of ours
		page   string
		stays  bool // signed in
	}
	h := newHarness(t)
	h.addWeb()
	forgedFor := func(kind string) func(string) []string {
		return func(string) []string {
			return []string{hint, forgeries(h, map[string]any{"iss": h.issuer, "aud": "web", "sub": "x", "sid": "x"})[kind], uri, webBye, "state", "s"}
		}
	}
	for name, m := range map[string]module{
		"oidcc-rp-initiated-logout": {
			query: func(token string) []string { return []string{hint, token, uri, webBye, "state", "s"} }, goesTo: webBye + "?state=s",
		},
		"oidcc-rp-initiated-logout-no-state": {
			query: func(token string) []string { return []string{hint, token, uri, webBye} }, goesTo: webBye,
		},
		"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri": {
			query: func(token string) []string { return []string{hint, token, uri, "https://web.test/other", "state", "s"} },
			page:  "error page", stays: true,
		},
		"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": {
			query: func(token string) []string { return []string{hint, token, uri, webBye + "?foo=bar", "state", "s"} },
			page:  "error page", stays: true,
		},
		"oidcc-rp-initiated-logout-no-id-token-hint": {
			query: func(string) []string { return []string{uri, webBye, "state", "s"} }, page: "confirm page", stays: true,
		},
		"oidcc-rp-initiated-logout-modified-id-token-hint": {query: forgedFor("alg none"), page: "error page", stays: true},
		"oidcc-rp-initiated-logout-bad-id-token-hint":      {query: forgedFor("foreign key"), page: "confirm page", stays: true},
		"oidcc-rp-initiated-logout-no-params":              {query: func(string) []string { return nil }, page: "confirm page", stays: true},
		"oidcc-rp-initiated-logout-no-post-logout-redirect-uri": {
			query: func(token string) []string { return []string{hint, token, "state", "s"} }, page: "logged-out page",
		},
		"oidcc-rp-initiated-logout-only-state": {query: func(string) []string { return []string{"state", "s"} }, page: "confirm page", stays: true},
	} {
		browser := h.browser()
		a := h.get(browser, logoutURL(m.query(h.loggedIn(browser))...))
		if m.goesTo != "" {
			expectRedirect(t, name, a, m.goesTo)
		} else if a.header.Get("Location") != "" || !strings.HasPrefix(a.body, m.page) {
			t.Errorf("%s: %d to %q, %s; want the %s", name, a.status, a.header.Get("Location"), a.body, m.page)
		}
		if h.isSignedIn(browser) != m.stays {
			t.Errorf("%s: signed in afterwards: %v", name, !m.stays)
		}
	}
}

// Modules oidcc-rp-initiated-logout-discovery-endpoint-verification,
// oidcc-backchannel-logout-discovery-endpoint-verification and
// oidcc-frontchannel-logout-discovery-endpoint-verification.
func TestLogoutDiscoveryEndpointVerification(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	doc := h.get(nil, "/.well-known/openid-configuration").json(t)
	for _, flag := range []string{
		"backchannel_logout_supported", "backchannel_logout_session_supported", "frontchannel_logout_supported", "frontchannel_logout_session_supported",
	} {
		if doc[flag] != true {
			t.Errorf("%s is %v", flag, doc[flag])
		}
	}
	if doc["end_session_endpoint"] != h.issuer+"/logout" {
		t.Errorf("end_session_endpoint is %v", doc["end_session_endpoint"])
	}
}

// oidcc-backchannel-rp-initiated-logout up to the job, which package logout and
// tests/rp see arrive.
func TestBackchannelRPInitiatedLogout(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWebThatHears()
	h.addSPA() // hears of nothing
	browser := h.browser()
	login := h.signIn(browser, h.addUser("Ada").ID)
	token := h.tokens(h.webExchange(h.code(browser, webRequest("scope", "openid")))).IDToken
	h.tokens(h.webExchange(h.code(browser, webRequest("scope", "openid")))) // a second time: told once all the same
	h.tokens(h.spaExchange(h.code(browser, spaRequest())))
	if hint, err := h.p.verifyHint(token); err != nil || hint.SID != login.SID {
		t.Fatalf("the ID token has %+v, %v; the session is %q", hint, err, login.SID)
	}
	h.get(browser, logoutURL("id_token_hint", token))
	jobs := func() (told []string) {
		err := h.db.Owner.QueryRow(t.Context(), `SELECT array_agg((args->>'client_id') || ' ' || (args->>'sid') || ' ' || (args->>'sub'))
			FROM auth.river_job WHERE kind = 'backchannel_logout'`).Scan(&told)
		if err != nil {
			t.Fatal(err)
		}
		return told
	}
	want := []string{"web " + login.SID + " " + login.Subject.String()}
	if got := jobs(); !slices.Equal(got, want) {
		t.Errorf("jobs %q, want %q", got, want)
	}
	// Ended from afar, as by the page of one's devices or an operator.
	browser = h.browser()
	login = h.signIn(browser, h.addUser("Bea").ID)
	h.tokens(h.webExchange(h.code(browser, webRequest("scope", "openid"))))
	if err := h.p.RevokeSession(t.Context(), login.SID); err != nil {
		t.Fatal(err)
	}
	if got := jobs(); len(got) != 2 || !strings.Contains(got[1], login.SID) && !strings.Contains(got[0], login.SID) {
		t.Errorf("jobs %q lack the session %s", got, login.SID)
	}
}

// oidcc-frontchannel-rp-initiated-logout: the frame has iss and sid behind what
// was registered, and nothing else; only then does the browser go on.
func TestFrontchannelRPInitiatedLogout(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWebThatHears()
	browser := h.browser()
	login := h.signIn(browser, h.addUser("Ada").ID)
	token := h.tokens(h.webExchange(h.code(browser, webRequest("scope", "openid")))).IDToken
	want := "\nframe " + webFront + "&amp;" + strings.ReplaceAll(url.Values{"iss": {h.issuer}, "sid": {login.SID}}.Encode(), "&", "&amp;")
	a := h.get(browser, logoutURL("id_token_hint", token, "post_logout_redirect_uri", webBye, "state", "s"))
	expectPage(t, "with a return address", a, http.StatusOK, "logged-out page: Larder on the web "+webBye+"?state=s"+want+"\nonward")
	if h.isSignedIn(browser) {
		t.Error("still signed in")
	}
	// Again, as a page that is loaded twice: nobody is left to hear of it.
	expectRedirect(t, "again", h.get(browser, logoutURL("id_token_hint", token, "post_logout_redirect_uri", webBye)), webBye)

	// By our own button.
	login = h.signIn(browser, login.Subject)
	h.tokens(h.webExchange(h.code(browser, webRequest("scope", "openid"))))
	r := h.request(http.MethodPost, "/logout", url.Values{"action": {"logout"}})
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if a := h.do(browser, r); !strings.Contains(a.body, "sid="+login.SID) || strings.Contains(a.body, "onward") {
		t.Errorf("our own button: %s", a.body)
	}
}

// What the token says (Back-Channel Logout §2.4), to each client under its own
// subject and algorithm. As a hint it proves nothing.
func TestLogoutToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	web := h.addWeb()
	rsa := h.addClient("rsa", "x", oidc.Metadata{IDTokenSignedAlg: "RS256"})
	one := h.addPairwise("one", "https://sector.test/uris.json")
	ada := id.New()
	for _, client := range []*oidc.Client{web, rsa, one} {
		token, err := h.p.LogoutToken(t.Context(), client, ada, "sid-1")
		if err != nil {
			t.Fatal(err)
		}
		payload, alg, err := h.keys.Verify(token, logoutTokenType)
		if err != nil || alg != idTokenProtection(&client.Metadata).signed {
			t.Fatalf("%s: %s, %v", client.ID, alg, err)
		}
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		subject, err := h.p.subjectFor(client, ada)
		if err != nil {
			t.Fatal(err)
		}
		now, jti := float64(h.clock.Now().Unix()), claims["jti"]
		if iat, _ := claims["iat"].(float64); now-iat > 60 || claims["exp"] != iat+120 || jti == "" {
			t.Errorf("%s: %v", client.ID, claims)
		}
		for _, name := range []string{"iat", "exp", "jti"} {
			delete(claims, name)
		}
		want := map[string]any{
			"iss": h.issuer, "aud": client.ID, "sub": subject, "sid": "sid-1",
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
		}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("%s (-want +got):\n%s", client.ID, diff)
		}
		expectPage(t, "as a hint", h.get(nil, logoutURL("id_token_hint", token)), http.StatusBadRequest, "error page")
	}
}
