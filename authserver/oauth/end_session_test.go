package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/revocation"
)

const webBye = "https://web.test/"

func logoutURL(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Add(pairs[i], pairs[i+1])
	}
	return "/logout?" + q.Encode()
}

func expectRedirect(t *testing.T, name string, a answer, want string) {
	t.Helper()
	if a.status != http.StatusSeeOther || a.header.Get("Location") != want || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d to %q %s, want %q", name, a.status, a.header.Get("Location"), a.body, want)
	}
}

// expectPage also checks that nobody is sent anywhere.
func expectPage(t *testing.T, name string, a answer, status int, begin string) {
	t.Helper()
	if a.status != status || a.header.Get("Location") != "" || !strings.HasPrefix(a.body, begin) {
		t.Errorf("%s: %d to %q %q, want %d %q", name, a.status, a.header.Get("Location"), a.body, status, begin)
	}
}

func TestLogoutWithTheSessionsOwnHintEndsItAndGoesBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ uri, state, want string }{
		"with state":           {webBye, "a b&c=d", webBye + "?state=a+b%26c%3Dd"},
		"without state":        {webBye, "", webBye},
		"to a query":           {"https://web.test/bye?from=larder", "s", "https://web.test/bye?from=larder&state=s"},
		"with a long state":    {webBye, strings.Repeat("x", 2000), webBye + "?state=" + strings.Repeat("x", 2000)},
		"state of angle marks": {webBye, "<script>", webBye + "?state=%3Cscript%3E"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.addWeb()
			ada := h.addUser("Ada")
			browser := h.browser()
			login := h.signIn(browser, ada.ID)
			pairs := []string{"id_token_hint", h.idToken(login, "web"), "post_logout_redirect_uri", c.uri}
			if c.state != "" {
				pairs = append(pairs, "state", c.state)
			}
			expectRedirect(t, name, h.get(browser, logoutURL(pairs...)), c.want)
			if h.sessions.lives(login.SID) {
				t.Error("the session lives on")
			}
			h.audited("session.ended", 1)
			h.onAnotherReplica(revocation.Session, login.SID)
		})
	}
}

func TestLogoutEndsTheSessionsTokensButNotOfflineAccess(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	browser := h.browser()
	login := h.signIn(browser, ada.ID)
	online, _ := h.grant(ada.ID, login.SID, "openid")
	offline, _ := h.grant(ada.ID, login.SID, "openid", "offline_access")
	elsewhere, _ := h.grant(ada.ID, "another-session", "openid")
	claims := h.claims(ada.ID)
	claims.SID = login.SID
	token := h.sign(accessTokenType, claims)

	expectPage(t, "logout", h.get(browser, logoutURL("id_token_hint", h.idToken(login, "web"))), http.StatusOK, "logged-out page: Larder on the web")
	if h.revokedReason(online.ID) != "logout" || h.revokedReason(offline.ID) != "" || h.revokedReason(elsewhere.ID) != "" {
		t.Errorf("online %q, offline %q, elsewhere %q", h.revokedReason(online.ID), h.revokedReason(offline.ID), h.revokedReason(elsewhere.ID))
	}
	expectInvalidToken(t, "access token of the session", h.userinfo(token))
}

// A relying party's POST is cross-site: it comes without the session cookie,
// and the hint alone names the session.
func TestLogoutByARelyingPartysPost(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	login := h.signIn(h.browser(), h.addUser("Ada").ID)
	r := h.request(http.MethodPost, "/logout", url.Values{
		"id_token_hint": {h.idToken(login, "web")}, "post_logout_redirect_uri": {webBye}, "state": {"s"},
	})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://web.test")
	expectRedirect(t, "cross-site", h.do(nil, r), webBye+"?state=s")
	if h.sessions.lives(login.SID) {
		t.Error("the session lives on")
	}
}

// O24, and the modules of the conformance suite for RP-initiated logout: who
// cannot prove to be a relying party of this session ends nothing, and nobody
// is sent anywhere.
func TestLogoutWithoutProofAsksAndSendsNobodyAway(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addClient("other", "x", oidc.Metadata{ClientName: "Other", PostLogoutRedirectURIs: []string{"https://other.test/"}})
	ada, bea := h.addUser("Ada"), h.addUser("Bea")
	browser := h.browser()
	login := h.signIn(browser, ada.ID)
	hint := h.idToken(login, "web")
	forged := forgeries(h, map[string]any{"iss": h.issuer, "sub": ada.ID.String(), "aud": "web", "sid": login.SID, "scope": "lists:read"})
	const uri = "post_logout_redirect_uri"
	for name, c := range map[string]struct {
		path   string
		status int
		begin  string
	}{
		"no parameters":           {"/logout", 200, "confirm page"},
		"only state":              {logoutURL("state", "s"), 200, "confirm page"},
		"no hint":                 {logoutURL(uri, webBye), 200, "confirm page"},
		"no hint, client_id":      {logoutURL("client_id", "web", uri, webBye), 200, "confirm page: Larder on the web"},
		"hint of another person":  {logoutURL("id_token_hint", h.idToken(oidc.Login{Subject: bea.ID, SID: login.SID}, "web"), uri, webBye), 200, "confirm page"},
		"hint of another session": {logoutURL("id_token_hint", h.idToken(oidc.Login{Subject: ada.ID, SID: "old"}, "web"), uri, webBye), 200, "confirm page"},
		"hint of a retired key":   {logoutURL("id_token_hint", forged["foreign key"], uri, webBye), 200, "confirm page"},
		"alg none":                {logoutURL("id_token_hint", forged["alg none"], uri, webBye), 400, "error page"},
		"HS256":                   {logoutURL("id_token_hint", forged["HS256 with our public key"], uri, webBye), 400, "error page"},
		"empty signature":         {logoutURL("id_token_hint", forged["empty signature"], uri, webBye), 400, "error page"},
		"our kid, foreign key":    {logoutURL("id_token_hint", forged["foreign key, our kid"], uri, webBye), 400, "error page"},
		"junk":                    {logoutURL("id_token_hint", "junk", uri, webBye), 400, "error page"},
		"access token as hint":    {logoutURL("id_token_hint", h.sign(accessTokenType, h.claims(ada.ID)), uri, webBye), 400, "error page"},
		"ID token of a sibling":   {logoutURL("id_token_hint", h.sign(idTokenType, map[string]any{"iss": "https://sibling.test", "sub": ada.ID, "aud": "web", "sid": login.SID})), 400, "error page"},
		"hint of another client":  {logoutURL("id_token_hint", hint, "client_id", "other", uri, "https://other.test/"), 400, "error page"},
		"unknown client":          {logoutURL("client_id", "nobody"), 400, "error page"},
		"unregistered URI":        {logoutURL("id_token_hint", hint, uri, "https://evil.test/"), 400, "error page"},
		"URI of another client":   {logoutURL("id_token_hint", hint, uri, "https://other.test/"), 400, "error page"},
		"URI and a query":         {logoutURL("id_token_hint", hint, uri, webBye+"?x=y"), 400, "error page"},
		"URI and a path":          {logoutURL("id_token_hint", hint, uri, webBye+"../"), 400, "error page"},
		"URI with userinfo":       {logoutURL("id_token_hint", hint, uri, "https://web.test@evil.test/"), 400, "error page"},
		"URI in upper case":       {logoutURL("id_token_hint", hint, uri, "https://WEB.test/"), 400, "error page"},
		"script URI":              {logoutURL("id_token_hint", hint, uri, "javascript:alert(1)"), 400, "error page"},
		"two hints":               {logoutURL("id_token_hint", hint, "id_token_hint", hint), 400, "error page"},
		"two URIs":                {logoutURL("id_token_hint", hint, uri, webBye, uri, "https://evil.test/"), 400, "error page"},
		"action in a GET":         {logoutURL("action", "logout", "client_id", "web", uri, webBye), 200, "confirm page"},
		"badly encoded":           {"/logout?state=%zz", 400, "error page"},
		"unregistered, by name":   {logoutURL("client_id", "web", uri, "https://evil.test/"), 400, "error page"},
		"next, as others call it": {logoutURL("next", "https://evil.test/", "redirect_uri", "https://evil.test/"), 200, "confirm page"},
	} {
		a := h.get(browser, c.path)
		expectPage(t, name, a, c.status, c.begin)
		if c.status == http.StatusOK && strings.Contains(a.body, "evil.test") {
			t.Errorf("%s: the page repeats a foreign address: %s", name, a.body)
		}
		if !h.sessions.lives(login.SID) {
			t.Fatalf("%s: the session is over", name)
		}
	}
	h.audited("session.ended", 0)
}

func TestLogoutConfirmedOnOurPage(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada := h.addUser("Ada")
	confirm := func(browser *http.Client, site string, form url.Values) answer {
		form.Set("action", "logout")
		r := h.request(http.MethodPost, "/logout", form)
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		return h.do(browser, r)
	}
	for name, c := range map[string]struct {
		form url.Values
		want string // "" is the logged-out page
	}{
		"bare":        {url.Values{}, ""},
		"with client": {url.Values{"client_id": {"web"}, "post_logout_redirect_uri": {webBye}, "state": {"s"}}, webBye + "?state=s"},
	} {
		browser := h.browser()
		login := h.signIn(browser, ada.ID)
		expectPage(t, name+" forged by another site", confirm(browser, "cross-site", c.form), http.StatusForbidden, "error page")
		expectPage(t, name+" forged by a sibling site", confirm(browser, "same-site", c.form), http.StatusForbidden, "error page")
		if !h.sessions.lives(login.SID) {
			t.Fatal("a forged confirmation ends the session")
		}
		if a := confirm(browser, "same-origin", c.form); c.want == "" {
			expectPage(t, name, a, http.StatusOK, "logged-out page")
		} else {
			expectRedirect(t, name, a, c.want)
		}
		if h.sessions.lives(login.SID) {
			t.Error("the session lives on")
		}
	}
	h.audited("session.ended", 2)
	browser := h.browser()
	h.signIn(browser, ada.ID)
	expectPage(t, "unregistered URI", confirm(browser, "same-origin", url.Values{"client_id": {"web"}, "post_logout_redirect_uri": {"https://evil.test/"}}),
		http.StatusBadRequest, "error page")
}

func TestLogoutOfNobody(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	expectPage(t, "no parameters", h.get(nil, "/logout"), http.StatusOK, "logged-out page")
	expectPage(t, "only state", h.get(nil, logoutURL("state", "s")), http.StatusOK, "logged-out page")
	expectPage(t, "client_id: a link, no redirect", h.get(nil, logoutURL("client_id", "web", "post_logout_redirect_uri", webBye)),
		http.StatusOK, "logged-out page: Larder on the web "+webBye)
	gone := oidc.Login{Subject: id.New(), SID: "gone"}
	expectRedirect(t, "hint of a session that is over", h.get(nil, logoutURL("id_token_hint", h.idToken(gone, "web"), "post_logout_redirect_uri", webBye)), webBye)
	r := h.request(http.MethodPost, "/logout", url.Values{"client_id": {"web"}})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	expectPage(t, "a foreign POST, whose cookie we did not get to see", h.do(nil, r), http.StatusOK, "confirm page")
}

func TestLogoutForADeletedClientStillEndsTheSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	browser := h.browser()
	login := h.signIn(browser, h.addUser("Ada").ID)
	expectPage(t, "deleted client", h.get(browser, logoutURL("id_token_hint", h.idToken(login, "deleted"), "post_logout_redirect_uri", webBye)),
		http.StatusOK, "logged-out page")
	if h.sessions.lives(login.SID) {
		t.Error("the session lives on")
	}
}

func TestLogoutIsNeverClaimedWithoutItsData(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	login := h.signIn(browser, h.addUser("Ada").ID)
	path := logoutURL("id_token_hint", h.idToken(login, "web"), "post_logout_redirect_uri", webBye)
	h.withoutDatabase(func() {
		a := h.get(browser, path)
		expectPage(t, "without Postgres", a, http.StatusServiceUnavailable, "error page")
		if a.header.Get("Retry-After") == "" || !h.sessions.lives(login.SID) {
			t.Errorf("half done: %v", a.header)
		}
	})
	h.sessions.down = fault.New(fault.Unavailable, "no Redis")
	expectPage(t, "without Redis", h.get(browser, path), http.StatusServiceUnavailable, "error page")
	h.sessions.down = nil
	expectRedirect(t, "afterwards", h.get(browser, path), webBye)
}

// O25: what a client or a stranger wrote is text on the page, never markup.
func TestLogoutPagesGetForeignTextAsText(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	const script = `<script>alert(1)</script>`
	h.addClient("x", "x", oidc.Metadata{ClientName: script, PostLogoutRedirectURIs: []string{webBye}})
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	for name, path := range map[string]string{
		"client name": logoutURL("client_id", "x", "state", script, "post_logout_redirect_uri", webBye),
		"parameter":   logoutURL(script, "1", script, "2"),
		"hint":        logoutURL("id_token_hint", script),
	} {
		if a := h.get(browser, path); strings.Contains(a.body, "<script>") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

func TestLogoutComesBackToThePortOfTheMoment(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addClient("phone", "", oidc.Metadata{ClientName: "Phone", PostLogoutRedirectURIs: []string{"http://127.0.0.1/bye", "http://localhost:3000/"}})
	ada := h.addUser("Ada")
	for uri, known := range map[string]bool{
		"http://127.0.0.1/bye": true, "http://127.0.0.1:49152/bye": true, "http://localhost:3000/": true,
		"http://127.0.0.1:49152/": false, "http://127.0.0.2:49152/bye": false, "http://localhost:3001/": false, "https://127.0.0.1:49152/bye": false,
	} {
		browser := h.browser()
		a := h.get(browser, logoutURL("id_token_hint", h.idToken(h.signIn(browser, ada.ID), "phone"), "post_logout_redirect_uri", uri))
		if known {
			expectRedirect(t, uri, a, uri)
		} else {
			expectPage(t, uri, a, http.StatusBadRequest, "error page")
		}
	}
}
