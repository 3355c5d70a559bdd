package oauth

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
)

// arrive pushes a request and comes with it as a browser does, with more in the
// address than what was pushed if there is outside. It returns what the client
// is told.
func (b *bank) arrive(browser *http.Client, request, outside url.Values) url.Values {
	b.h.t.Helper()
	a := b.post("/par", request, nil, nil)
	if a.status != http.StatusCreated {
		b.h.t.Fatalf("status %d: %s", a.status, a.body)
	}
	requestURI, _ := a.json(b.h.t)["request_uri"].(string)
	visit := url.Values{"client_id": {"bank"}, "request_uri": {requestURI}}
	maps.Copy(visit, outside)
	return callback(b.h.t, b.h.authorize(browser, visit), webRedirect)
}

// The modules of fapi2-security-profile-final whose request must be accepted,
// and come back uncorrupted.
func TestFAPI2AcceptedRequests(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := newBank(h)
	browser := b.signedIn()
	long := strings.Repeat("aZ09-._~", 48) // 384 characters
	for module, c := range map[string]struct {
		request, outside url.Values
	}{
		"ensure-authorization-request-without-state-success":      {request: b.request("state", "")},
		"ensure-authorization-request-without-nonce-success":      {request: b.request("nonce", "")},
		"ensure-authorization-request-with-64-char-nonce-success": {request: b.request("nonce", long[:64])},
		"ensure-authorization-request-with-long-nonce":            {request: b.request("nonce", long)},
		"ensure-authorization-request-with-long-state":            {request: b.request("state", long)},
		"ensure-other-scope-order-succeeds":                       {request: b.request("scope", "lists:read openid")},
		"par-without-duplicate-parameters":                        {request: b.request()},
		"ensure-different-state-inside-and-outside-request-object": {
			request: b.request(), outside: url.Values{"state": {"outside"}},
		},
		"ensure-different-nonce-inside-and-outside-request-object": {
			request: b.request(), outside: url.Values{"nonce": {"outside"}},
		},
		"state-only-outside-request-object-not-used": {
			request: b.request("state", ""), outside: url.Values{"state": {"outside"}},
		},
	} {
		q := b.arrive(browser, c.request, c.outside)
		if q.Get("state") != c.request.Get("state") || q.Has("state") != c.request.Has("state") || q.Get("iss") != h.issuer {
			t.Errorf("%s: told %v", module, q)
		}
		got := h.tokens(b.exchange(q.Get("code"), b.proves))
		_, claims := unpack(t, got.IDToken)
		if nonce, _ := claims["nonce"].(string); nonce != c.request.Get("nonce") || len(strings.Fields(got.Scope)) != 2 {
			t.Errorf("%s: nonce %q, scope %q", module, nonce, got.Scope)
		}
	}
}

// Modules access-token-type-header-case-sensitivity,
// test-claims-parameter-identity-claims,
// ensure-dpopproof-with-iat-10seconds-before-succeeds and
// ensure-dpopproof-with-iat-10seconds-after-succeeds.
func TestFAPI2AcceptedTokens(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := newBank(h)
	browser := b.signedIn()
	registered, err := h.clients.Client(t.Context(), "bank")
	if err != nil {
		t.Fatal(err)
	}
	wider := *registered // a claim is given within the scopes that are registered
	wider.Metadata.Scope += " profile email"
	h.clients.set(&wider)
	q := b.arrive(browser, b.request("claims", `{"userinfo":{"name":{"essential":true},"email":null}}`), nil)
	got := h.tokens(b.exchange(q.Get("code"), b.proves))
	for _, scheme := range []string{"DPoP", "dpop", "DPOP", "dPoP"} {
		r := h.request(http.MethodGet, "/userinfo", nil)
		r.Header.Set("Authorization", scheme+" "+got.AccessToken)
		h.prove(b.proves, r, got.AccessToken, "")
		a := h.do(nil, r)
		if claims := a.json(t); a.status != http.StatusOK || claims["name"] != "Ada" || claims["email"] == nil {
			t.Errorf("%s: %d %s", scheme, a.status, a.body)
		}
	}
	for _, skew := range []time.Duration{-10 * time.Second, 10 * time.Second} {
		r := h.request(http.MethodPost, "/token", url.Values{
			"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertionOf(t, h, b.signs, "bank", nil)},
		})
		r.Header.Set(dpop.Header, b.proves.Proof(t, dpoptest.Request{Method: r.Method, URL: r.URL.String(), At: h.clock.Now().Add(skew)}))
		h.tokens(h.do(nil, r))
	}
}

// Modules ensure-pkce-code-verifier-required,
// incorrect-pkce-code-verifier-rejected, ensure-client-assertion-in-token-endpoint,
// ensure-client-id-in-token-endpoint, plain-fapi-tolerate-unregistered-redirect-uri
// and par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted.
func TestFAPI2TokenRequests(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := newBank(h)
	browser := b.signedIn()
	exchange := func() url.Values {
		return exchangeOf(b.code(browser, b.request(), nil), "bank", webRedirect)
	}
	refused(t, b.post("/token", with(exchange(), "code_verifier", ""), b.proves, nil), http.StatusBadRequest, invalidGrant)
	refused(t, b.post("/token", with(exchange(), "code_verifier", strings.Repeat("w", 43)), b.proves, nil), http.StatusBadRequest, invalidGrant)
	refused(t, h.proved(b.proves, exchange()), http.StatusUnauthorized, invalidClient)
	refused(t, b.post("/token", with(exchange(), "client_id", "another"), b.proves, nil), http.StatusUnauthorized, invalidClient)
	refused(t, b.post("/par", b.request("redirect_uri", "https://unregistered.example/"), nil, nil), http.StatusBadRequest, invalidRequest)
	h.tokens(b.post("/token", exchange(), b.proves, nil))
	soon := func(c map[string]any) { c["nbf"] = h.clock.Now().Add(8 * time.Second).Unix() }
	if a := b.post("/par", b.request(), nil, soon); a.status != http.StatusCreated {
		t.Errorf("nbf in 8 s: %d %s", a.status, a.body)
	}
	late := func(c map[string]any) { c["nbf"] = h.clock.Now().Add(65 * time.Second).Unix() }
	refused(t, b.post("/par", b.request(), nil, late), http.StatusUnauthorized, invalidClient)
}

// Module discovery-end-point-verification, where tokens are bound to keys.
func TestFAPI2DiscoveryEndPointVerification(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		doc := h.get(nil, path).json(t)
		if doc["pushed_authorization_request_endpoint"] != h.issuer+"/par" || doc["authorization_response_iss_parameter_supported"] != true {
			t.Errorf("%s: %v", path, doc)
		}
		for member, want := range map[string][]any{
			"response_types_supported": {"code"}, "grant_types_supported": {"authorization_code"}, "code_challenge_methods_supported": {"S256"},
			"token_endpoint_auth_methods_supported": {"private_key_jwt"}, "token_endpoint_auth_signing_alg_values_supported": {"PS256", "ES256", "EdDSA"},
			"dpop_signing_alg_values_supported": {"PS256", "ES256", "EdDSA"}, "id_token_signing_alg_values_supported": {"PS256", "ES256", "EdDSA"},
		} {
			values, _ := doc[member].([]any)
			for _, value := range want {
				if !slices.Contains(values, value) {
					t.Errorf("%s: %s lacks %s", path, member, value)
				}
			}
		}
	}
}

// Module happy-flow, its second client: the redirect URI has a query of its own,
// dpop_jkt alone names the key, and neither client's key goes with the other's
// token, nor does a token in a query.
func TestFAPI2HappyFlowOfTheSecondClient(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := newBank(h)
	browser := b.signedIn()
	first := h.tokens(b.exchange(b.code(browser, b.request(), nil), b.proves))

	const redirect = webRedirect + "?dummy1=lorem&dummy2=ipsum"
	registered, err := h.clients.Client(t.Context(), "bank")
	if err != nil {
		t.Fatal(err)
	}
	signs, keys := keyPair(t)
	m := registered.Metadata
	m.RedirectURIs, m.JWKS = []string{redirect}, keys
	h.addClient("bank2", "", m)
	key := dpoptest.NewKey(t)
	post := func(path string, form url.Values, key *dpoptest.Key) answer {
		r := h.request(http.MethodPost, path, with(form, "client_assertion_type", assertionType, "client_assertion", assertionOf(t, h, signs, "bank2", nil)))
		if key != nil {
			h.prove(key, r, "", "")
		}
		return h.do(nil, r)
	}
	a := post("/par", b.request("client_id", "bank2", "redirect_uri", redirect, "dpop_jkt", key.Thumbprint), nil)
	requestURI, _ := a.json(t)["request_uri"].(string)
	q := callback(t, h.authorize(browser, url.Values{"client_id": {"bank2"}, "request_uri": {requestURI}}), webRedirect)
	if q.Get("dummy1") != "lorem" || q.Get("dummy2") != "ipsum" || q.Get("iss") != h.issuer || q.Get("state") != "s" {
		t.Fatalf("%v", q)
	}
	second := h.tokens(post("/token", exchangeOf(q.Get("code"), "bank2", redirect), key))

	userinfo := func(key *dpoptest.Key, token string) answer {
		r := h.request(http.MethodGet, "/userinfo", nil)
		r.Header.Set("Authorization", "DPoP "+token)
		h.prove(key, r, token, "")
		return h.do(nil, r)
	}
	if a := userinfo(key, second.AccessToken); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	for name, a := range map[string]answer{
		"client 1's key": userinfo(b.proves, second.AccessToken), "client 2's key": userinfo(key, first.AccessToken),
		"in the query": h.get(nil, "/userinfo?access_token="+second.AccessToken),
	} {
		if a.status < 400 || a.status > 499 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
