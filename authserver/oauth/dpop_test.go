package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
)

// prove gives r a proof by key, made for it and for token.
func (h *harness) prove(key *dpoptest.Key, r *http.Request, token, nonce string) {
	h.t.Helper()
	address, _, _ := strings.Cut(r.URL.String(), "?")
	r.Header.Set(dpop.Header, key.Proof(h.t, dpoptest.Request{
		Method: r.Method, URL: address, At: h.clock.Now(), AccessToken: token, Nonce: nonce,
	}))
}

// proved posts a form with a proof by key.
func (h *harness) proved(key *dpoptest.Key, form url.Values, auth ...string) answer {
	h.t.Helper()
	r := h.request(http.MethodPost, "/token", form)
	if len(auth) == 2 {
		r.SetBasicAuth(auth[0], auth[1])
	}
	h.prove(key, r, "", "")
	return h.do(nil, r)
}

func exchangeOf(code, clientID, redirect string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {code},
		"redirect_uri": {redirect}, "code_verifier": {testVerifier},
	}
}

func refreshOf(token, clientID string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "refresh_token": {token}}
}

// boundFamily signs somebody in at spa with tokens bound to key.
func (h *harness) boundFamily(key *dpoptest.Key) tokenResponse {
	h.t.Helper()
	if _, err := h.clients.Client(h.t.Context(), "spa"); err != nil {
		h.addSPA()
	}
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	return h.tokens(h.proved(key, exchangeOf(h.code(browser, spaRequest()), "spa", spaRedirect)))
}

// boundTo is the key that an access token names.
func boundTo(t testing.TB, accessToken string) any {
	t.Helper()
	_, claims := unpack(t, accessToken)
	cnf, _ := claims["cnf"].(map[string]any)
	return cnf["jkt"]
}

// fapi2-security-profile-final-happy-flow, as far as tokens go.
func TestDPoPBindsTokens(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addMachine()
	for _, key := range []*dpoptest.Key{dpoptest.NewKey(t), dpoptest.NewEdKey(t), dpoptest.NewRSAKey(t, 2048)} {
		got := h.boundFamily(key)
		if got.TokenType != "DPoP" || boundTo(t, got.AccessToken) != key.Thumbprint {
			t.Errorf("%s: %+v bound to %v", key.Alg, got, boundTo(t, got.AccessToken))
		}
		again := h.tokens(h.proved(key, refreshOf(got.RefreshToken, "spa")))
		if again.TokenType != "DPoP" || boundTo(t, again.AccessToken) != key.Thumbprint {
			t.Errorf("%s refreshed: %+v", key.Alg, again)
		}
		own := h.tokens(h.proved(key, url.Values{"grant_type": {"client_credentials"}}, "machine", "machine-secret"))
		if own.TokenType != "DPoP" || boundTo(t, own.AccessToken) != key.Thumbprint {
			t.Errorf("%s client_credentials: %+v", key.Alg, own)
		}
	}
	plain := h.tokens(h.post("/token", url.Values{"grant_type": {"client_credentials"}}, "machine", "machine-secret"))
	if plain.TokenType != "Bearer" || boundTo(t, plain.AccessToken) != nil {
		t.Errorf("without a proof: %+v", plain)
	}
}

// fapi2-security-profile-final-ensure-holder-of-key-required, and RFC 9449 §5.2.
func TestEnsureHolderOfKeyRequired(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	client := *h.addSPA()
	client.Metadata.DPoPBound = true
	h.clients.set(&client)
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	code := h.code(browser, spaRequest())
	refused(t, h.spaExchange(code), http.StatusBadRequest, dpop.CodeInvalidProof)
	key := dpoptest.NewKey(t)
	got := h.tokens(h.proved(key, exchangeOf(code, "spa", spaRedirect))) // the refusal spent nothing
	refused(t, h.spaRefresh(got.RefreshToken), http.StatusBadRequest, dpop.CodeInvalidProof)
	h.tokens(h.proved(key, refreshOf(got.RefreshToken, "spa")))
}

// fapi2-security-profile-final-dpop-negative-tests at the token endpoint; every
// forgery is tried in package dpop. O27.
func TestDPoPNegativeTestsAtTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addMachine()
	key := dpoptest.NewKey(t)
	form := url.Values{"grant_type": {"client_credentials"}}
	want := dpoptest.Request{Method: http.MethodPost, URL: h.issuer + "/token", At: h.clock.Now()}
	send := func(proofs ...string) answer {
		r := h.request(http.MethodPost, "/token", form)
		r.SetBasicAuth("machine", "machine-secret")
		r.Header[http.CanonicalHeaderKey(dpop.Header)] = proofs
		return h.do(nil, r)
	}
	used := key.Proof(t, want)
	h.tokens(send(used))
	stale, wrongMethod, wrongURL := want, want, want
	stale.At, wrongMethod.Method, wrongURL.URL = want.At.Add(-time.Hour), http.MethodGet, h.issuer+"/userinfo"
	for name, proofs := range map[string][]string{
		"replayed jti": {used},
		"two headers":  {key.Proof(t, want), key.Proof(t, want)},
		"malformed":    {"a.b.c"},
		"empty":        {""},
		"stale iat":    {key.Proof(t, stale)},
		"wrong htm":    {key.Proof(t, wrongMethod)},
		"wrong htu":    {key.Proof(t, wrongURL)},
		"typ JWT":      {key.Forge(t, want, dpoptest.Members{"typ": "JWT"}, nil)},
		"no jwk":       {key.Forge(t, want, dpoptest.Members{"jwk": nil}, nil)},
		"alg none":     {key.Forge(t, want, dpoptest.Members{"alg": "none"}, nil)},
		"foreign jwk":  {key.Forge(t, want, dpoptest.Members{"jwk": dpoptest.NewKey(t).Public}, nil)},
	} {
		a := send(proofs...)
		refused(t, a, http.StatusBadRequest, dpop.CodeInvalidProof)
		if t.Failed() {
			t.Fatalf("in %s", name)
		}
	}
	query := want
	query.URL += "?x=y#z"
	h.tokens(send(key.Forge(t, query, nil, dpoptest.Members{"extra": true}))) // htu's query and other claims do not count
}

// fapi2-security-profile-final-refresh-token for a public client: its refresh
// tokens are bound to its key, inside the grace as well.
func TestRefreshTokenOfAPublicClientIsBoundToItsKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	key, thief := dpoptest.NewKey(t), dpoptest.NewKey(t)
	first := h.boundFamily(key)
	refused(t, h.spaRefresh(first.RefreshToken), http.StatusBadRequest, invalidGrant)
	refused(t, h.proved(thief, refreshOf(first.RefreshToken, "spa")), http.StatusBadRequest, invalidGrant)
	second := h.tokens(h.proved(key, refreshOf(first.RefreshToken, "spa")))

	refused(t, h.spaRefresh(first.RefreshToken), http.StatusBadRequest, invalidGrant)
	refused(t, h.proved(thief, refreshOf(first.RefreshToken, "spa")), http.StatusBadRequest, invalidGrant)
	if again := h.tokens(h.proved(key, refreshOf(first.RefreshToken, "spa"))); again.RefreshToken != second.RefreshToken {
		t.Error("the grace gives another successor")
	}

	// A thief without the key cannot even end the family; the owner's reuse does.
	h.clock.Advance(31 * time.Second)
	refused(t, h.proved(thief, refreshOf(first.RefreshToken, "spa")), http.StatusBadRequest, invalidGrant)
	third := h.tokens(h.proved(key, refreshOf(second.RefreshToken, "spa")))
	refused(t, h.proved(key, refreshOf(first.RefreshToken, "spa")), http.StatusBadRequest, invalidGrant)
	refused(t, h.proved(key, refreshOf(third.RefreshToken, "spa")), http.StatusBadRequest, invalidGrant)
	h.audited("refresh_token.reused", 1)
}

// fapi2-security-profile-final-refresh-token: a confidential client may come
// with a fresh key (RFC 9449 §5).
func TestRefreshTokenOfAConfidentialClientTakesAFreshKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	first := h.tokens(h.proved(dpoptest.NewKey(t), exchangeOf(h.code(browser, webRequest()), "web", webRedirect), "web", webSecret))
	fresh := dpoptest.NewKey(t)
	second := h.tokens(h.proved(fresh, refreshOf(first.RefreshToken, "web"), "web", webSecret))
	if boundTo(t, second.AccessToken) != fresh.Thumbprint {
		t.Errorf("bound to %v", boundTo(t, second.AccessToken))
	}
}

// fapi2-security-profile-final-ensure-dpop-auth-code-binding-success,
// -ensure-mismatched-dpop-jkt-fails and
// -ensure-token-endpoint-fails-with-mismatched-dpop-jkt.
func TestCodeIsBoundToDPoPJKT(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	key := dpoptest.NewKey(t)
	code := func() string { return h.code(browser, spaRequest("dpop_jkt", key.Thumbprint)) }
	h.tokens(h.proved(key, exchangeOf(code(), "spa", spaRedirect)))
	refused(t, h.proved(dpoptest.NewKey(t), exchangeOf(code(), "spa", spaRedirect)), http.StatusBadRequest, invalidGrant)
	refused(t, h.spaExchange(code()), http.StatusBadRequest, invalidGrant)
	for _, bad := range []string{"x", strings.Repeat("=", 43), key.Thumbprint + "A"} {
		if got := callback(t, h.authorize(browser, spaRequest("dpop_jkt", bad)), spaRedirect); got.Get("error") != invalidRequest || got.Get("code") != "" {
			t.Errorf("dpop_jkt %q: %v", bad, got)
		}
	}
}

// RFC 9449 §8: a nonce is offered with every answer and, where the operator
// says so, demanded.
func TestDPoPNonce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addMachine()
	key := dpoptest.NewKey(t)
	send := func(nonce string) answer {
		r := h.request(http.MethodPost, "/token", url.Values{"grant_type": {"client_credentials"}})
		r.SetBasicAuth("machine", "machine-secret")
		h.prove(key, r, "", nonce)
		return h.do(nil, r)
	}
	a := send("")
	h.tokens(a)
	nonce := a.header.Get(dpop.NonceHeader)
	if nonce == "" || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), dpop.NonceHeader) {
		t.Fatalf("headers %v", a.header)
	}
	h.tokens(send(nonce))
	refused(t, send("made up"), http.StatusBadRequest, dpop.CodeUseNonce)

	h.p.Config.DPoPNonceRequired = true
	a = send("")
	refused(t, a, http.StatusBadRequest, dpop.CodeUseNonce)
	h.tokens(send(a.header.Get(dpop.NonceHeader)))
	h.clock.Advance(11 * time.Minute)
	refused(t, send(nonce), http.StatusBadRequest, dpop.CodeUseNonce)
	if plain := h.post("/token", url.Values{"grant_type": {"client_credentials"}}, "machine", "machine-secret"); plain.header.Get(dpop.NonceHeader) != "" {
		t.Error("a nonce for who does not use DPoP")
	}
}

// Userinfo is a protected resource: RFC 9449 §7, dpop-negative-tests.
func TestUserinfoTakesABoundTokenWithItsProofOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	key := dpoptest.NewKey(t)
	got := h.boundFamily(key)
	other := h.boundFamily(key)
	plain, _ := h.family()
	send := func(method, scheme, token string, prove func(r *http.Request)) answer {
		r := h.request(method, "/userinfo", nil)
		if r.Header.Set("Authorization", scheme+" "+token); prove != nil {
			prove(r)
		}
		return h.do(nil, r)
	}
	good := func(r *http.Request) { h.prove(key, r, got.AccessToken, "") }
	for _, scheme := range []string{"DPoP", "dpop"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if a := send(method, scheme, got.AccessToken, good); a.status != http.StatusOK || a.header.Get(dpop.NonceHeader) == "" {
				t.Errorf("%s %s: %d %s", method, scheme, a.status, a.body)
			}
		}
	}
	var used string
	send(http.MethodGet, "DPoP", got.AccessToken, func(r *http.Request) { good(r); used = r.Header.Get(dpop.Header) })
	for name, c := range map[string]struct {
		a    answer
		code string
	}{
		"Bearer downgrade":        {send(http.MethodGet, "Bearer", got.AccessToken, nil), "invalid_token"},
		"Bearer downgrade, proof": {send(http.MethodGet, "Bearer", got.AccessToken, good), "invalid_token"},
		"no proof":                {send(http.MethodGet, "DPoP", got.AccessToken, nil), dpop.CodeInvalidProof},
		"another key":             {send(http.MethodGet, "DPoP", got.AccessToken, func(r *http.Request) { h.prove(dpoptest.NewKey(t), r, got.AccessToken, "") }), "invalid_token"},
		"ath of another token":    {send(http.MethodGet, "DPoP", got.AccessToken, func(r *http.Request) { h.prove(key, r, other.AccessToken, "") }), dpop.CodeInvalidProof},
		"no ath":                  {send(http.MethodGet, "DPoP", got.AccessToken, func(r *http.Request) { h.prove(key, r, "", "") }), dpop.CodeInvalidProof},
		"replayed proof":          {send(http.MethodGet, "DPoP", got.AccessToken, func(r *http.Request) { r.Header.Set(dpop.Header, used) }), dpop.CodeInvalidProof},
		"unbound token":           {send(http.MethodGet, "DPoP", plain.AccessToken, func(r *http.Request) { h.prove(key, r, plain.AccessToken, "") }), "invalid_token"},
		"no token at all":         {send(http.MethodGet, "DPoP", "a.b.c", good), "invalid_token"},
		"made-up nonce":           {send(http.MethodGet, "DPoP", got.AccessToken, func(r *http.Request) { h.prove(key, r, got.AccessToken, "x") }), dpop.CodeUseNonce},
		"Bearer in the body":      {h.post("/userinfo", url.Values{"access_token": {got.AccessToken}}), "invalid_token"},
	} {
		challenge := c.a.header.Get("Www-Authenticate")
		if c.a.status != http.StatusUnauthorized || c.a.errorCode() != c.code {
			t.Errorf("%s: %d %s, want 401 %s", name, c.a.status, c.a.body, c.code)
		}
		if !strings.HasPrefix(challenge, "DPoP ") || !strings.Contains(challenge, `error="`+c.code+`"`) || !strings.Contains(challenge, `algs="ES256 EdDSA PS256"`) {
			t.Errorf("%s: challenge %q", name, challenge)
		}
	}
	if challenges := h.get(nil, "/userinfo").header.Values("Www-Authenticate"); len(challenges) != 2 || !strings.HasPrefix(challenges[1], "DPoP ") {
		t.Errorf("without a token: challenges %q, want Bearer and DPoP", challenges)
	}
}

// RFC 9449 §6.2.
func TestIntrospectionTellsTheBoundKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	key := dpoptest.NewKey(t)
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	got := h.tokens(h.proved(key, exchangeOf(h.code(browser, webRequest()), "web", webRedirect), "web", webSecret))
	said := h.post("/introspect", url.Values{"token": {got.AccessToken}}, "web", webSecret).json(t)
	cnf, _ := said["cnf"].(map[string]any)
	if said["active"] != true || said["token_type"] != "DPoP" || cnf["jkt"] != key.Thumbprint {
		t.Errorf("introspection %v", said)
	}
}
