package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/authserver/oidc"
)

// idTokenClaims reads an ID token, which must be signed by alg.
func (h *harness) idTokenClaims(token, alg string) map[string]any {
	h.t.Helper()
	payload, signed, err := h.keys.Verify(token, idTokenType)
	if err != nil || signed != alg {
		h.t.Fatalf("%q: %s, %v; want %s", token, signed, err, alg)
	}
	return answer{body: string(payload)}.json(h.t)
}

func TestClaimsParameterIsParsedSafely(t *testing.T) {
	t.Parallel()
	many := `{"userinfo":{` + strings.Repeat(`"a":null,`, 5) + `"x":null}}`
	for name, c := range map[string]struct {
		raw  string
		want *claimsRequest // nil: refused
	}{
		"nothing":      {`{}`, &claimsRequest{}},
		"null":         {`null`, &claimsRequest{}},
		"two places":   {`{"userinfo":{"name":{"essential":true},"email":null},"id_token":{"birthdate":{"value":"x"}}}`, &claimsRequest{names: claimNames{IDToken: []string{"birthdate"}, Userinfo: []string{"email", "name"}}}},
		"unknown":      {`{"elsewhere":{"name":null},"userinfo":{"http://x/is_good":{"essential":true},"iss":null,"sub":null},"id_token":null}`, &claimsRequest{}},
		"sub":          {`{"id_token":{"sub":{"value":"u"}}}`, &claimsRequest{subjects: []string{"u"}}},
		"same sub":     {`{"id_token":{"sub":{"value":"u"}},"userinfo":{"sub":{"values":["u"]}}}`, &claimsRequest{subjects: []string{"u"}}},
		"acr":          {`{"id_token":{"acr":{"essential":true,"values":["a","b"]}}}`, &claimsRequest{acr: []string{"a", "b"}, acrEssential: true}},
		"acr at large": {`{"id_token":{"acr":null,"auth_time":{"essential":true}}}`, &claimsRequest{}},
		"repeated":     {many, &claimsRequest{}},
		"two people":   {`{"id_token":{"sub":{"value":"u"}},"userinfo":{"sub":{"value":"v"}}}`, nil},
		"no JSON":      {`{`, nil},
		"a list":       {`["name"]`, nil},
		"a string":     {`{"userinfo":{"name":"yes"}}`, nil},
		"two values":   {`{} {}`, nil},
		"deep":         {strings.Repeat(`{"userinfo":`, 600), nil},
		"long":         {`{"userinfo":{"name":{"value":"` + strings.Repeat("x", maxClaimsBytes) + `"}}}`, nil},
	} {
		got, err := parseClaims(c.raw)
		if c.want == nil {
			if err == nil {
				t.Errorf("%s: accepted as %+v", name, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(claimsRequest{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzClaimsParameter(f *testing.F) {
	f.Add(`{"userinfo":{"name":{"essential":true}},"id_token":{"sub":{"value":"u"},"acr":{"values":["a"]}}}`)
	f.Add(`{"id_token":null}`)
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := parseClaims(raw)
		if err != nil {
			return
		}
		for _, name := range slices.Concat(c.names.IDToken, c.names.Userinfo) {
			if scopeOfClaim(name) == "" {
				t.Errorf("%q is kept", name)
			}
		}
		if len(c.names.IDToken) > maxAskedClaims || len(c.names.Userinfo) > maxAskedClaims {
			t.Error("more claims than a request may ask for")
		}
	})
}

// What a request asks for claim by claim is told where it asked, for as long as
// the grant lives, and no further than the client may go.
func TestClaimsAreTold(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser, ada := h.browser(), h.addUser("Ada")
	h.signIn(browser, ada.ID)
	request := webRequest("scope", "openid offline_access", "claims",
		`{"userinfo":{"name":{"essential":true},"phone_number":null,"sub":{"value":"`+ada.ID.String()+`"}},"id_token":{"email":null,"auth_time":{"essential":true}}}`)
	first := h.tokens(h.webExchange(h.code(browser, request)))
	again := h.tokens(h.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken}}, "web", webSecret))
	for name, tokens := range map[string]tokenResponse{"first": first, "refreshed": again} {
		id := h.idTokenClaims(tokens.IDToken, es256)
		if id["email"] != "ada@larder.test" || id["name"] != nil || id["auth_time"] == nil || id["sub"] != ada.ID.String() {
			t.Errorf("%s: ID token %v", name, id)
		}
		want := map[string]any{"sub": ada.ID.String(), "name": "Ada", "phone_number": "+441234567890"}
		if diff := cmp.Diff(want, h.userinfo(tokens.AccessToken).json(t)); diff != "" {
			t.Errorf("%s: userinfo (-want +got):\n%s", name, diff)
		}
	}

	narrow := *h.addWebLike("narrow", "openid email")
	h.clients.set(&narrow)
	tokens := h.tokens(h.exchangeAs("narrow", h.code(browser, webRequest("client_id", "narrow", "scope", "openid", "claims",
		`{"userinfo":{"phone_number":null,"email":null}}`))))
	if diff := cmp.Diff(map[string]any{"sub": ada.ID.String(), "email": "ada@larder.test"}, h.userinfo(tokens.AccessToken).json(t)); diff != "" {
		t.Errorf("beyond the registered scope (-want +got):\n%s", diff)
	}
}

// addWebLike registers a client like web under another id, with web's secret.
func (h *harness) addWebLike(clientID, scope string) *oidc.Client {
	h.t.Helper()
	return h.addClient(clientID, webSecret, oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode, oidc.RefreshToken}, RedirectURIs: []string{webRedirect}, Scope: scope, Resources: []string{testAPI},
	})
}

func (h *harness) exchangeAs(clientID, code string) answer {
	h.t.Helper()
	return h.post("/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {webRedirect}, "code_verifier": {testVerifier},
	}, clientID, webSecret)
}

func TestClaimsNeedConsentBeyondTheScopes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser, ada := h.browser(), h.addUser("Ada")
	login := h.signIn(browser, ada.ID)
	h.consents.missing.Store(true)
	request := webRequest("scope", "openid email", "claims", `{"userinfo":{"email":null,"phone_number":null},"id_token":{"phone_number":null}}`)
	flowID := flowOf(t, h.authorize(browser, request), "/consent")
	parked, _, _, err := h.flows.Resume(t.Context(), nil, flowID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"openid", "email", "claim:phone_number"}, parked.Scopes); diff != "" {
		t.Errorf("what is asked (-want +got):\n%s", diff)
	}
	if meaning := oidc.Meanings(parked.Scopes)[2]; meaning.Title != "See your phone number" {
		t.Errorf("%+v", meaning)
	}
	h.agrees(login.Subject, "web")
	h.flows.decide(flowID, login.SID, false)
	code := callback(t, h.get(browser, "/authorize/continue?flow="+flowID), webRedirect).Get("code")
	tokens := h.tokens(h.webExchange(code))
	if tokens.Scope != "openid email" || h.userinfo(tokens.AccessToken).json(t)["phone_number"] == nil {
		t.Errorf("%+v", tokens)
	}
}

func TestClaimsSayWhoAndHow(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser, ada, bob := h.browser(), h.addUser("Ada"), h.addUser("Bob")
	h.signIn(browser, ada.ID)
	subject := func(user oidc.User) string { return `{"id_token":{"sub":{"value":"` + user.ID.String() + `"}}}` }
	acr := func(essential, values string) string {
		return `{"id_token":{"acr":{"essential":` + essential + `,"values":[` + values + `]}}}`
	}
	const pwd, mfa = `"` + oidc.ACRPassword + `"`, `"` + oidc.ACRMFA + `"`
	for name, c := range map[string]struct {
		request url.Values
		page    string // where the browser goes, if not back
		code    string // the error, if any
	}{
		"the right person":           {webRequest("claims", subject(ada)), "", ""},
		"another person":             {webRequest("claims", subject(bob)), "/login", ""},
		"another person, silently":   {webRequest("claims", subject(bob), "prompt", "none"), "", loginRequired},
		"essential class, held":      {webRequest("claims", acr("true", pwd)), "", ""},
		"essential class, to reach":  {webRequest("claims", acr("true", mfa)), "/login/mfa", ""},
		"essential class, silently":  {webRequest("claims", acr("true", mfa), "prompt", "none"), "", loginRequired},
		"essential class, unknown":   {webRequest("claims", acr("true", `"urn:mace:incommon:iap:gold"`)), "", unmetAuthentication},
		"voluntary class, unknown":   {webRequest("claims", acr("false", `"urn:mace:incommon:iap:gold"`)), "", ""},
		"claims before acr_values":   {webRequest("claims", acr("false", pwd), "acr_values", oidc.ACRMFA), "", ""},
		"malformed":                  {webRequest("claims", `{"id_token":`), "", invalidRequest},
		"without openid, no meaning": {webRequest("claims", subject(bob), "scope", "lists:read"), "", ""},
	} {
		a := h.authorize(browser, c.request)
		if c.page != "" {
			flowOf(t, a, c.page)
			continue
		}
		if q := callback(t, a, webRedirect); q.Get("error") != c.code || (q.Get("code") == "") == (c.code == "") {
			t.Errorf("%s: %v", name, q)
		}
	}
	again := h.authorize(browser, webRequest("claims", subject(bob)))
	flowID := flowOf(t, again, "/login")
	h.signIn(browser, ada.ID)
	if q := callback(t, h.get(browser, "/authorize/continue?flow="+flowID), webRedirect); q.Get("error") != loginRequired {
		t.Errorf("the wrong person signed in: %v", q)
	}
}

func TestDefaultsOfTheClient(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	c := *h.addWeb()
	zero := int64(0)
	c.Metadata.DefaultMaxAge = &zero
	h.clients.set(&c)
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	flowOf(t, h.authorize(browser, webRequest()), "/login")
	h.code(browser, webRequest("max_age", "600"))
	c.Metadata.DefaultMaxAge, c.Metadata.DefaultACRValues = nil, []string{oidc.ACRMFA}
	h.clients.set(&c)
	flowOf(t, h.authorize(browser, webRequest()), "/login/mfa")
	h.code(browser, webRequest("acr_values", oidc.ACRPassword))
	if a := h.authorize(browser, webRequest("prompt", "none")); callback(t, a, webRedirect).Get("error") != loginRequired || a.status != http.StatusSeeOther {
		t.Errorf("%d %v", a.status, a.header)
	}
}
