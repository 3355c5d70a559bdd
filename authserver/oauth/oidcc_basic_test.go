//nolint:thelper // the functions of the maps are the tests themselves
package oauth

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/authserver/oidc"
)

// The modules of the plans Basic and Form Post Basic, by their names. What they
// ask of registration, of pages and of request objects is tested where those
// are.
func TestOIDCCBasic(t *testing.T) {
	t.Parallel()
	newSuite(t, "").run(t, basicModules())
}

func TestOIDCCFormPostBasic(t *testing.T) {
	t.Parallel()
	newSuite(t, "form_post").run(t, basicModules())
}

func basicModules() map[string]module {
	modules := map[string]module{
		"oidcc-server": func(t *testing.T, s *suite, b *http.Client) {
			on := s.signOn(b, s.request())
			if info := s.info(on.tokens); len(info) != 1 || on.tokens.RefreshToken == "" {
				t.Errorf("%v %+v", info, on.tokens)
			}
		},
		"oidcc-server-client-secret-post": func(_ *testing.T, s *suite, b *http.Client) {
			m := suiteMetadata()
			m.TokenEndpointAuthMethod = oidc.ClientSecretPost
			s.addClient("poster"+s.mode, webSecret, m)
			request := s.request("client_id", "poster"+s.mode)
			response, _ := s.visit(b, request)
			s.tokens(s.post("/token", url.Values{
				"grant_type": {"authorization_code"}, "code": {s.answered(request, response)}, "redirect_uri": {suiteRedirect},
				"client_id": {"poster" + s.mode}, "client_secret": {webSecret},
			}))
		},
		"oidcc-response-type-missing": func(_ *testing.T, s *suite, b *http.Client) {
			request := s.request("response_type", "")
			response, _ := s.visit(b, request)
			s.refusal(request, response, invalidRequest, unsupportedResponseType)
		},
		"oidcc-idtoken-signature": func(_ *testing.T, s *suite, b *http.Client) { s.signOn(b, s.request()) },
		"oidcc-idtoken-unsigned": func(t *testing.T, s *suite, _ *http.Client) {
			algs := s.p.metadata().IDTokenSigningAlgs
			if len(algs) == 0 || slices.Contains(algs, "none") {
				t.Errorf("%v", algs)
			}
		},
		"oidcc-userinfo-get": func(_ *testing.T, s *suite, b *http.Client) { s.info(s.signOn(b, s.request()).tokens) },
		"oidcc-userinfo-post-header": func(t *testing.T, s *suite, b *http.Client) {
			r := s.harness.request(http.MethodPost, "/userinfo", nil)
			r.Header.Set("Authorization", "Bearer "+s.signOn(b, s.request()).tokens.AccessToken)
			if a := s.do(nil, r); a.json(t)["sub"] != s.user.ID.String() {
				t.Errorf("%d %s", a.status, a.body)
			}
		},
		"oidcc-userinfo-post-body": func(t *testing.T, s *suite, b *http.Client) {
			a := s.post("/userinfo", url.Values{"access_token": {s.signOn(b, s.request()).tokens.AccessToken}})
			if a.json(t)["sub"] != s.user.ID.String() {
				t.Errorf("%d %s", a.status, a.body)
			}
		},
		"oidcc-ensure-request-without-nonce-succeeds-for-code-flow": func(_ *testing.T, s *suite, b *http.Client) { s.signOn(b, s.request("nonce", "")) },
		"oidcc-alternate-happy-flow": func(t *testing.T, s *suite, b *http.Client) {
			if info := s.info(s.signOn(b, s.request("scope", "phone email openid profile")).tokens); info["email"] == nil || info["phone_number"] == nil {
				t.Errorf("%v", info)
			}
		},
		"oidcc-prompt-login": func(t *testing.T, s *suite, b *http.Client) {
			first := s.signOn(b, s.request())
			s.clock.Advance(2 * time.Second)
			again := s.signOn(b, s.request("prompt", "login"))
			if !slices.Contains(again.pages, "/login") || authTime(again) <= authTime(first) {
				t.Errorf("%v, then %v", first, again)
			}
		},
		"oidcc-prompt-none-not-logged-in": func(_ *testing.T, s *suite, b *http.Client) {
			request := s.request("prompt", "none")
			response, _ := s.visit(b, request)
			s.refusal(request, response, loginRequired)
		},
		"oidcc-prompt-none-logged-in": func(t *testing.T, s *suite, b *http.Client) {
			first := s.signOn(b, s.request())
			s.clock.Advance(2 * time.Second)
			again := s.signOn(b, s.request("prompt", "none"))
			if len(again.pages) > 0 || authTime(again) != authTime(first) || again.id["sub"] != first.id["sub"] {
				t.Errorf("%v, then %v", first, again)
			}
		},
		"oidcc-max-age-1": func(t *testing.T, s *suite, b *http.Client) {
			first := s.signOn(b, s.request())
			s.clock.Advance(2 * time.Second)
			again := s.signOn(b, s.request("max_age", "1"))
			if !slices.Contains(again.pages, "/login") || authTime(again) <= authTime(first) {
				t.Errorf("%v, then %v", first, again)
			}
		},
		"oidcc-max-age-10000": func(t *testing.T, s *suite, b *http.Client) {
			first := s.signOn(b, s.request("max_age", "15000"))
			s.clock.Advance(2 * time.Second)
			again := s.signOn(b, s.request("max_age", "10000"))
			if len(again.pages) > 0 || authTime(first) == 0 || authTime(again) != authTime(first) {
				t.Errorf("%v, then %v", first, again)
			}
		},
		"oidcc-id-token-hint": func(t *testing.T, s *suite, b *http.Client) {
			first := s.signOn(b, s.request())
			s.clock.Advance(2 * time.Second)
			again := s.signOn(b, s.request("prompt", "none", "id_token_hint", first.tokens.IDToken))
			if len(again.pages) > 0 || authTime(again) != authTime(first) || again.id["sub"] != first.id["sub"] {
				t.Errorf("%v, then %v", first, again)
			}
		},
		"oidcc-ensure-request-with-acr-values-succeeds": func(t *testing.T, s *suite, b *http.Client) {
			if on := s.signOn(b, s.request("acr_values", strings.Join(acrSupported(), " "))); on.id["acr"] != oidc.ACRPassword {
				t.Errorf("%v", on.id)
			}
			s.signOn(b, s.request("acr_values", "1 2"))
		},
		"oidcc-codereuse": func(t *testing.T, s *suite, b *http.Client) {
			on := s.signOn(b, s.request())
			refused(t, s.redeem(on.code), http.StatusBadRequest, invalidGrant)
		},
		"oidcc-codereuse-30seconds": func(t *testing.T, shared *suite, b *http.Client) {
			s := newSuite(t, shared.mode) // revocation goes by the database's clock, which no other module may have left behind
			s.signIn(b, s.user.ID)
			on := s.signOn(b, s.request())
			s.clock.Advance(30 * time.Second)
			refused(t, s.redeem(on.code), http.StatusBadRequest, invalidGrant)
			if a := s.userinfo(on.tokens.AccessToken); a.status != http.StatusUnauthorized {
				t.Errorf("the access token lives: %d", a.status)
			}
		},
		"oidcc-ensure-registered-redirect-uri": func(t *testing.T, s *suite, b *http.Client) {
			shown(t, s.authorize(b, s.request("redirect_uri", suiteRedirect+"/elsewhere")), http.StatusBadRequest)
		},
		"oidcc-ensure-post-request-succeeds": func(t *testing.T, s *suite, b *http.Client) {
			s.signIn(b, s.user.ID)
			request := s.request()
			a := s.do(b, s.harness.request(http.MethodPost, "/authorize", request))
			for range 3 {
				if location := a.header.Get("Location"); strings.HasPrefix(location, "/authorize") {
					a = s.get(b, location)
				}
			}
			s.tokens(s.redeem(s.answered(request, s.response(a))))
		},
		"oidcc-claims-essential": func(t *testing.T, s *suite, b *http.Client) {
			on := s.signOn(b, s.request("claims", `{"userinfo":{"name":{"essential":true}}}`))
			if info := s.info(on.tokens); info["name"] != "Ada" || len(info) != 2 {
				t.Errorf("%v", info)
			}
		},
		"oidcc-refresh-token": func(t *testing.T, s *suite, b *http.Client) {
			first := s.signOn(b, s.request("scope", "openid offline_access", "prompt", "consent"))
			if !slices.Contains(first.pages, "/consent") {
				t.Errorf("%v", first.pages)
			}
			s.clock.Advance(2 * time.Second)
			refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.tokens.RefreshToken}}
			refused(t, s.token("suite2", refresh), http.StatusBadRequest, invalidGrant)
			again := s.checkID(s.tokens(s.token("suite", refresh)), "")
			for _, claim := range []string{"iss", "sub", "aud", "auth_time"} {
				if again[claim] != first.id[claim] {
					t.Errorf("%s: %v, then %v", claim, first.id[claim], again[claim])
				}
			}
			before, _ := first.id["iat"].(float64)
			if after, _ := again["iat"].(float64); after <= before {
				t.Errorf("%v", again)
			}
		},
		"oidcc-ensure-request-with-valid-pkce-succeeds": func(_ *testing.T, s *suite, b *http.Client) {
			request := s.request("code_challenge", challengeOf(testVerifier), "code_challenge_method", "S256")
			response, _ := s.visit(b, request)
			s.checkID(s.tokens(s.redeem(s.answered(request, response), "code_verifier", testVerifier)), request.Get("nonce"))
		},
	}
	maps.Copy(modules, scopeModules())
	for _, name := range []string{
		"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
		"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
	} {
		modules[name] = unsignedObject
	}
	for name, parameter := range map[string][]string{
		"oidcc-display-page": {"display", "page"}, "oidcc-display-popup": {"display", "popup"}, "oidcc-ui-locales": {"ui_locales", "se"},
		"oidcc-claims-locales": {"claims_locales", "se"}, "oidcc-login-hint": {"login_hint", "ada@larder.test"},
		"oidcc-ensure-request-with-unknown-parameter-succeeds": {"extra", "foobar"},
	} {
		modules[name] = func(_ *testing.T, s *suite, b *http.Client) { s.signOn(b, s.request(parameter...)) }
	}
	return modules
}

// scopeModules find every standard claim of their scope in userinfo.
func scopeModules() map[string]module {
	modules := map[string]module{}
	for name, scopes := range map[string]string{
		"oidcc-scope-profile": oidc.ScopeProfile, "oidcc-scope-email": oidc.ScopeEmail, "oidcc-scope-address": oidc.ScopeAddress,
		"oidcc-scope-phone": oidc.ScopePhone, "oidcc-scope-all": strings.Join(claimScopes(), " "),
	} {
		modules[name] = func(t *testing.T, s *suite, b *http.Client) {
			info := s.info(s.signOn(b, s.request("scope", "openid "+scopes)).tokens)
			for _, claim := range claimsOf(oidc.SplitScope(scopes)) {
				if info[claim] == nil {
					t.Errorf("%s is missing", claim)
				}
			}
			if _, isNumber := info["updated_at"].(float64); info["updated_at"] != nil && !isNumber {
				t.Errorf("updated_at is %v", info["updated_at"])
			}
		}
	}
	return modules
}

func authTime(on signedOn) float64 {
	seconds, _ := on.id["auth_time"].(float64)
	return seconds
}

// unsignedObject finds that a request object without a signature is neither
// offered nor taken. The suite asks for no more where it is not offered.
func unsignedObject(t *testing.T, s *suite, b *http.Client) {
	if algs := s.p.metadata().RequestObjectAlgs; !slices.Contains(algs, rs256) || slices.Contains(algs, "none") {
		t.Errorf("%v", algs)
	}
	request := s.request()
	object, err := json.Marshal(s.object(request, nil))
	if err != nil {
		t.Fatal(err)
	}
	request.Set("request", b64([]byte(`{"alg":"none"}`))+"."+b64(object)+".")
	response, _ := s.visit(b, request)
	s.refusal(request, response, invalidRequestObject)
}

// Module oidcc-discovery-endpoint-verification: what the plan Config reads.
func TestOIDCCDiscoveryEndpointVerification(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	doc := s.get(nil, "/.well-known/openid-configuration").json(t)
	for _, member := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
		if address, _ := doc[member].(string); !strings.HasPrefix(address, s.issuer+"/") {
			t.Errorf("%s is %v", member, doc[member])
		}
	}
	for member, value := range map[string]string{
		"id_token_signing_alg_values_supported": rs256, "scopes_supported": oidc.ScopeOpenID, "response_types_supported": "code",
		"grant_types_supported": oidc.AuthorizationCode, "subject_types_supported": oidc.SubjectPairwise, "claims_supported": "middle_name",
		"userinfo_signing_alg_values_supported": rs256, "id_token_encryption_alg_values_supported": "RSA-OAEP-256",
	} {
		if values, _ := doc[member].([]any); !slices.Contains(values, any(value)) {
			t.Errorf("%s is %v", member, doc[member])
		}
	}
	if doc["issuer"] != s.issuer || doc["claims_parameter_supported"] != true {
		t.Errorf("%v", doc)
	}
	registered := regexp.MustCompile(registeredMembers)
	for member := range doc {
		if !registered.MatchString(member) {
			t.Errorf("%s is no registered member", member)
		}
	}
}

// registeredMembers are those of IANA's registry that a provider like this one
// may have.
const registeredMembers = `^(issuer|jwks_uri|check_session_iframe|mtls_endpoint_aliases|tls_client_certificate_bound_access_tokens|` +
	`require_(pushed_authorization_requests|request_uri_registration|signed_request_object)|` +
	`(authorization|token|userinfo|introspection|revocation|end_session|registration|pushed_authorization_request|device_authorization|` +
	`backchannel_authentication)_endpoint|` +
	`((scopes|response_types|response_modes|grant_types|subject_types|prompt_values|acr_values|display_values|claim_types|claims|ui_locales|` +
	`code_challenge_methods|authorization_details_types|claims_parameter|request_parameter|request_uri_parameter|authorization_response_iss_parameter|` +
	`(back|front)channel_logout(_session)?|backchannel_token_delivery_modes|backchannel_user_code_parameter|` +
	`(id_token|userinfo|authorization|introspection)_encryption_(alg|enc)_values|` +
	`(id_token|userinfo|request_object|authorization|introspection|dpop|backchannel_authentication_request)_signing_alg_values|` +
	`(token|introspection|revocation)_endpoint_auth_(methods|signing_alg_values))_supported))$`
