package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	josev3 "github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/storage"

	"larder/authserver/oidc"
)

// Each test here shows first what fosite v0.49 does by default, so that it is
// seen when a newer one does better, and then what we do.

// stock is fosite as its documentation sets it up.
type stock struct {
	t     testing.TB
	p     fosite.OAuth2Provider
	store *storage.MemoryStore
}

// newStock returns fosite's defaults over store, its own memory store if nil.
func newStock(t testing.TB, wrap func(*storage.MemoryStore) any) *stock {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	store := storage.NewMemoryStore()
	store.Clients["spa"] = &fosite.DefaultClient{
		ID: "spa", Public: true, RedirectURIs: []string{spaRedirect}, ResponseTypes: []string{"code"},
		GrantTypes: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid", "offline", "lists:read", "lists:write"},
	}
	config := &fosite.Config{
		GlobalSecret: make([]byte, 32), IDTokenIssuer: "https://stock.test", TokenURL: "https://stock.test/token",
	}
	var over any = store
	if wrap != nil {
		over = wrap(store)
	}
	keyGetter := func(context.Context) (any, error) { return key, nil }
	p := compose.Compose(config, over,
		&compose.CommonStrategy{
			CoreStrategy:               compose.NewOAuth2HMACStrategy(config),
			OpenIDConnectTokenStrategy: compose.NewOpenIDConnectStrategy(keyGetter, config),
		},
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2ClientCredentialsGrantFactory,
		compose.OpenIDConnectExplicitFactory, compose.OpenIDConnectRefreshFactory, compose.OAuth2PKCEFactory,
	)
	return &stock{t: t, p: p, store: store}
}

func (s *stock) authorize(request url.Values) (fosite.AuthorizeResponder, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "/authorize?"+request.Encode(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	ar, err := s.p.NewAuthorizeRequest(s.t.Context(), r)
	if err != nil {
		return nil, err
	}
	for _, scope := range ar.GetRequestedScopes() {
		ar.GrantScope(scope)
	}
	session := openid.NewDefaultSession()
	session.Subject, session.Claims.Subject = "ada", "ada"
	return s.p.NewAuthorizeResponse(s.t.Context(), ar, session)
}

func (s *stock) code(request url.Values) string {
	s.t.Helper()
	resp, err := s.authorize(request)
	if err != nil {
		s.t.Fatal(fosite.ErrorToRFC6749Error(err).GetDescription())
	}
	return resp.GetCode()
}

func (s *stock) token(form url.Values) (fosite.AccessResponder, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "/token", strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	ar, err := s.p.NewAccessRequest(s.t.Context(), r, openid.NewDefaultSession())
	if err != nil {
		return nil, err
	}
	return s.p.NewAccessResponse(s.t.Context(), ar)
}

func stockExchange(code string, namesAndValues ...string) url.Values {
	return with(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"spa"}, "code": {code}, "redirect_uri": {spaRedirect}, "code_verifier": {testVerifier},
	}, namesAndValues...)
}

func stockRequest(namesAndValues ...string) url.Values {
	return spaRequest(append([]string{"state", "state-of-some-length", "nonce", "nonce-of-some-length", "scope", "openid offline lists:read"}, namesAndValues...)...)
}

// fositeCode is the error code of a stock answer.
func fositeCode(err error) string {
	if err == nil {
		return ""
	}
	return fosite.ErrorToRFC6749Error(err).ErrorField
}

// Defect 2: a wrong verifier takes the challenge away, and the next attempt
// needs none.
func TestTrapPKCEDowngrade(t *testing.T) {
	t.Parallel()
	s := newStock(t, nil)
	code := s.code(stockRequest())
	if _, err := s.token(stockExchange(code, "code_verifier", strings.Repeat("x", 43))); fositeCode(err) != "invalid_grant" {
		t.Fatalf("fosite: wrong verifier: %v", err)
	}
	if _, err := s.token(stockExchange(code, "code_verifier", "")); err != nil {
		t.Logf("fosite has mended this: %v", err)
		t.Fail()
	}

	h := newHarness(t)
	relaxed := false
	c := *h.addWeb()
	c.Metadata.RequirePKCE = &relaxed
	h.clients.set(&c)
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	for _, request := range []url.Values{webRequest(), webRequest("nonce", "")} {
		code := h.code(browser, request)
		refused(t, h.webExchange(code, "code_verifier", strings.Repeat("x", 43)), http.StatusBadRequest, "invalid_grant")
		refused(t, h.webExchange(code, "code_verifier", ""), http.StatusBadRequest, "invalid_grant")
		refused(t, h.webExchange(code), http.StatusBadRequest, "invalid_grant")
	}
	// A code made with a challenge needs the verifier, whatever the client may leave out; and the other way round (RFC 9700 §4.8.2).
	refused(t, h.webExchange(h.code(browser, webRequest()), "code_verifier", ""), http.StatusBadRequest, "invalid_grant")
	bare := webRequest("code_challenge", "", "code_challenge_method", "")
	refused(t, h.webExchange(h.code(browser, bare)), http.StatusBadRequest, "invalid_grant")
	h.tokens(h.webExchange(h.code(browser, bare), "code_verifier", ""))
}

// slowStore lets all readers of a code or a token in before any goes on.
type slowStore struct {
	*storage.MemoryStore
	all     *sync.WaitGroup
	copying sync.Mutex
}

func (s *slowStore) GetAuthorizeCodeSession(ctx context.Context, code string, session fosite.Session) (fosite.Requester, error) {
	r, err := s.MemoryStore.GetAuthorizeCodeSession(ctx, code, session)
	if s.all == nil || err != nil {
		return r, err
	}
	// Each gets a copy of its own, as from a database; in memory fosite's
	// handlers would write to the same session at once.
	stored, ok := r.(*fosite.Request)
	if !ok {
		return nil, errors.New("the memory store holds something else")
	}
	own := *stored
	s.copying.Lock()
	own.Session = stored.Session.Clone()
	s.copying.Unlock()
	s.all.Done()
	s.all.Wait()
	return &own, nil
}

// Defect 3: reading and spending a code are two steps. Ours is race_test.go.
func TestTrapCodeIsSpentTwice(t *testing.T) {
	t.Parallel()
	slow := &slowStore{}
	s := newStock(t, func(m *storage.MemoryStore) any { slow.MemoryStore = m; return slow })
	code := s.code(stockRequest("scope", "lists:read", "code_challenge", "", "code_challenge_method", ""))
	const both = 2
	var results [both]error
	var running, barrier sync.WaitGroup
	barrier.Add(both)
	slow.all = &barrier
	accepted := make([]fosite.AccessRequester, both)
	for i := range both {
		running.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/token", strings.NewReader(stockExchange(code, "code_verifier", "").Encode()))
			if err != nil {
				results[i] = err
				return
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			accepted[i], results[i] = s.p.NewAccessRequest(t.Context(), r, openid.NewDefaultSession())
		})
	}
	running.Wait()
	if err := errors.Join(results[:]...); err != nil {
		t.Errorf("fosite has mended this: %v", err)
	}
}

// Defects 7 and 8: a client assertion that is a little off is a server error,
// its jti blocks other clients', and its exp may lie a year ahead. Ours is
// TestPrivateKeyJWT; here is what it has over the default.
func TestTrapClientAssertions(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	key, keys := keyPair(t)
	s := newStock(t, nil)
	for _, name := range []string{"one", "two"} {
		h.addClient(name, "", oidc.Metadata{
			GrantTypes: []string{oidc.ClientCredentials}, Scope: "lists:read", TokenEndpointAuthMethod: oidc.PrivateKeyJWT, JWKS: keys,
		})
		s.store.Clients[name] = &fosite.DefaultOpenIDConnectClient{
			DefaultClient:           &fosite.DefaultClient{ID: name, GrantTypes: []string{"client_credentials"}},
			TokenEndpointAuthMethod: "private_key_jwt", TokenEndpointAuthSigningAlgorithm: "ES256",
			JSONWebKeys: &josev3.JSONWebKeySet{Keys: []josev3.JSONWebKey{{Key: key.Public().Key, KeyID: "k1", Use: "sig", Algorithm: "ES256"}}},
		}
	}
	try := func(name string, change func(map[string]any)) (stockCode string, ours answer) {
		form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}}
		assertion := assertionOf(t, h, key, name, func(c map[string]any) { change(c); c["aud"] = "https://stock.test/token" })
		_, err := s.token(with(form, "client_assertion", assertion))
		return fositeCode(err), h.withAssertion(assertionOf(t, h, key, name, change))
	}
	now := h.clock.Now()
	if stockCode, ours := try("one", func(c map[string]any) { c["exp"] = now.Add(-time.Minute).Unix() }); stockCode != "error" {
		t.Errorf("fosite has mended the 500: %s", stockCode)
	} else {
		refused(t, ours, http.StatusUnauthorized, "invalid_client")
	}
	if stockCode, ours := try("one", func(c map[string]any) { c["exp"] = now.Add(365 * 24 * time.Hour).Unix() }); stockCode != "" {
		t.Errorf("fosite has mended the endless exp: %s", stockCode)
	} else {
		refused(t, ours, http.StatusUnauthorized, "invalid_client")
	}
	shared := func(c map[string]any) { c["jti"] = "the-same" }
	stockCode, ours := try("one", shared)
	if stockCode != "" || ours.status != http.StatusOK {
		t.Fatalf("fosite %s, ours %d %s", stockCode, ours.status, ours.body)
	}
	if stockCode, ours = try("two", shared); stockCode == "" {
		t.Error("fosite has mended the shared jti")
	} else {
		h.tokens(ours)
	}
}

// Defect 10: an unknown grant type is invalid_request, and a parameter may
// repeat.
func TestTrapUnknownGrantAndRepeatedParameters(t *testing.T) {
	t.Parallel()
	s := newStock(t, nil)
	form := stockExchange("x", "grant_type", "urn:unknown")
	if _, err := s.token(form); fositeCode(err) != "invalid_request" {
		t.Errorf("fosite has mended the unknown grant: %v", err)
	}
	form = stockExchange(s.code(stockRequest()))
	form.Add("redirect_uri", "https://evil.test")
	if _, err := s.token(form); err != nil {
		t.Errorf("fosite has mended repeated parameters: %v", err)
	}

	h := newHarness(t)
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	refused(t, h.spaExchange("x", "grant_type", "urn:unknown"), http.StatusBadRequest, "unsupported_grant_type")
	form = stockExchange(h.code(browser, spaRequest()))
	form.Add("redirect_uri", "https://evil.test")
	refused(t, h.post("/token", form), http.StatusBadRequest, "invalid_request")
}

// Defect 11: state must be there and have eight characters. Ours is
// TestAuthorizeGivesACodeWithStateAndIssuer.
func TestTrapStateIsMandatory(t *testing.T) {
	t.Parallel()
	s := newStock(t, nil)
	for _, state := range []string{"", "short"} {
		if _, err := s.authorize(stockRequest("state", state)); fositeCode(err) != "invalid_state" {
			t.Errorf("fosite has mended this: %v", err)
		}
	}
	h := newHarness(t)
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	for _, state := range []string{"", "x", strings.Repeat("s", 128)} {
		if q := callback(t, h.authorize(browser, spaRequest("state", state)), spaRedirect); q.Get("code") == "" || q.Get("state") != state {
			t.Errorf("state %q: answer %v", state, q)
		}
	}
}

// Defect 12: the store is given the code itself.
func TestTrapTheStoreSeesTheCode(t *testing.T) {
	t.Parallel()
	s := newStock(t, nil)
	code := s.code(stockRequest())
	if _, ok := s.store.IDSessions[code]; !ok {
		t.Error("fosite has mended this")
	}
	h := newHarness(t)
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	code = h.code(browser, spaRequest())
	keys, err := h.p.Redis.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	for _, key := range keys {
		if value := h.p.Redis.Get(t.Context(), key).Val(); strings.Contains(key+value, code) {
			t.Errorf("the code lies readable under %s", key)
		}
	}
}

// Issue 696 and defect 9: a refresh ignores scope, and its ID token says that
// it was issued at the sign-in. Ours are TestRefreshNarrows and TestRefreshRotates.
func TestTrapRefresh(t *testing.T) {
	t.Parallel()
	s := newStock(t, nil)
	made, err := s.token(stockExchange(s.code(stockRequest())))
	if err != nil {
		t.Fatal(err)
	}
	token, _ := made.GetExtra("refresh_token").(string)
	made, err = s.token(url.Values{
		"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {token}, "scope": {"lists:read"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if made.GetExtra("scope") != "openid offline lists:read" {
		t.Errorf("fosite has mended this: scope %q", made.GetExtra("scope"))
	}
}

// The redirect URI of a native app is compared in parts, some of which are
// forgotten. Ours is the matrix of TestAuthorizeErrorsThatOnlyThePersonSees.
func TestTrapLoopbackRedirect(t *testing.T) {
	t.Parallel()
	registered := []string{"https://127.0.0.1/cb"}
	const raw = "http://u:p@127.0.0.1:5/%63b"
	if _, err := fosite.MatchRedirectURIWithClientRedirectURIs(raw, &fosite.DefaultClient{RedirectURIs: registered}); err != nil {
		t.Errorf("fosite has mended this: %v", err)
	}
	if matchRedirectURI(raw, registered) {
		t.Error("accepted")
	}
}

// The code response carries scope, and no iss (RFC 9207).
func TestTrapAuthorizationResponse(t *testing.T) {
	t.Parallel()
	resp, err := newStock(t, nil).authorize(stockRequest())
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.GetParameters(); !got.Has("scope") || got.Has("iss") {
		t.Errorf("fosite has mended this: %v", got)
	}
}

// A challenge by the plain method, or none, is refused only when the code is
// made, after the person has signed in; without EnforcePKCE none is fine.
func TestTrapPKCEIsOptional(t *testing.T) {
	t.Parallel()
	s := newStock(t, nil)
	if _, err := s.authorize(stockRequest("code_challenge", "", "code_challenge_method", "")); err != nil {
		t.Errorf("fosite has mended this: %v", err)
	}
	h := newHarness(t)
	h.addSPA()
	browser := h.browser() // nobody is signed in
	for _, request := range []url.Values{spaRequest("code_challenge", "", "code_challenge_method", ""), spaRequest("code_challenge_method", "plain")} {
		if q := callback(t, h.authorize(browser, request), spaRedirect); q.Get("error") != "invalid_request" {
			t.Errorf("answer %v", q)
		}
	}
}

// Defect 13: fosite fills absent settings in when they are first read, without
// a lock. Every field is set, but for switches that are off and what is never
// reached.
func TestTrapLazyConfiguration(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	cfg, ok := h.p.engine.Config.(*engineConfig)
	if !ok {
		t.Fatalf("configuration is a %T", h.p.engine.Config)
	}
	absent := []string{
		"MessageCatalog",                       // read as it is; nil is English
		"GlobalSecret", "RotatedGlobalSecrets", // of fosite's own tokens, which are not made
		"TokenEndpointHandlers",                            // engineConfig chooses them
		"TokenIntrospectionHandlers", "RevocationHandlers", // our endpoints do not ask fosite
		"PushedAuthorizeEndpointHandlers",
	}
	v := reflect.ValueOf(*cfg.Config)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Type.Kind() != reflect.Bool && v.Field(i).IsZero() != slices.Contains(absent, field.Name) {
			t.Errorf("%s: zero is %t", field.Name, v.Field(i).IsZero())
		}
	}
	if cfg.SendDebugMessagesToClients || cfg.EnablePKCEPlainChallengeMethod || !cfg.EnforcePKCE {
		t.Error("a switch is in the wrong position")
	}
	if _, err := cfg.JWKSFetcherStrategy.Resolve(t.Context(), h.issuer, true); !errors.Is(err, errNotUsed) {
		t.Errorf("fosite may fetch: %v", err)
	}
}
