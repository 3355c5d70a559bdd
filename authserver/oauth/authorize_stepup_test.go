package oauth

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"larder/authserver/oidc"
)

// RFC 9470: a client asks for a class, and gets it or an error. A13: neither a weaker nor an older sign-in will do.
func TestAuthorizeStepsUp(t *testing.T) {
	t.Parallel()
	const mfa = oidc.ACRMFA
	for name, c := range map[string]struct {
		acr     string
		age     time.Duration
		request url.Values
		want    string // a page, "code" or an error
	}{
		"mfa asked, password given":            {oidc.ACRPassword, 0, webRequest("acr_values", mfa), "/login/mfa"},
		"mfa asked, password given, silently":  {oidc.ACRPassword, 0, webRequest("acr_values", mfa, "prompt", "none"), "login_required"},
		"mfa asked, mfa given":                 {mfa, 0, webRequest("acr_values", mfa), "code"},
		"mfa preferred to a password":          {oidc.ACRPassword, 0, webRequest("acr_values", mfa+" "+oidc.ACRPassword), "/login/mfa"},
		"a password preferred":                 {oidc.ACRPassword, 0, webRequest("acr_values", oidc.ACRPassword+" "+mfa), "code"},
		"mfa behind a class nobody knows":      {oidc.ACRPassword, 0, webRequest("acr_values", "urn:mace:silver "+mfa), "/login/mfa"},
		"a class nobody knows":                 {oidc.ACRPassword, 0, webRequest("acr_values", "urn:mace:silver"), "code"},
		"mfa asked afresh, given long ago":     {mfa, time.Hour, webRequest("acr_values", mfa, "max_age", "300"), "/login"},
		"mfa asked afresh, password given now": {oidc.ACRPassword, 0, webRequest("acr_values", mfa, "max_age", "300"), "/login/mfa"},
		"mfa asked, given long ago":            {mfa, time.Hour, webRequest("acr_values", mfa), "code"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.addWeb()
			browser := h.browser()
			h.signInAs(browser, h.addUser("Ada"), c.acr)
			h.clock.Advance(c.age)
			a := h.authorize(browser, c.request)
			location, err := url.Parse(a.header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			got := location.Path
			if strings.HasPrefix(location.String(), webRedirect) {
				if got = location.Query().Get("error"); got == "" && location.Query().Has("code") {
					got = "code"
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q (%d %s)", got, c.want, a.status, location)
			}
		})
	}
}

func TestAStepUpEndsInTokensThatSaySo(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser, ada := h.browser(), h.addUser("Ada")
	h.signInAs(browser, ada, oidc.ACRPassword)
	a := h.authorize(browser, webRequest("acr_values", oidc.ACRMFA))
	page, err := url.Parse(a.header.Get("Location"))
	if err != nil || page.Path != "/login/mfa" {
		t.Fatalf("led to %q, %v", page, err)
	}
	flow := page.Query().Get("flow")
	if again := h.get(browser, "/authorize/continue?flow="+flow); again.header.Get("Location") != a.header.Get("Location") {
		t.Errorf("without the code it leads to %q", again.header.Get("Location"))
	}
	h.signInAs(browser, ada, oidc.ACRMFA)
	q := callback(t, h.get(browser, "/authorize/continue?flow="+flow), webRedirect)
	tokens := h.post("/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {webRedirect}, "code_verifier": {testVerifier},
	}, "web", webSecret)
	if tokens.status != http.StatusOK {
		t.Fatalf("token: %d %s", tokens.status, tokens.body)
	}
	access, err := h.p.VerifyAccessToken(t.Context(), fmt.Sprint(tokens.json(t)["access_token"]), testAPI)
	if err != nil || access.ACR != oidc.ACRMFA {
		t.Errorf("acr %q, %v", access.ACR, err)
	}
}

// Operators need a second factor for the admin scope; whoever is none gets nowhere with it and is not bothered.
func TestTheAdminScopeTakesASecondFactorOfOperators(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	web := *h.addWeb()
	web.Metadata.Scope += " " + oidc.ScopeAdmin
	h.clients.set(&web)
	olive, ada := h.addUser("Olive"), h.addUser("Ada")
	olive.Operator = true
	h.users.set(olive)
	request := webRequest("scope", "openid admin")
	for _, c := range []struct {
		user oidc.User
		acr  string
		want string
	}{
		{olive, oidc.ACRPassword, "/login/mfa?flow="},
		{olive, oidc.ACRMFA, webRedirect},
		{ada, oidc.ACRPassword, webRedirect},
	} {
		browser := h.browser()
		h.signInAs(browser, c.user, c.acr)
		if got := h.authorize(browser, request).header.Get("Location"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s with %s is led to %q, want %q", c.user.Name, c.acr, got, c.want)
		}
	}
}

// signInAs gives the browser a session of the class.
func (h *harness) signInAs(browser *http.Client, user oidc.User, acr string) {
	h.t.Helper()
	login := h.signIn(browser, user.ID)
	login.ACR = acr
	issuer, err := url.Parse(h.issuer)
	if err != nil {
		h.t.Fatal(err)
	}
	browser.Jar.SetCookies(issuer, []*http.Cookie{{Name: testSessionCookie, Value: h.sessions.add(login), Path: "/"}})
}
