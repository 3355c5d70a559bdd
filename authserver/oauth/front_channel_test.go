package oauth

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/authserver/oidc"
)

// newFrontChannel is a plan of the implicit or the hybrid flow: the setting is
// on, and a client is registered for everything.
func newFrontChannel(t *testing.T) *suite {
	t.Helper()
	s := newSuite(t, "")
	s.p.Config.FrontChannel = true
	m := suiteMetadata()
	m.GrantTypes = append(m.GrantTypes, oidc.Implicit)
	m.ResponseTypes = append([]string{"code"}, oidc.FrontChannelTypes()...)
	s.addClient("front", webSecret, m)
	return s
}

// fragment is what the client is told in the fragment.
func fragment(t *testing.T, a answer) url.Values {
	t.Helper()
	text, ok := strings.CutPrefix(a.header.Get("Location"), suiteRedirect+"#")
	values, err := url.ParseQuery(text)
	if a.status != http.StatusSeeOther || !ok || err != nil {
		t.Fatalf("%d %v %v; want a fragment", a.status, a.header, err)
	}
	return values
}

func TestFrontChannelResponseTypes(t *testing.T) {
	t.Parallel()
	s := newFrontChannel(t)
	browser := s.browser()
	s.signIn(browser, s.user.ID)
	for _, responseType := range append(oidc.FrontChannelTypes(), "token code id_token") {
		request := s.request("client_id", "front", "response_type", responseType, "scope", "openid email offline_access")
		got := fragment(t, s.authorize(browser, request))
		gives := func(part string) bool { return slices.Contains(strings.Fields(responseType), part) }
		if (got.Get("code") != "") != gives("code") || (got.Get("access_token") != "") != gives("token") || (got.Get("id_token") != "") != gives("id_token") ||
			(got.Get("token_type") == "Bearer") != gives("token") || (got.Get("expires_in") == "300") != gives("token") ||
			got.Get("iss") != s.issuer || got.Get("state") != request.Get("state") || got.Has("refresh_token") {
			t.Errorf("%s: %v", responseType, got)
		}
		if gives("id_token") {
			id := s.idTokenClaims(got.Get("id_token"), rs256)
			hash := func(name string) string { text, _ := id[name].(string); return text }
			if id["nonce"] != "nonce-of-the-suite" || id["sub"] != s.user.ID.String() || id["auth_time"] == nil ||
				hash("at_hash") != leftHalf(rs256, got.Get("access_token")) || hash("c_hash") != leftHalf(rs256, got.Get("code")) ||
				(id["email"] != nil) != (responseType == "id_token") {
				t.Errorf("%s: ID token %v", responseType, id)
			}
		}
		if gives("token") {
			info := s.userinfo(got.Get("access_token"))
			if info.status != http.StatusOK || info.json(t)["email"] != "ada@larder.test" || got.Get("scope") != "openid email" {
				t.Errorf("%s: %d %s for %s", responseType, info.status, info.body, got.Get("scope"))
			}
		}
		if gives("code") {
			tokens := s.tokens(s.post("/token", url.Values{
				"grant_type": {"authorization_code"}, "code": {got.Get("code")}, "redirect_uri": {suiteRedirect},
			}, "front", webSecret))
			id := s.idTokenClaims(tokens.IDToken, rs256)
			if id["nonce"] != "nonce-of-the-suite" || id["c_hash"] != nil || tokens.RefreshToken == "" {
				t.Errorf("%s: %v", responseType, id)
			}
		}
	}
	page := s.authorize(browser, s.request("client_id", "front", "response_type", "id_token token", "response_mode", "form_post"))
	if page.status != http.StatusOK || !strings.Contains(page.body, `name="id_token"`) || !strings.Contains(page.body, `name="access_token"`) {
		t.Errorf("form_post: %d %s", page.status, page.body)
	}
	for _, mode := range []string{"jwt", "fragment.jwt"} {
		got := fragment(t, s.authorize(browser, s.request("client_id", "front", "response_type", "id_token token", "response_mode", mode)))
		_, claims := unpack(t, got.Get("response"))
		if len(got) != 1 || claims["access_token"] == nil || claims["id_token"] == nil || claims["aud"] != "front" || claims["iss"] != s.issuer {
			t.Errorf("%s: %v", mode, claims)
		}
	}
}

func TestFrontChannelRefusals(t *testing.T) {
	t.Parallel()
	s := newFrontChannel(t)
	browser := s.browser()
	s.signIn(browser, s.user.ID)
	bound := suiteMetadata()
	bound.GrantTypes, bound.ResponseTypes, bound.DPoPBound = []string{oidc.Implicit}, []string{"id_token token"}, true
	s.addClient("bound", webSecret, bound)
	pkce := suiteMetadata()
	pkce.GrantTypes, pkce.ResponseTypes, pkce.RequirePKCE = []string{oidc.AuthorizationCode, oidc.Implicit}, []string{"code id_token", "id_token"}, nil
	s.addClient("pkce", webSecret, pkce)
	for name, c := range map[string]struct {
		request []string
		code    string
	}{
		"no nonce":                 {[]string{"response_type", "id_token", "nonce", ""}, invalidRequest},
		"no nonce in hybrid":       {[]string{"response_type", "code id_token", "nonce", ""}, invalidRequest},
		"tokens in the query":      {[]string{"response_type", "id_token token", "response_mode", "query"}, invalidRequest},
		"tokens signed, in query":  {[]string{"response_type", "id_token token", "response_mode", "query.jwt"}, invalidRequest},
		"ID token without openid":  {[]string{"response_type", "id_token", "scope", "email"}, invalidScope},
		"a client without them":    {[]string{"response_type", "id_token", "client_id", "suite"}, unauthorizedClient},
		"a client of bound tokens": {[]string{"response_type", "id_token token", "client_id", "bound"}, unauthorizedClient},
		"a code without challenge": {[]string{"response_type", "code id_token", "client_id", "pkce"}, invalidRequest},
		"silently":                 {[]string{"response_type", "id_token", "prompt", "none", "max_age", "0"}, loginRequired},
	} {
		request := s.request(append([]string{"client_id", "front"}, c.request...)...)
		got := fragment(t, s.authorize(browser, request))
		if got.Has("response") {
			_, claims := unpack(t, got.Get("response"))
			got = url.Values{}
			for name, value := range claims {
				got.Set(name, fmt.Sprint(value))
			}
		}
		if got.Get("error") != c.code || got.Has("code") || got.Has("id_token") || got.Has("access_token") || got.Get("state") != request.Get("state") {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := fragment(t, s.authorize(browser, s.request("client_id", "pkce", "response_type", "id_token"))); got.Get("id_token") == "" {
		t.Errorf("without a code there is nothing to prove: %v", got)
	}
	if got := fragment(t, s.authorize(browser, s.request("client_id", "front", "response_type", "token"))); got.Get("error") != unsupportedResponseType {
		t.Errorf("the bare token: %v", got)
	}
	s.p.Config.FrontChannel = false
	if got := callback(t, s.authorize(browser, s.request("client_id", "front", "response_type", "id_token")), suiteRedirect); got.Get("error") != unsupportedResponseType {
		t.Errorf("with the setting off: %v", got)
	}
}

// What ends a grant ends the token that came through the browser, too.
func TestFrontChannelTokensHaveAGrant(t *testing.T) {
	t.Parallel()
	s := newFrontChannel(t)
	browser := s.browser()
	login := s.signIn(browser, s.user.ID)
	token := fragment(t, s.authorize(browser, s.request("client_id", "front", "response_type", "id_token token"))).Get("access_token")
	at, err := s.p.VerifyAccessToken(t.Context(), token, "")
	if err != nil {
		t.Fatal(err)
	}
	var clientID string
	if err := s.db.Owner.QueryRow(t.Context(), `SELECT client_id FROM auth.grants WHERE id = $1 AND salt IS NULL`, at.GrantID).Scan(&clientID); err != nil || clientID != "front" {
		t.Errorf("%q, %v", clientID, err)
	}
	s.logOut(login)
	if s.live(token) {
		t.Error("the token outlives its session")
	}
}

func TestFrontChannelIsAdvertisedOnlyWhenOn(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	off := s.p.metadata()
	s.p.Config.FrontChannel = true
	on := s.p.metadata()
	if diff := cmp.Diff([]string{"code"}, off.ResponseTypesSupported); diff != "" || slices.Contains(off.GrantTypesSupported, oidc.Implicit) || slices.Contains(off.ResponseModesSupported, "fragment") {
		t.Errorf("off: %v (-want +got):\n%s", off.GrantTypesSupported, diff)
	}
	if diff := cmp.Diff([]string{"code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"}, on.ResponseTypesSupported); diff != "" ||
		!slices.Contains(on.GrantTypesSupported, oidc.Implicit) || !slices.Contains(on.ResponseModesSupported, "fragment") || !slices.Contains(on.ResponseModesSupported, "fragment.jwt") {
		t.Errorf("on: %v (-want +got):\n%s", on.GrantTypesSupported, diff)
	}
}
