//nolint:thelper // the functions of the map are the tests themselves
package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"larder/authserver/oidc"
)

// The modules of the plan Dynamic that are about the protocol endpoints, with
// clients that sign with the keys they publish. Those about registration are
// in its own package, and what takes a whole server is in tests/rp.
func TestOIDCCDynamic(t *testing.T) {
	t.Parallel()
	theirs := newPublisher(t)
	private := named(t, "suite")
	theirs.publish(t, private.Public())
	byKey := func() oidc.Metadata {
		m := suiteMetadata()
		m.TokenEndpointAuthMethod, m.JWKSURI = oidc.PrivateKeyJWT, theirs.URL+"/jwks"
		return m
	}
	s := &suite{harness: newHarness(t), signs: &private}
	s.user = s.addUser("Ada")
	s.addClient("suite", "", byKey())
	s.addClient("suite2", "", byKey())
	two, signed := byKey(), byKey()
	two.RedirectURIs = []string{suiteRedirect + "?foo=bar", "https://suite.test/other"}
	signed.UserinfoSignedAlg = rs256
	s.addClient("two", "", two)
	s.addClient("jwt", "", signed)
	basic := basicModules()
	s.run(t, map[string]module{
		"oidcc-server":               basic["oidcc-server"],
		"oidcc-refresh-token":        basic["oidcc-refresh-token"],
		"oidcc-idtoken-unsigned":     basic["oidcc-idtoken-unsigned"],
		"oidcc-request-uri-unsigned": basic["oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported"],
		"oidcc-idtoken-rs256":        func(_ *testing.T, s *suite, b *http.Client) { s.signOn(b, s.request()) },
		"oidcc-userinfo-rs256": func(t *testing.T, s *suite, b *http.Client) {
			request := s.request("client_id", "jwt", "scope", "openid profile")
			response, _ := s.visit(b, request)
			tokens := s.tokens(s.token("jwt", url.Values{
				"grant_type": {"authorization_code"}, "code": {s.answered(request, response)}, "redirect_uri": {suiteRedirect},
			}))
			a := s.userinfo(tokens.AccessToken)
			info := s.idTokenClaims(a.body, rs256)
			if a.header.Get("Content-Type") != "application/jwt" || info["iss"] != s.issuer || info["aud"] != "jwt" || info["nonce"] != nil || info["middle_name"] != "King" {
				t.Errorf("%v %v", a.header, info)
			}
		},
		"oidcc-ensure-redirect-uri-in-authorization-request": func(t *testing.T, s *suite, b *http.Client) {
			shown(t, s.authorize(b, s.request("client_id", "two", "redirect_uri", "")), http.StatusBadRequest)
		},
		"oidcc-redirect-uri-query-OK": func(t *testing.T, s *suite, b *http.Client) {
			s.signIn(b, s.user.ID)
			a := s.authorize(b, s.request("client_id", "two", "redirect_uri", suiteRedirect+"?foo=bar"))
			if !strings.HasPrefix(a.header.Get("Location"), suiteRedirect+"?foo=bar&") {
				t.Errorf("%d %v", a.status, a.header)
			}
		},
		"oidcc-redirect-uri-query-mismatch": func(t *testing.T, s *suite, b *http.Client) {
			shown(t, s.authorize(b, s.request("client_id", "two", "redirect_uri", suiteRedirect+"?foo=baz")), http.StatusBadRequest)
		},
		"oidcc-redirect-uri-query-added": func(t *testing.T, s *suite, b *http.Client) {
			shown(t, s.authorize(b, s.request("redirect_uri", suiteRedirect+"?foo=bar")), http.StatusBadRequest)
		},
	})
}
