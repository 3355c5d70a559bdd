package oauth

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
)

const suiteRedirect = "https://suite.test/test/a/larder/callback"

// suite is a relying party as the OpenID Foundation's conformance suite is one:
// confidential, without PKCE, with RS256. mode is the response_mode of its plan,
// signs the key of its clients where they authenticate by private_key_jwt.
type suite struct {
	*harness
	mode  string
	signs *jose.JSONWebKey
	user  oidc.User
}

// newSuite registers the clients of a plan on a harness of its own.
func newSuite(t *testing.T, mode string) *suite {
	t.Helper()
	s := &suite{harness: newHarness(t), mode: mode}
	s.user = s.addUser("Ada")
	for _, clientID := range []string{"suite", "suite2"} {
		s.addClient(clientID, webSecret, suiteMetadata())
	}
	return s
}

func suiteMetadata() oidc.Metadata {
	return oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode, oidc.RefreshToken}, RedirectURIs: []string{suiteRedirect}, RequirePKCE: new(bool),
		Scope: "openid profile email address phone offline_access", IDTokenSignedAlg: rs256, Resources: []string{testAPI},
	}
}

// module runs one of the suite's modules in a browser that is new.
type module func(t *testing.T, s *suite, browser *http.Client)

// run runs modules one after the other.
func (s *suite) run(t *testing.T, modules map[string]module) {
	t.Helper()
	for name, m := range modules {
		t.Run(name, func(t *testing.T) {
			h := *s.harness
			h.t = t
			h.consents.missing.Store(false)
			m(t, &suite{harness: &h, mode: s.mode, signs: s.signs, user: s.user}, h.browser())
		})
	}
}

// request is an authorization request of the plan.
func (s *suite) request(namesAndValues ...string) url.Values {
	return with(url.Values{
		"client_id": {"suite"}, "redirect_uri": {suiteRedirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {strings.Repeat("s", 128)},
		"nonce": {"nonce-of-the-suite"}, "response_mode": {s.mode},
	}, append([]string{"response_mode", s.mode}, namesAndValues...)...)
}

// visit sends the browser with a request and acts on every page, as the person
// does: pages are those that were shown.
func (s *suite) visit(browser *http.Client, request url.Values) (response url.Values, pages []string) {
	s.t.Helper()
	a := s.authorize(browser, request)
	for range 6 {
		location := a.header.Get("Location")
		page, flowID, waits := strings.Cut(location, "?flow=")
		switch {
		case waits && page == "/login":
			pages = append(pages, page)
			s.clock.Advance(1e9)
			s.signIn(browser, s.user.ID)
			a = s.get(browser, "/authorize/continue?flow="+flowID)
		case waits && page == "/consent":
			pages = append(pages, page)
			login, err := s.sessions.Current(withCookies(s.harness.request(http.MethodGet, "/", nil), browser))
			if err != nil || login == nil {
				s.t.Fatalf("consent of nobody: %v", err)
			}
			if _, err := s.consents.Covered(s.t.Context(), s.user.ID, request.Get("client_id"), oidc.SplitScope(request.Get("scope")), []string{}); err != nil {
				s.t.Fatal(err)
			}
			s.flows.decide(flowID, login.SID, false)
			a = s.get(browser, "/authorize/continue?flow="+flowID)
		case strings.HasPrefix(location, "/"):
			a = s.get(browser, location)
		default:
			return s.response(a), pages
		}
	}
	s.t.Fatalf("the pages have no end: %v", pages)
	return nil, nil
}

func withCookies(r *http.Request, browser *http.Client) *http.Request {
	for _, cookie := range browser.Jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	return r
}

// response reads what the relying party is told, in the mode of the plan.
func (s *suite) response(a answer) url.Values {
	s.t.Helper()
	if s.mode != "form_post" {
		return callback(s.t, a, suiteRedirect)
	}
	if a.status != http.StatusOK || !strings.Contains(a.body, `<form method="post" action="`+suiteRedirect+`">`) {
		s.t.Fatalf("no form: %d %v %s", a.status, a.header, a.body)
	}
	values := url.Values{}
	for _, field := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(a.body, -1) {
		values.Add(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	return values
}

// answered checks what holds for every response that succeeds, and returns the
// code.
func (s *suite) answered(request, response url.Values) string {
	s.t.Helper()
	if response.Get("state") != request.Get("state") || response.Get("iss") != s.issuer || len(response.Get("code")) < 22 || response.Has("error") {
		s.t.Fatalf("response %v", response)
	}
	for name := range response {
		if name != "code" && name != "state" && name != "iss" && name != "session_state" {
			s.t.Errorf("unexpected parameter %s", name)
		}
	}
	return response.Get("code")
}

// refusal checks what holds for every response that is an error.
func (s *suite) refusal(request, response url.Values, codes ...string) {
	s.t.Helper()
	for _, code := range codes {
		if response.Get("error") == code && !response.Has("code") && response.Get("state") == request.Get("state") &&
			!strings.ContainsAny(response.Get("error_description"), `"\`) {
			return
		}
	}
	s.t.Errorf("response %v; want one of %v", response, codes)
}

// token sends a form to the token endpoint as one of the clients of the plan.
func (s *suite) token(clientID string, form url.Values) answer {
	s.t.Helper()
	if s.signs == nil {
		return s.post("/token", form, clientID, webSecret)
	}
	return s.post("/token", with(form, "client_assertion_type", assertionType, "client_assertion", assertionOf(s.t, s.harness, *s.signs, clientID, nil)))
}

// redeem exchanges a code.
func (s *suite) redeem(code string, more ...string) answer {
	s.t.Helper()
	return s.token("suite", with(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {suiteRedirect}}, more...))
}

// signedOn is a whole sign-on: the tokens, the claims of the ID token, and the
// pages that were shown.
type signedOn struct {
	tokens tokenResponse
	id     map[string]any
	pages  []string
	code   string
}

// signOn goes all the way and checks what holds in every module.
func (s *suite) signOn(browser *http.Client, request url.Values) signedOn {
	s.t.Helper()
	response, pages := s.visit(browser, request)
	on := signedOn{pages: pages, code: s.answered(request, response)}
	on.tokens = s.tokens(s.redeem(on.code))
	on.id = s.checkID(on.tokens, request.Get("nonce"))
	return on
}

// checkID checks an ID token as every module does.
func (s *suite) checkID(tokens tokenResponse, nonce string) map[string]any {
	s.t.Helper()
	id := s.idTokenClaims(tokens.IDToken, rs256)
	want, _ := id["nonce"].(string)
	if id["iss"] != s.issuer || id["aud"] != "suite" || id["sub"] != s.user.ID.String() || want != nonce || id["acr"] == "" || id["name"] != nil ||
		id["at_hash"] != leftHalf(rs256, tokens.AccessToken) || tokens.ExpiresIn <= 0 || !strings.EqualFold(tokens.TokenType, "bearer") {
		s.t.Errorf("ID token %v of %+v", id, tokens)
	}
	now := float64(s.clock.Now().Unix())
	if iat, _ := id["iat"].(float64); now-iat > 300 || iat > now {
		s.t.Errorf("made at %v, now it is %v", id["iat"], now)
	}
	standard := []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"}
	for claim := range id {
		if !slices.Contains(standard, claim) {
			s.t.Errorf("the ID token has %s, which nobody asked for", claim)
		}
	}
	return id
}

// info asks for userinfo and checks what holds in every module.
func (s *suite) info(tokens tokenResponse) map[string]any {
	s.t.Helper()
	a := s.userinfo(tokens.AccessToken)
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		s.t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	info := a.json(s.t)
	if info["sub"] != s.user.ID.String() {
		s.t.Errorf("%v", info)
	}
	return info
}
