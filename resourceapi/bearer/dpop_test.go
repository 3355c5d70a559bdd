package bearer_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/pgtest"
	"larder/internal/web"
	"larder/resourceapi/bearer"
	"larder/resourceapi/bearer/bearertest"
)

// proofs is a gate that takes bound tokens, and a client with a key.
type proofs struct {
	*bundle
	key *dpoptest.Key
}

func withProofs(t *testing.T, store redis.Cmdable, configure ...func(*bearer.Config)) *proofs {
	t.Helper()
	c := &clock{}
	iss := bearertest.New(t, resource, c.Now)
	config := iss.Config()
	config.Redis = store
	for _, change := range configure {
		change(&config)
	}
	return &proofs{bundle: newBundle(t, iss, config, c), key: dpoptest.NewKey(t)}
}

// bound is a token that is bound to the client's key.
func (p *proofs) bound() string {
	return p.issuer.Token(bearertest.Claims{"cnf": map[string]any{"jkt": p.key.Thumbprint}})
}

// good is what a good proof for a request with token is made of.
func (p *proofs) good(token string) dpoptest.Request {
	return dpoptest.Request{Method: http.MethodGet, URL: resource + "/v1/families", At: p.clock.Now(), AccessToken: token}
}

// show sends a token by a scheme, with any number of proofs, to a Host of the
// sender's own invention.
func (p *proofs) show(t *testing.T, scheme, token string, proofs ...string) (*bearer.Caller, error) {
	t.Helper()
	r := request(t, token)
	r.Host = "elsewhere.test"
	r.Header.Set("Authorization", scheme+" "+token)
	for _, proof := range proofs {
		r.Header.Add(dpop.Header, proof)
	}
	return p.Authenticate(r)
}

func TestBoundTokenIsTakenWithItsProof(t *testing.T) {
	t.Parallel()
	p := withProofs(t, pgtest.Redis(t))
	token := p.bound()
	for _, scheme := range []string{"DPoP", "dpop"} {
		for range 2 { // the second time the token comes from the cache, the proof never does
			if c, err := p.show(t, scheme, token, p.key.Proof(t, p.good(token))); err != nil || c.Kind != bearer.User {
				t.Fatalf("%+v, %v", c, err)
			}
		}
	}
	query := p.good(token)
	query.URL += "?page=2#x"
	if _, err := p.show(t, "DPoP", token, p.key.Forge(t, query, nil, dpoptest.Members{"extra": 1})); err != nil {
		t.Errorf("a query in htu, or a claim that nobody knows: %v", err)
	}
	p.accepts(t, p.issuer.UserToken("ann", "lists:read")) // Bearer stays
}

// fapi2-security-profile-final-dpop-negative-tests at a resource server, O27.
// Each answer is 401 with the challenge of RFC 9449 §7.1.
func TestDPoPNegativeTests(t *testing.T) {
	t.Parallel()
	p := withProofs(t, pgtest.Redis(t))
	token, other := p.bound(), p.bound()
	plain := p.issuer.UserToken("ann", "lists:read")
	apiKey, _ := p.issuer.APIKey(id.New(), "lists:read")
	foreign := p.issuer.Token(bearertest.Claims{"cnf": map[string]any{"x5t#S256": p.key.Thumbprint}})
	both := p.issuer.Token(bearertest.Claims{"cnf": map[string]any{"jkt": p.key.Thumbprint, "x5t#S256": p.key.Thumbprint}})
	good := p.good(token)
	change := func(change func(r *dpoptest.Request)) dpoptest.Request {
		r := good
		change(&r)
		return r
	}
	claim := func(name string, value any) string {
		return p.key.Forge(t, good, nil, dpoptest.Members{name: value})
	}
	header := func(name string, value any) string {
		return p.key.Forge(t, good, dpoptest.Members{name: value}, nil)
	}
	used := p.key.Proof(t, good)
	if _, err := p.show(t, "DPoP", token, used); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		scheme, token string
		proofs        []string
		code          string
	}{
		"Bearer downgrade":            {"Bearer", token, nil, "invalid_token"},
		"Bearer downgrade with proof": {"Bearer", token, []string{p.key.Proof(t, good)}, "invalid_token"},
		"unbound token as DPoP":       {"DPoP", plain, []string{p.key.Proof(t, p.good(plain))}, "invalid_token"},
		"API key as DPoP":             {"DPoP", apiKey, []string{p.key.Proof(t, p.good(apiKey))}, "invalid_token"},
		"bound to a certificate":      {"DPoP", foreign, []string{p.key.Proof(t, p.good(foreign))}, "invalid_token"},
		"bound to a certificate, too": {"DPoP", both, []string{p.key.Proof(t, p.good(both))}, "invalid_token"},
		"client 1's key, 2's token":   {"DPoP", token, []string{dpoptest.NewKey(t).Proof(t, good)}, "invalid_token"},
		"no proof":                    {"DPoP", token, nil, dpop.CodeInvalidProof},
		"two headers":                 {"DPoP", token, []string{p.key.Proof(t, good), p.key.Proof(t, good)}, dpop.CodeInvalidProof},
		"malformed":                   {"DPoP", token, []string{"not a proof"}, dpop.CodeInvalidProof},
		"replayed":                    {"DPoP", token, []string{used}, dpop.CodeInvalidProof},
		"missing typ":                 {"DPoP", token, []string{header("typ", nil)}, dpop.CodeInvalidProof},
		"bad typ":                     {"DPoP", token, []string{header("typ", "JWT")}, dpop.CodeInvalidProof},
		"missing jwk":                 {"DPoP", token, []string{header("jwk", nil)}, dpop.CodeInvalidProof},
		"bad alg":                     {"DPoP", token, []string{header("alg", "HS256")}, dpop.CodeInvalidProof},
		"missing jti":                 {"DPoP", token, []string{claim("jti", nil)}, dpop.CodeInvalidProof},
		"missing htm":                 {"DPoP", token, []string{claim("htm", nil)}, dpop.CodeInvalidProof},
		"bad htm":                     {"DPoP", token, []string{claim("htm", "POST")}, dpop.CodeInvalidProof},
		"missing htu":                 {"DPoP", token, []string{claim("htu", nil)}, dpop.CodeInvalidProof},
		"htu of the Host header":      {"DPoP", token, []string{claim("htu", "http://elsewhere.test/v1/families")}, dpop.CodeInvalidProof},
		"htu of another path":         {"DPoP", token, []string{claim("htu", resource+"/v1/families/1")}, dpop.CodeInvalidProof},
		"missing iat":                 {"DPoP", token, []string{claim("iat", nil)}, dpop.CodeInvalidProof},
		"iat an hour ago":             {"DPoP", token, []string{p.key.Proof(t, change(func(r *dpoptest.Request) { r.At = r.At.Add(-time.Hour) }))}, dpop.CodeInvalidProof},
		"iat an hour ahead":           {"DPoP", token, []string{p.key.Proof(t, change(func(r *dpoptest.Request) { r.At = r.At.Add(time.Hour) }))}, dpop.CodeInvalidProof},
		"missing ath":                 {"DPoP", token, []string{p.key.Proof(t, change(func(r *dpoptest.Request) { r.AccessToken = "" }))}, dpop.CodeInvalidProof},
		"ath of another token":        {"DPoP", token, []string{p.key.Proof(t, p.good(other))}, dpop.CodeInvalidProof},
		"ath of another token, swap":  {"DPoP", other, []string{p.key.Proof(t, good)}, dpop.CodeInvalidProof},
	} {
		caller, err := p.show(t, c.scheme, c.token, c.proofs...)
		if caller != nil || !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %+v, %v", name, caller, err)
			continue
		}
		w := httptest.NewRecorder()
		r := request(t, c.token)
		r.Header.Set("Authorization", c.scheme+" "+c.token)
		p.Problem(w, r, err)
		got := w.Header().Values("WWW-Authenticate")
		if w.Code != http.StatusUnauthorized || len(got) != 1 || !strings.HasPrefix(got[0], "DPoP ") ||
			!strings.Contains(got[0], `error="`+c.code+`"`) || !strings.Contains(got[0], `algs="ES256 EdDSA PS256"`) {
			t.Errorf("%s: %d, challenges %q", name, w.Code, got)
		}
	}
	if _, err := p.show(t, "DPoP", token, p.key.Proof(t, good)); err != nil {
		t.Errorf("a good one after all: %v", err)
	}
}

// RFC 9449 §9: a nonce is offered with every answer and, where the operator says
// so, demanded.
func TestDPoPNonce(t *testing.T) {
	t.Parallel()
	p := withProofs(t, pgtest.Redis(t), func(c *bearer.Config) { c.DPoPNonceRequired = true })
	token := p.bound()
	handler := p.Handler(func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(http.StatusNoContent); return nil })
	send := func(nonce string) *httptest.ResponseRecorder {
		good := p.good(token)
		good.Nonce = nonce
		r := request(t, token)
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header.Set(dpop.Header, p.key.Proof(t, good))
		w := httptest.NewRecorder()
		if err := handler(w, r); err != nil {
			p.Problem(w, r, err)
		}
		return w
	}
	for _, nonce := range []string{"", "made up"} {
		if w := send(nonce); w.Code != http.StatusUnauthorized || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="use_dpop_nonce"`) {
			t.Errorf("nonce %q: %d %v", nonce, w.Code, w.Header())
		}
	}
	nonce := send("").Header().Get(dpop.NonceHeader)
	if w := send(nonce); w.Code != http.StatusNoContent || w.Header().Get(dpop.NonceHeader) == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	p.clock.Advance(4 * time.Minute) // the token lives on
	if w := send(nonce); w.Code != http.StatusNoContent {
		t.Errorf("within the nonce's five minutes at least: %d %v", w.Code, w.Header())
	}
}

// Revocation and expiry count for bound tokens as for others.
func TestBoundTokenIsRevoked(t *testing.T) {
	t.Parallel()
	p := withProofs(t, pgtest.Redis(t))
	p.run(t)
	token := p.issuer.Token(bearertest.Claims{"cnf": map[string]any{"jkt": p.key.Thumbprint}, "grant_id": "g"})
	if _, err := p.show(t, "DPoP", token, p.key.Proof(t, p.good(token))); err != nil {
		t.Fatal(err)
	}
	p.issuer.Revoke("grant_id", "g")
	eventually(t, "the token is refused", func() bool {
		_, err := p.show(t, "DPoP", token, p.key.Proof(t, p.good(token)))
		return fault.Is(err, fault.Unauthenticated)
	})
}

// Without Redis a proof's first use cannot be told from its second: bound
// tokens wait, others do not.
func TestRedisGoneStopsBoundTokensOnly(t *testing.T) {
	t.Parallel()
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: time.Second})
	t.Cleanup(func() { _ = gone.Close() })
	p := withProofs(t, gone)
	token := p.bound()
	if _, err := p.show(t, "DPoP", token, p.key.Proof(t, p.good(token))); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v, want Unavailable", err)
	}
	if _, err := p.show(t, "DPoP", token, "not a proof"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("%v, want a refusal that needs no Redis", err)
	}
	p.accepts(t, p.issuer.UserToken("ann", "lists:read"))
}

// A gate without Redis takes no bound token, and does not say that it would.
func TestDPoPIsOffWithoutRedis(t *testing.T) {
	t.Parallel()
	off, on := withProofs(t, nil), withProofs(t, pgtest.Redis(t))
	token := off.bound()
	if _, err := off.show(t, "DPoP", token, off.key.Proof(t, off.good(token))); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("%v, want Unauthenticated", err)
	}
	for _, c := range []struct {
		*proofs
		algs       string
		challenges int
	}{{off, "", 1}, {on, `"dpop_signing_alg_values_supported":["ES256","EdDSA","PS256"]`, 2}} {
		rt := web.NewRouter(c.Problem)
		c.Mount(rt)
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/.well-known/oauth-protected-resource", http.NoBody))
		if body := w.Body.String(); !strings.Contains(body, c.algs) || c.algs == "" && strings.Contains(body, "dpop_signing") {
			t.Errorf("metadata %s", body)
		}
		r := request(t, "x")
		r.Header.Del("Authorization")
		_, err := c.Authenticate(r)
		w = httptest.NewRecorder()
		c.Problem(w, r, err)
		if got := w.Header().Values("WWW-Authenticate"); len(got) != c.challenges || !strings.HasPrefix(got[0], "Bearer ") {
			t.Errorf("challenges %q, want %d", got, c.challenges)
		}
	}
}
