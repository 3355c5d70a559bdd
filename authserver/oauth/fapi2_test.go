package oauth

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
)

// bank is a client of the fapi2 profile with its two keys.
type bank struct {
	h      *harness
	signs  jose.JSONWebKey // client assertions
	proves *dpoptest.Key
}

func newBank(h *harness) *bank {
	h.t.Helper()
	signs, keys := keyPair(h.t)
	h.addClient("bank", "", oidc.Metadata{
		GrantTypes:   []string{oidc.AuthorizationCode, oidc.RefreshToken, oidc.ClientCredentials},
		RedirectURIs: []string{webRedirect}, Scope: "openid lists:read", Resources: []string{testAPI}, FirstParty: true,
		TokenEndpointAuthMethod: oidc.PrivateKeyJWT, JWKS: keys, Profile: oidc.ProfileFAPI2, DPoPBound: true,
	})
	return &bank{h: h, signs: signs, proves: dpoptest.NewKey(h.t)}
}

// post sends a form as the bank, with a proof by key unless that is nil. change
// may spoil the client assertion.
func (b *bank) post(path string, form url.Values, key *dpoptest.Key, change func(map[string]any)) answer {
	b.h.t.Helper()
	r := b.h.request(http.MethodPost, path, with(form,
		"client_assertion_type", assertionType, "client_assertion", assertionOf(b.h.t, b.h, b.signs, "bank", change)))
	if key != nil {
		b.h.prove(key, r, "", "")
	}
	return b.h.do(nil, r)
}

func (b *bank) request(namesAndValues ...string) url.Values {
	return with(webRequest("client_id", "bank"), namesAndValues...)
}

// push pushes a request with a proof by key and returns its code, for somebody
// who is signed in at browser.
func (b *bank) code(browser *http.Client, request url.Values, key *dpoptest.Key) string {
	b.h.t.Helper()
	a := b.post("/par", request, key, nil)
	if a.status != http.StatusCreated {
		b.h.t.Fatalf("status %d: %s", a.status, a.body)
	}
	requestURI, _ := a.json(b.h.t)["request_uri"].(string)
	return b.h.code(browser, url.Values{"client_id": {"bank"}, "request_uri": {requestURI}, "redirect_uri": {webRedirect}})
}

func (b *bank) exchange(code string, key *dpoptest.Key) answer {
	b.h.t.Helper()
	return b.post("/token", exchangeOf(code, "bank", webRedirect), key, nil)
}

func (b *bank) signedIn() *http.Client {
	b.h.t.Helper()
	browser := b.h.browser()
	b.h.signIn(browser, b.h.addUser("Ada").ID)
	return browser
}

// fapi2-security-profile-final-happy-flow, -ensure-holder-of-key-required,
// -ensure-unsigned-authorization-request-without-using-par-fails.
func TestFAPI2HappyFlow(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := newBank(h)
	browser := b.signedIn()
	if q := callback(t, h.authorize(browser, b.request()), webRedirect); q.Get("error") != invalidRequest {
		t.Errorf("without PAR: %v", q)
	}
	refused(t, b.post("/par", b.request("code_challenge", "", "code_challenge_method", ""), nil, nil), http.StatusBadRequest, invalidRequest)
	refused(t, b.post("/par", b.request("code_challenge_method", "plain"), nil, nil), http.StatusBadRequest, invalidRequest)
	code := b.code(browser, b.request(), nil)
	refused(t, b.exchange(code, nil), http.StatusBadRequest, dpop.CodeInvalidProof)
	got := h.tokens(b.exchange(code, b.proves))
	if header, _ := unpack(t, got.IDToken); got.TokenType != "DPoP" || boundTo(t, got.AccessToken) != b.proves.Thumbprint || header["alg"] != "ES256" {
		t.Errorf("%+v", got)
	}
}

// Modules ensure-dpopproof-at-par-endpoint-binding-success,
// ensure-mismatched-dpop-jkt-fails,
// ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt.
func TestFAPI2ProofAtTheParEndpointBindsTheCode(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := newBank(h)
	browser := b.signedIn()
	h.tokens(b.exchange(b.code(browser, b.request(), b.proves), b.proves))
	h.tokens(b.exchange(b.code(browser, b.request("dpop_jkt", b.proves.Thumbprint), b.proves), b.proves))
	h.tokens(b.exchange(b.code(browser, b.request("dpop_jkt", b.proves.Thumbprint), nil), b.proves))
	refused(t, b.exchange(b.code(browser, b.request(), b.proves), dpoptest.NewKey(t)), http.StatusBadRequest, invalidGrant)
	refused(t, b.post("/par", b.request("dpop_jkt", dpoptest.NewKey(t).Thumbprint), b.proves, nil), http.StatusBadRequest, invalidRequest)
	refused(t, b.post("/par", b.request("dpop_jkt", "short"), nil, nil), http.StatusBadRequest, invalidRequest)
	r := h.request(http.MethodPost, "/par", with(b.request(),
		"client_assertion_type", assertionType, "client_assertion", assertionOf(t, h, b.signs, "bank", nil)))
	r.Header.Set(dpop.Header, "a.b.c")
	refused(t, h.do(nil, r), http.StatusBadRequest, dpop.CodeInvalidProof)
}

// Modules ensure-token-endpoint-fails-with-expired-auth-code and
// attempt-reuse-authorization-code-after-one-second. However long the operator
// lets other codes live, these are dead at 62 s.
func TestFAPI2CodesLiveOneMinute(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.p.Config.CodeLifespan = 5 * time.Minute
	b := newBank(h)
	browser := b.signedIn()
	code := b.code(browser, b.request(), nil)
	h.clock.Advance(61 * time.Second)
	refused(t, b.exchange(code, b.proves), http.StatusBadRequest, invalidGrant)
	code = b.code(browser, b.request(), nil)
	h.clock.Advance(59 * time.Second)
	h.tokens(b.exchange(code, b.proves))
	h.clock.Advance(time.Second)
	refused(t, b.exchange(code, b.proves), http.StatusBadRequest, invalidGrant)
}

// Module refresh-token: the tokens do not rotate (FAPI 2.0 §5.3.2.1), so the
// one before is the one now; a fresh key will do, none will not.
func TestFAPI2RefreshTokensStay(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := newBank(h)
	first := h.tokens(b.exchange(b.code(b.signedIn(), b.request(), nil), b.proves))
	refresh := func(key *dpoptest.Key) answer {
		return b.post("/token", refreshOf(first.RefreshToken, "bank"), key, nil)
	}
	refused(t, refresh(nil), http.StatusBadRequest, dpop.CodeInvalidProof)
	refused(t, h.proved(b.proves, refreshOf(first.RefreshToken, "bank")), http.StatusUnauthorized, invalidClient)
	for range 3 {
		h.clock.Advance(35 * time.Second)
		fresh := dpoptest.NewKey(t)
		got := h.tokens(refresh(fresh))
		if got.RefreshToken != first.RefreshToken || boundTo(t, got.AccessToken) != fresh.Thumbprint {
			t.Errorf("%+v", got)
		}
	}
	h.audited("refresh_token.reused", 0)
}

// Modules ensure-invalid-client-assertions-fail, par-test-array-as-audience-fails,
// par-test-par-endpoint-url-as-audience-fails,
// par-test-token-endpoint-url-as-audience-fails,
// ensure-client-assertion-with-exp-is-5-minutes-in-past-fails,
// ensure-client-assertion-with-wrong-aud-fails,
// ensure-client-assertion-with-no-sub-fails and
// par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails.
func TestFAPI2ClientAssertions(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := newBank(h)
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	in := func(d time.Duration) int64 { return h.clock.Now().Add(d).Unix() }
	own := url.Values{"grant_type": {"client_credentials"}}
	h.tokens(b.post("/token", own, b.proves, set("nbf", in(8*time.Second))))
	for name, change := range map[string]func(map[string]any){
		"aud a list":              set("aud", []string{h.issuer}),
		"aud the token endpoint":  set("aud", h.issuer+"/token"),
		"aud the PAR endpoint":    set("aud", h.issuer+"/par"),
		"aud elsewhere":           set("aud", "https://other.test"),
		"no sub":                  set("sub", ""),
		"exp 5 minutes in past":   set("exp", in(-5*time.Minute)),
		"nbf over 60 s in future": set("nbf", in(65*time.Second)),
	} {
		for _, path := range []string{"/token", "/par"} {
			if a := b.post(path, with(b.request(), "grant_type", "client_credentials"), b.proves, change); a.status != http.StatusUnauthorized || a.errorCode() != invalidClient {
				t.Errorf("%s at %s: %d %s", name, path, a.status, a.body)
			}
		}
	}
	refused(t, h.proved(b.proves, with(own, "client_id", "bank")), http.StatusUnauthorized, invalidClient)
}

// Module ensure-signed-client-assertion-with-RS256-fails: the same RSA key may
// sign with PS256.
func TestFAPI2EnsureSignedClientAssertionWithRS256Fails(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := newBank(h)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	registered, err := h.clients.Client(t.Context(), "bank")
	if err != nil {
		t.Fatal(err)
	}
	client := *registered
	public := jose.JSONWebKey{Key: &private.PublicKey, KeyID: "r1", Use: "sig"}
	client.Metadata.JWKS = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}}
	h.clients.set(&client)
	own := url.Values{"grant_type": {"client_credentials"}}
	b.signs = jose.JSONWebKey{Key: private, KeyID: "r1", Algorithm: "PS256"}
	h.tokens(b.post("/token", own, b.proves, nil))
	b.signs.Algorithm = "RS256"
	refused(t, b.post("/token", own, b.proves, nil), http.StatusUnauthorized, invalidClient)
}
