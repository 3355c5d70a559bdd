package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"larder/authserver/oidc"
)

func TestAuthorizeGivesACodeWithStateAndIssuer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	state := strings.Repeat("~ %&=+\"'<", 100)
	for name, ask := range map[string]func(url.Values) answer{
		"GET":  func(v url.Values) answer { return h.authorize(browser, v) },
		"POST": func(v url.Values) answer { return h.postAuthorize(browser, v) },
	} {
		q := callback(t, ask(webRequest("state", state)), webRedirect)
		if len(q.Get("code")) < 43 || q.Get("state") != state || q.Get("iss") != h.issuer || len(q) != 3 {
			t.Errorf("%s: answer %v", name, q)
		}
	}
	if q := callback(t, h.authorize(browser, webRequest("state", "", "nonce", "")), webRedirect); q.Get("code") == "" || q.Has("state") {
		t.Errorf("without state and nonce: answer %v", q)
	}
	if q := callback(t, h.authorize(browser, webRequest("unheard_of", "x", "display", "popup", "claims_locales", "de", "acr_values", "x")), webRedirect); q.Get("code") == "" {
		t.Errorf("with an unknown parameter: answer %v", q)
	}
}

func TestAuthorizeFormPost(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	a := h.authorize(browser, webRequest("response_mode", "form_post", "state", `"><script>`, "ui_locales", "fr de"))
	for _, want := range []string{"in [fr de]", `action="https://web.test/callback"`, `name="code"`, `value="&#34;&gt;&lt;script&gt;"`, `name="iss"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("page lacks %s:\n%s", want, a.body)
		}
	}
	if a := h.authorize(browser, webRequest("response_mode", "form_post", "prompt", "none login")); !strings.Contains(a.body, `value="invalid_request"`) {
		t.Errorf("an error does not go by form_post: %s", a.body)
	}
}

// Errors that the client may know of go to it, with iss (O9) and no code (RFC 6749 §4.1.2.1).
func TestAuthorizeErrorsThatTheClientIsTold(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addClient("other", "s", oidc.Metadata{GrantTypes: []string{oidc.ClientCredentials}, RedirectURIs: []string{webRedirect}, Scope: "openid"})
	relaxed := false
	h.addClient("old", "s", oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode}, RedirectURIs: []string{webRedirect}, Scope: "openid", RequirePKCE: &relaxed,
	})
	h.addClient("oldpublic", "", oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode}, RedirectURIs: []string{webRedirect}, Scope: "openid", RequirePKCE: &relaxed,
	})
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	for name, c := range map[string]struct {
		request url.Values
		want    string
	}{
		"no response_type":         {webRequest("response_type", ""), "invalid_request"},
		"implicit":                 {webRequest("response_type", "token"), "unsupported_response_type"},
		"hybrid":                   {webRequest("response_type", "code id_token"), "unsupported_response_type"},
		"fragment":                 {webRequest("response_mode", "fragment"), "invalid_request"},
		"unknown response_mode":    {webRequest("response_mode", "web_message"), "invalid_request"},
		"client without codes":     {webRequest("client_id", "other", "scope", "openid"), "unauthorized_client"},
		"no scope":                 {webRequest("scope", ""), "invalid_scope"},
		"scope over the ceiling":   {webRequest("scope", "openid admin"), "invalid_scope"},
		"scope by prefix":          {webRequest("scope", "openid lists"), "invalid_scope"},
		"wildcard scope":           {webRequest("scope", "openid *"), "invalid_scope"},
		"foreign resource":         {webRequest("resource", "https://other.test"), "invalid_target"},
		"request object":           {webRequest("request", "e30.e30."), "invalid_request_object"},
		"request object by URI":    {webRequest("request_uri", "http://169.254.169.254/"), "invalid_request_uri"},
		"registration":             {webRequest("registration", "{}"), "registration_not_supported"},
		"O4 no challenge":          {webRequest("code_challenge", "", "code_challenge_method", ""), "invalid_request"},
		"O4 plain":                 {webRequest("code_challenge_method", "plain"), "invalid_request"},
		"O4 no method is plain":    {webRequest("code_challenge_method", ""), "invalid_request"},
		"O4 method only":           {webRequest("code_challenge", ""), "invalid_request"},
		"O4 short challenge":       {webRequest("code_challenge", "short"), "invalid_request"},
		"O4 relaxed, but public":   {webRequest("client_id", "oldpublic", "scope", "openid", "code_challenge", "", "code_challenge_method", ""), "invalid_request"},
		"O4 relaxed, but plain":    {webRequest("client_id", "old", "scope", "openid", "code_challenge_method", "plain"), "invalid_request"},
		"unknown prompt":           {webRequest("prompt", "ask"), "invalid_request"},
		"prompt none with another": {webRequest("prompt", "none login"), "invalid_request"},
		"max_age not a number":     {webRequest("max_age", "-1"), "invalid_request"},
		"hint that is no token":    {webRequest("id_token_hint", "x"), "invalid_request"},
		"endless state":            {webRequest("state", strings.Repeat("s", 5000)), "invalid_request"},
	} {
		q := callback(t, h.authorize(browser, c.request), webRedirect)
		if q.Get("error") != c.want || q.Get("iss") != h.issuer || q.Get("state") != c.request.Get("state") || q.Has("code") {
			t.Errorf("%s: answer %v, want %s", name, q, c.want)
		}
		if strings.ContainsAny(q.Get("error_description"), `"\`) {
			t.Errorf("%s: error_description %q", name, q.Get("error_description"))
		}
	}
	repeated := webRequest()
	repeated.Add("scope", "openid")
	if q := callback(t, h.authorize(browser, repeated), webRedirect); q.Get("error") != "invalid_request" {
		t.Errorf("O7 repeated scope: answer %v", q)
	}
	if q := callback(t, h.authorize(browser, webRequest("client_id", "old", "scope", "openid", "code_challenge", "", "code_challenge_method", "")), webRedirect); q.Get("code") == "" {
		t.Errorf("a confidential client registered without PKCE: answer %v", q)
	}
}

// Nothing is redirected to an address that is not proven to be the client's (O6).
func TestAuthorizeErrorsThatOnlyThePersonSees(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	requests := map[string]url.Values{
		"no client_id":      webRequest("client_id", ""),
		"unknown client":    webRequest("client_id", "nobody"),
		"no redirect_uri":   webRequest("redirect_uri", ""),
		"NUL in the client": webRequest("client_id", "web\x00"),
	}
	for _, uri := range []string{
		"https://web.test/Callback", "https://WEB.test/callback", "HTTPS://web.test/callback", "https://web.test/callback/", "https://web.test//callback",
		"https://web.test/x/../callback", "https://web.test/./callback", "https://web.test/%63allback", "https://web.test/callback%2e",
		"https://web.test/callback?x=1", "https://web.test/callback?", "https://web.test/callback#", "https://web.test/callback#x",
		"https://user@web.test/callback", "https://web.test:443/callback", "https://web.test:8443/callback", "https://web.test@evil.test/callback",
		"https://web.test.evil.test/callback", "//web.test/callback", "/callback", "http://web.test/callback", "https://web.test\\@evil.test/callback",
		" https://web.test/callback", "https://web.test/callback ", "https://web.test/callback\r\nX: y", "javascript:alert(1)", "https://web.test/call\tback",
	} {
		requests["web "+uri] = webRequest("redirect_uri", uri)
	}
	for _, uri := range []string{
		"http://127.0.0.1:1@evil.test/callback", "http://127.0.0.1@evil.test/callback", "http://127.0.0.1:/callback", "http://127.0.0.1:0/callback",
		"http://127.0.0.1:99999/callback", "http://127.0.0.1:080/callback", "http://127.0.0.1:80:81/callback", "http://127.0.0.1:+1/callback",
		"http://127.0.0.1:51000/", "http://127.0.0.1:51000/callback?x", "http://127.0.0.1:51000/call%62ack", "http://127.0.0.1.evil.test/callback",
		"http://127.0.0.2:51000/callback", "http://localhost:51000/callback", "http://[::1]:51000/callback", "https://127.0.0.1:51000/callback",
		"http://2130706433:51000/callback", "http://u:p@127.0.0.1:51000/callback", "http://127.1:51000/callback", "HTTP://127.0.0.1:51000/callback",
	} {
		requests["spa "+uri] = spaRequest("redirect_uri", uri)
	}
	for name, request := range requests {
		if a := h.authorize(browser, request); a.status != http.StatusBadRequest || a.header.Get("Location") != "" || !strings.HasPrefix(a.body, "error page") {
			t.Errorf("%s: status %d, location %q", name, a.status, a.header.Get("Location"))
		}
	}
	for _, name := range []string{"client_id", "redirect_uri"} {
		request := webRequest()
		request.Add(name, request.Get(name))
		if a := h.authorize(browser, request); a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
			t.Errorf("O7 repeated %s: status %d, location %q", name, a.status, a.header.Get("Location"))
		}
	}
	for _, uri := range []string{"http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"} {
		if q := callback(t, h.authorize(browser, spaRequest("redirect_uri", uri)), uri); q.Get("code") == "" {
			t.Errorf("RFC 8252 %s: answer %v", uri, q)
		}
	}
}

func TestAuthorizeWaitsForSignInAndConsent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.consents.missing.Store(true)
	browser, user := h.browser(), h.addUser("Ada")

	flowID := flowOf(t, h.authorize(browser, webRequest()), "/login")
	flowOf(t, h.get(browser, "/authorize/continue?flow="+flowID), "/login")
	login := h.signIn(browser, user.ID)
	if again := flowOf(t, h.get(browser, "/authorize/continue?flow="+flowID), "/consent"); again != flowID {
		t.Errorf("parked a second time, as %s", again)
	}
	h.flows.decide(flowID, "another-session", false)
	flowOf(t, h.get(browser, "/authorize/continue?flow="+flowID), "/consent") // O11: given in another session
	h.flows.decide(flowID, login.SID, false)
	if q := callback(t, h.get(browser, "/authorize/continue?flow="+flowID), webRedirect); q.Get("code") == "" || q.Get("iss") != h.issuer {
		t.Errorf("answer %v", q)
	}
	if a := h.get(browser, "/authorize/continue?flow="+flowID); a.status != http.StatusNotFound {
		t.Errorf("a finished flow goes on: status %d, location %q", a.status, a.header.Get("Location"))
	}
	flowID = flowOf(t, h.authorize(browser, webRequest()), "/consent")
	h.flows.decide(flowID, "", true)
	if q := callback(t, h.get(browser, "/authorize/continue?flow="+flowID), webRedirect); q.Get("error") != "access_denied" || q.Get("state") != "s" {
		t.Errorf("denied: answer %v", q)
	}
}

func TestAuthorizePrompts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada, eve := h.addUser("Ada"), h.addUser("Eve")
	hint := func(user oidc.User, client string) string { return h.idToken(oidc.Login{Subject: user.ID}, client) }
	stranger := newTestKeys(t)
	forged, err := stranger.Sign(t.Context(), "ES256", idTokenType, []byte(`{"iss":"`+h.issuer+`","sub":"`+ada.ID.String()+`","aud":"web"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		signedIn, consent bool
		age               time.Duration
		request           url.Values
		want              string // a page or an error or "code"
	}{
		"none, nobody":                   {false, true, 0, webRequest("prompt", "none"), "login_required"},
		"none, no consent":               {true, false, 0, webRequest("prompt", "none"), "consent_required"},
		"none, all there":                {true, true, time.Hour, webRequest("prompt", "none"), "code"},
		"login":                          {true, true, 0, webRequest("prompt", "login"), "/login"},
		"select_account":                 {true, true, 0, webRequest("prompt", "select_account"), "/login"},
		"create":                         {true, true, 0, webRequest("prompt", "create"), "/register"},
		"create, nobody":                 {false, true, 0, webRequest("prompt", "create consent"), "/register"},
		"create, silently":               {false, true, 0, webRequest("prompt", "none create"), "invalid_request"},
		"consent":                        {true, true, 0, webRequest("prompt", "consent"), "/consent"},
		"max_age passed":                 {true, true, time.Hour, webRequest("max_age", "60"), "/login"},
		"max_age passed, none":           {true, true, time.Hour, webRequest("max_age", "60", "prompt", "none"), "login_required"},
		"max_age kept":                   {true, true, time.Hour, webRequest("max_age", "10000"), "code"},
		"max_age 0":                      {true, true, 0, webRequest("max_age", "0"), "/login"},
		"max_age 0, none":                {true, true, 0, webRequest("max_age", "0", "prompt", "none"), "login_required"},
		"hint of the same":               {true, true, 0, webRequest("id_token_hint", hint(ada, "web")), "code"},
		"hint of another":                {true, true, 0, webRequest("id_token_hint", hint(eve, "web")), "/login"},
		"hint of another, none":          {true, true, 0, webRequest("id_token_hint", hint(eve, "web"), "prompt", "none"), "login_required"},
		"hint of another client's":       {true, true, 0, webRequest("id_token_hint", hint(ada, "spa")), "invalid_request"},
		"O12 hint by a foreign key":      {true, true, 0, webRequest("id_token_hint", forged), "invalid_request"},
		"O14 access token as a hint":     {true, true, 0, webRequest("id_token_hint", h.sign(accessTokenType, h.claims(ada.ID))), "invalid_request"},
		"nobody signed in, login_hint":   {false, true, 0, webRequest("login_hint", "ada@larder.test"), "/login"},
		"signed in, consent not covered": {true, false, 0, webRequest(), "/consent"},
	} {
		h.consents.missing.Store(!c.consent)
		browser := h.browser()
		if c.signedIn {
			h.signIn(browser, ada.ID)
		}
		h.clock.Advance(c.age)
		a := h.authorize(browser, c.request)
		got := a.header.Get("Location")
		if page, _, ok := strings.Cut(got, "?flow="); ok {
			got = page
		} else if q := callback(t, a, webRedirect); q.Has("code") {
			got = "code"
		} else {
			got = q.Get("error")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A sign-in after the request came satisfies prompt=login and max_age=0, an older one does not.
func TestAuthorizeFreshSignInIsEnough(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	user := h.addUser("Ada")
	for _, c := range []struct {
		request url.Values
		page    string
	}{
		{webRequest("prompt", "login"), "/login"},
		{webRequest("max_age", "0"), "/login"},
		{webRequest("prompt", "select_account"), "/login"},
		{webRequest("prompt", "create"), "/register"},
	} {
		browser := h.browser()
		h.signIn(browser, user.ID)
		h.clock.Advance(2 * time.Second)
		flowID := flowOf(t, h.authorize(browser, c.request), c.page)
		flowOf(t, h.get(browser, "/authorize/continue?flow="+flowID), c.page)
		h.signIn(browser, user.ID)
		if q := callback(t, h.get(browser, "/authorize/continue?flow="+flowID), webRedirect); q.Get("code") == "" {
			t.Errorf("%v: answer %v", c.request, q)
		}
	}
}

// What a client may no longer do when its person has signed in, it does not get.
func TestAuthorizeValidatesAgainWhenItResumes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.p.Config.FrontChannel = true
	client := h.addWeb()
	client.Metadata.GrantTypes = append(client.Metadata.GrantTypes, oidc.Implicit)
	client.Metadata.ResponseTypes = []string{"code", "code id_token"}
	hybrid := webRequest("response_type", "code id_token", "response_mode", "form_post")
	user := h.addUser("Ada").ID
	for name, c := range map[string]struct {
		request url.Values
		change  func(*oidc.Client)
		status  int
		shows   string // in the page, or in the address that the browser is sent to
	}{
		"disabled":               {webRequest(), func(c *oidc.Client) { c.Disabled = true }, http.StatusBadRequest, ""},
		"another address":        {webRequest(), func(c *oidc.Client) { c.Metadata.RedirectURIs = []string{webRedirect + "/new"} }, http.StatusBadRequest, ""},
		"less scope":             {webRequest(), func(c *oidc.Client) { c.Metadata.Scope = "openid" }, http.StatusSeeOther, "error=" + invalidScope},
		"no codes":               {webRequest(), func(c *oidc.Client) { c.Metadata.GrantTypes = []string{oidc.ClientCredentials} }, http.StatusSeeOther, "error=" + unauthorizedClient},
		"O8 no such response":    {hybrid, func(c *oidc.Client) { c.Metadata.ResponseTypes = []string{"code"} }, http.StatusOK, unauthorizedClient},
		"O8 and it is as it was": {hybrid, func(*oidc.Client) {}, http.StatusOK, "id_token"},
		"O8 PAR is demanded":     {webRequest(), func(c *oidc.Client) { c.Metadata.RequirePAR = true }, http.StatusSeeOther, "error=" + invalidRequest},
	} {
		h.clients.set(client)
		browser := h.browser()
		flowID := flowOf(t, h.authorize(browser, c.request), "/login")
		h.signIn(browser, user)
		changed := *client
		c.change(&changed)
		h.clients.set(&changed)
		a := h.get(browser, "/authorize/continue?flow="+flowID)
		if a.status != c.status || !strings.Contains(a.body+a.header.Get("Location"), c.shows) || a.status == http.StatusBadRequest && a.header.Get("Location") != "" {
			t.Errorf("%s: %d, %q, %s", name, a.status, a.header.Get("Location"), a.body)
		}
	}
}

// oidcc-ensure-post-request-succeeds: a client's form is cross-site, so that the
// browser keeps the session cookie from it and sends it with the GET behind.
func TestEnsurePostRequestSucceeds(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	if q := callback(t, h.postAuthorize(browser, webRequest("prompt", "none")), webRedirect); q.Get("code") == "" {
		t.Errorf("signed in: %v", q)
	}
	if q := callback(t, h.postAuthorize(nil, webRequest("prompt", "none")), webRedirect); q.Get("error") != "login_required" {
		t.Errorf("signed out: %v", q)
	}
	if a := h.postAuthorize(browser, url.Values{"client_id": {"web", "web"}}); a.status != http.StatusBadRequest {
		t.Errorf("two clients: %d %s", a.status, a.body)
	}
	if a := h.do(nil, h.request(http.MethodPost, "/authorize", webRequest("state", strings.Repeat("x", maxPosted)))); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large request: %d %s", a.status, a.body)
	}
	if a := h.get(browser, "/authorize/posted?request=none"); a.status != http.StatusBadRequest {
		t.Errorf("an unknown handle: %d %s", a.status, a.body)
	}
}

// postAuthorize posts a request as a browser does from another site, without
// our cookies, and follows the answer with them.
func (h *harness) postAuthorize(browser *http.Client, request url.Values) answer {
	h.t.Helper()
	a := h.do(nil, h.request(http.MethodPost, "/authorize", request))
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/authorize/posted?request=") {
		h.t.Fatalf("the POST: %d %s", a.status, a.body)
	}
	return h.get(browser, a.header.Get("Location"))
}
