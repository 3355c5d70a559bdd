package oauth

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/secret"
)

// publisher is a client's own server: it publishes what it is told to.
type publisher struct {
	*httptest.Server
	content atomic.Value // string
	reached atomic.Int64
	away    atomic.Int64 // what a redirect leads to
}

func newPublisher(t testing.TB) *publisher {
	t.Helper()
	p := &publisher{}
	p.content.Store("")
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/away", http.StatusFound)
		case "/away":
			p.away.Add(1)
			_, _ = w.Write([]byte(p.content.Load().(string))) //nolint:errcheck,forcetypeassert // a test
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		default:
			p.reached.Add(1)
			_, _ = w.Write([]byte(p.content.Load().(string))) //nolint:errcheck,forcetypeassert // a test
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) publish(t testing.TB, keys ...jose.JSONWebKey) {
	t.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	p.content.Store(string(set))
}

// named is a key pair with a kid of its own.
func named(t testing.TB, kid string) jose.JSONWebKey {
	t.Helper()
	private, _ := keyPair(t)
	private.KeyID = kid
	return private
}

// Modules oidcc-registration-jwks-uri and oidcc-refresh-token-rp-key-rotation: keys are read
// where the client publishes them, and again as soon as it signs with another.
func TestOidccRefreshTokenRPKeyRotation(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	theirs := newPublisher(t)
	h.addClient("rp", "", oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode, oidc.RefreshToken}, RedirectURIs: []string{webRedirect}, Scope: "openid offline_access",
		TokenEndpointAuthMethod: oidc.PrivateKeyJWT, JWKSURI: theirs.URL + "/jwks", FirstParty: true,
	})
	one, two := named(t, "one"), named(t, "two")
	theirs.publish(t, one.Public())
	ask := func(key jose.JSONWebKey, form url.Values) answer {
		return h.post("/token", with(form, "client_assertion_type", assertionType, "client_assertion", assertionOf(t, h, key, "rp", nil)))
	}
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	code := h.code(browser, webRequest("client_id", "rp", "scope", "openid offline_access"))
	tokens := h.tokens(ask(one, exchangeOf(code, "rp", webRedirect)))
	theirs.publish(t, two.Public())
	fresh := h.tokens(ask(two, refreshOf(tokens.RefreshToken, "rp")))
	refused(t, ask(one, refreshOf(fresh.RefreshToken, "rp")), http.StatusUnauthorized, invalidClient)
	for range 10 {
		refused(t, ask(named(t, "three"), refreshOf(fresh.RefreshToken, "rp")), http.StatusUnauthorized, invalidClient)
	}
	if n := theirs.reached.Load(); n != 2 {
		t.Errorf("the keys were fetched %d times, want 2", n)
	}
}

// O23: what a jwks_uri leads to is fetched from the address itself, within
// bounds, or not at all.
func TestO23KeysAreNotFetchedFromAnywhere(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	theirs := newPublisher(t)
	key := named(t, "one")
	theirs.publish(t, key.Public())
	for name, address := range map[string]string{
		"a redirect": theirs.URL + "/redirect", "endless": theirs.URL + "/endless", "another scheme": "file:///etc/passwd",
		"metadata of a cloud": "http://169.254.169.254/latest", "a private network": "http://10.0.0.1/jwks",
	} {
		h.addClient("rp-"+name, "", oidc.Metadata{
			GrantTypes: []string{oidc.ClientCredentials}, Scope: "lists:read", TokenEndpointAuthMethod: oidc.PrivateKeyJWT, JWKSURI: address,
		})
		refused(t, h.withAssertion(assertionOf(t, h, key, "rp-"+name, nil)), http.StatusUnauthorized, invalidClient)
	}
	if theirs.away.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// client_secret_jwt: the secret signs and does not travel. It opens nothing by
// another method, and no public key passes for it.
func TestClientSecretJWT(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	newer, older := secret.New().Reveal(), secret.New().Reveal()
	meta := oidc.Metadata{GrantTypes: []string{oidc.ClientCredentials}, Scope: "lists:read", TokenEndpointAuthMethod: oidc.ClientSecretJWT}
	signing := *h.addClient("signs", newer, meta)
	signing.SealedSecrets = [][]byte{[]byte(newer), []byte(older)}
	h.clients.set(&signing)
	private, keys := keyPair(t)
	meta.TokenEndpointAuthMethod, meta.JWKS = oidc.PrivateKeyJWT, keys
	h.addClient("keyed", "", meta)
	published, err := json.Marshal(keys.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	by := func(key string) jose.JSONWebKey { return jose.JSONWebKey{Key: []byte(key), Algorithm: "HS256"} }
	for _, value := range []string{newer, older} {
		h.tokens(h.withAssertion(assertionOf(t, h, by(value), "signs", nil)))
	}
	once := assertionOf(t, h, by(newer), "signs", func(c map[string]any) { c["aud"] = h.issuer + "/token" })
	h.tokens(h.withAssertion(once))
	for name, a := range map[string]answer{
		"O22 replayed":          h.withAssertion(once),
		"wrong secret":          h.withAssertion(assertionOf(t, h, by(secret.New().Reveal()), "signs", nil)),
		"public key as secret":  h.withAssertion(assertionOf(t, h, by(string(published)), "keyed", nil)),
		"key of another client": h.withAssertion(assertionOf(t, h, private, "signs", nil)),
		"the secret itself":     h.post("/token", url.Values{"grant_type": {"client_credentials"}}, "signs", newer),
		"aud elsewhere":         h.withAssertion(assertionOf(t, h, by(newer), "signs", func(c map[string]any) { c["aud"] = "https://other.test" })),
	} {
		if a.status != http.StatusUnauthorized || a.errorCode() != invalidClient {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// Module oidcc-ensure-client-assertion-with-iss-aud-succeeds and what RFC 9126 §2 adds;
// a registered algorithm is the only one.
func TestOidccClientAssertionAudiences(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	private, keys := keyPair(t)
	h.addClient("rp", "", oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode}, RedirectURIs: []string{webRedirect}, Scope: "openid", FirstParty: true,
		TokenEndpointAuthMethod: oidc.PrivateKeyJWT, JWKS: keys,
	})
	ask := func(path string, aud any) answer {
		assertion := assertionOf(t, h, private, "rp", func(c map[string]any) { c["aud"] = aud })
		return h.post(path, with(webRequest("client_id", "rp", "scope", "openid"), "token", "x",
			"client_assertion_type", assertionType, "client_assertion", assertion))
	}
	for _, aud := range []any{h.issuer, h.issuer + "/token", h.issuer + "/par", []string{h.issuer, h.issuer + "/token"}} {
		if a := ask("/par", aud); a.status != http.StatusCreated {
			t.Errorf("%v at /par: %d %s", aud, a.status, a.body)
		}
	}
	if a := ask("/introspect", h.issuer+"/introspect"); a.status != http.StatusOK {
		t.Errorf("the endpoint itself: %d %s", a.status, a.body)
	}
	for _, aud := range []any{h.issuer + "/introspect", h.issuer + "/", []string{h.issuer, "https://other.test"}, []string{}, 7} {
		refused(t, ask("/par", aud), http.StatusUnauthorized, invalidClient)
	}
	registered, err := h.clients.Client(t.Context(), "rp")
	if err != nil {
		t.Fatal(err)
	}
	narrow := *registered
	narrow.Metadata.TokenEndpointAuthAlg = "PS256"
	h.clients.set(&narrow)
	refused(t, ask("/par", h.issuer), http.StatusUnauthorized, invalidClient)
}

// signedBy makes a request object; change may spoil its claims.
func signedBy(t testing.TB, key jose.JSONWebKey, typ string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signWith(key, typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// object has the parameters of a request as claims, with those that every
// request object has.
func (h *harness) object(request url.Values, change map[string]any) map[string]any {
	now := h.clock.Now()
	clientID := request.Get("client_id")
	claims := map[string]any{
		"iss": clientID, "aud": h.issuer, "jti": rand.Text(), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	for name := range request {
		claims[name] = request.Get(name)
	}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

func tampered(token string) string {
	last := token[len(token)-2:]
	other := "AA"
	if strings.HasPrefix(last, "A") {
		other = "BB"
	}
	return token[:len(token)-2] + other
}
