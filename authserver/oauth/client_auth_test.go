package oauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/secret"
)

func TestClientSecrets(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	cc := url.Values{"grant_type": {"client_credentials"}}
	machine := oidc.Metadata{GrantTypes: []string{oidc.ClientCredentials}, Scope: "lists:read"}
	h.addClient("basic", "basic secret:%&+é", machine)
	machine.TokenEndpointAuthMethod = oidc.ClientSecretPost
	h.addClient("post", "post-secret", machine)
	h.addClient("empty", "", machine) // registered for a secret, and has none
	h.addClient("a:b c%", "x", oidc.Metadata{GrantTypes: machine.GrantTypes, Scope: machine.Scope})
	h.addSPA()

	h.tokens(h.post("/token", cc, "basic", "basic secret:%&+é"))
	h.tokens(h.post("/token", cc, "a:b c%", "x"))
	h.tokens(h.post("/token", with(cc, "client_id", "basic"), "basic", "basic secret:%&+é"))
	h.tokens(h.post("/token", with(cc, "client_id", "post", "client_secret", "post-secret")))

	rotated, err := h.clients.Client(t.Context(), "basic")
	if err != nil {
		t.Fatal(err)
	}
	both := *rotated
	both.SecretHashes = append([][]byte{secret.Sum("newer")}, both.SecretHashes...)
	h.clients.set(&both)
	h.tokens(h.post("/token", cc, "basic", "newer"))
	h.tokens(h.post("/token", cc, "basic", "basic secret:%&+é"))

	raw := func(header string, form url.Values) answer {
		r := h.request(http.MethodPost, "/token", form)
		r.Header.Set("Authorization", header)
		return h.do(nil, r)
	}
	for name, a := range map[string]answer{
		"nothing":                         h.post("/token", cc),
		"wrong secret":                    h.post("/token", cc, "basic", "wrong"),
		"no secret":                       h.post("/token", with(cc, "client_id", "basic")),
		"empty secret":                    h.post("/token", cc, "basic", ""),
		"unknown client":                  h.post("/token", cc, "nobody", "x"),
		"secret prefix":                   h.post("/token", cc, "basic", "basic secret"),
		"empty hash, empty secret":        h.post("/token", with(cc, "client_id", "empty", "client_secret", "")),
		"empty hash, any secret":          h.post("/token", with(cc, "client_id", "empty", "client_secret", "x")),
		"basic for post":                  h.post("/token", cc, "post", "post-secret"),
		"post for basic":                  h.post("/token", with(cc, "client_id", "basic", "client_secret", "basic secret:%&+é")),
		"O22 two methods":                 h.post("/token", with(cc, "client_id", "basic", "client_secret", "newer"), "basic", "newer"),
		"O22 public client with secret":   h.post("/token", with(cc, "client_id", "spa", "client_secret", "x")),
		"O22 public client by Basic":      h.post("/token", cc, "spa", ""),
		"two clients named":               h.post("/token", with(cc, "client_id", "post"), "basic", "newer"),
		"not form-encoded":                raw("Basic YmFzaWM6YSV6eg==", cc),
		"not Basic":                       raw("Bearer x", cc),
		"not base64":                      raw("Basic !", cc),
		"assertion of no type":            h.post("/token", with(cc, "client_assertion", "x")),
		"assertion type, no assertion":    h.post("/token", with(cc, "client_assertion_type", assertionType)),
		"assertion that is none":          h.post("/token", with(cc, "client_assertion_type", assertionType, "client_assertion", "a.b.c")),
		"client with text that is binary": raw("Basic /wA6AP8=", cc),
	} {
		refused(t, a, http.StatusUnauthorized, "invalid_client")
		if a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", name)
		}
		if t.Failed() {
			t.Fatalf("in %s", name)
		}
	}
}

func TestClientAuthenticationFailuresAreAudited(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addMachine()
	h.post("/token", url.Values{"grant_type": {"client_credentials"}}, "machine", "wrong")
	h.audited("client.authentication_failed", 1)
	var actor, reason string
	err := h.db.Owner.QueryRow(t.Context(), `SELECT actor_id, reason FROM auth.audit_events`).Scan(&actor, &reason)
	if err != nil || actor != "machine" || reason != "the secret is wrong" {
		t.Errorf("actor %q, reason %q, %v", actor, reason, err)
	}
}

// assertionOf makes a client assertion; change may spoil its claims.
func assertionOf(t testing.TB, h *harness, key jose.JSONWebKey, clientID string, change func(map[string]any)) string {
	t.Helper()
	now := h.clock.Now()
	claims := map[string]any{
		"iss": clientID, "sub": clientID, "aud": h.issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	if change != nil {
		change(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signWith(key, "JWT", payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func keyPair(t testing.TB) (private jose.JSONWebKey, public *jose.JSONWebKeySet) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private = jose.JSONWebKey{Key: k, KeyID: "k1", Algorithm: "ES256", Use: "sig"}
	return private, &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{private.Public()}}
}

func (h *harness) withAssertion(assertion string) answer {
	h.t.Helper()
	return h.post("/token", url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion},
	})
}

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	meta := oidc.Metadata{GrantTypes: []string{oidc.ClientCredentials}, Scope: "lists:read", TokenEndpointAuthMethod: oidc.PrivateKeyJWT}
	key, keys := keyPair(t)
	meta.JWKS = keys
	h.addClient("fapi", "", meta)
	otherKey, otherKeys := keyPair(t)
	meta.JWKS = otherKeys
	h.addClient("other", "", meta)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := jose.JSONWebKey{Key: edKey, KeyID: "ed", Algorithm: "EdDSA"}
	meta.JWKS = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{ed.Public()}}
	h.addClient("ed", "", meta)

	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	at := func(d time.Duration) int64 { return h.clock.Now().Add(d).Unix() }
	for name, change := range map[string]func(map[string]any){
		"issuer as aud":         nil,
		"token endpoint as aud": set("aud", h.issuer+"/token"),
		"PAR endpoint as aud":   set("aud", h.issuer+"/par"),
		"both as aud":           set("aud", []string{h.issuer, h.issuer + "/token"}),
		"nbf 8 s ahead":         set("nbf", at(8*time.Second)),
		"iat 2 s ahead":         set("iat", at(2*time.Second)),
		"exp 5 minutes ahead":   set("exp", at(5*time.Minute)),
	} {
		if a := h.withAssertion(assertionOf(t, h, key, "fapi", change)); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	h.tokens(h.withAssertion(assertionOf(t, h, ed, "ed", nil)))

	once := assertionOf(t, h, key, "fapi", nil)
	h.tokens(h.withAssertion(once))
	bad := map[string]string{"O22 replayed": once, "another's key": assertionOf(t, h, otherKey, "fapi", nil)}
	for name, change := range map[string]func(map[string]any){
		"O22 aud elsewhere":      set("aud", "https://other.test"),
		"O22 aud an empty list":  set("aud", []string{}),
		"O22 aud two":            set("aud", []string{h.issuer, "https://other.test"}),
		"aud another endpoint":   set("aud", h.issuer+"/introspect"),
		"iss another":            set("iss", "other"),
		"no sub":                 set("sub", ""),
		"sub unknown":            set("sub", "nobody"),
		"no jti":                 set("jti", ""),
		"endless jti":            set("jti", rand.Text()+string(make([]byte, 400))),
		"no exp":                 set("exp", 0),
		"trap 7 expired":         set("exp", at(-5*time.Minute)),
		"trap 8 exp a year away": set("exp", at(365*24*time.Hour)),
		"nbf 2 minutes ahead":    set("nbf", at(2*time.Minute)),
		"exp a string":           set("exp", "tomorrow"),
		"exp absurd":             set("exp", 1e300),
	} {
		bad[name] = assertionOf(t, h, key, "fapi", change)
	}
	for name, assertion := range bad {
		if a := h.withAssertion(assertion); a.status != http.StatusUnauthorized || a.errorCode() != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	both := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertionOf(t, h, key, "fapi", nil)},
	}
	refused(t, h.post("/token", both, "fapi", "x"), http.StatusUnauthorized, "invalid_client")

	h.p.Redis.FlushDB(t.Context())
	h.breakRedis()
	unavailable(t, h.withAssertion(assertionOf(t, h, key, "fapi", nil)))
}

// Symmetric and absent signatures are not read at all (O12), and what the client's key signed for something else is no assertion.
func TestPrivateKeyJWTAlgorithms(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	key, keys := keyPair(t)
	h.addClient("fapi", "", oidc.Metadata{
		GrantTypes: []string{oidc.ClientCredentials}, Scope: "lists:read", TokenEndpointAuthMethod: oidc.PrivateKeyJWT, JWKS: keys,
	})
	public, err := json.Marshal(keys.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	hmac, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: public}, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := assertionOf(t, h, key, "fapi", nil)
	_, claims := unpack(t, good)
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := hmac.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	symmetric, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	typed := func(typ string) string {
		claims["jti"] = rand.Text()
		fresh, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		assertion, err := signWith(key, typ, fresh)
		if err != nil {
			t.Fatal(err)
		}
		return assertion
	}
	for _, typ := range []string{"", "JWT", "client-authentication+jwt", "application/client-authentication+JWT"} {
		h.tokens(h.withAssertion(typed(typ)))
	}
	for name, assertion := range map[string]string{
		"a request object":          typed("oauth-authz-req+jwt"),
		"a proof":                   typed("dpop+jwt"),
		"an access token":           typed(accessTokenType),
		"HS256 with the public key": symmetric,
		"none":                      b64([]byte(`{"alg":"none"}`)) + "." + b64(payload) + ".",
		"no signature":              good[:len(good)-86],
	} {
		if a := h.withAssertion(assertion); a.errorCode() != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
