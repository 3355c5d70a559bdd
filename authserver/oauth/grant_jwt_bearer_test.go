package oauth

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/id"
)

const partner = "https://partner.test"

// addPartnered registers a client that may bring assertions of three issuers:
// one by its keys, one by those that it publishes, and one that is disabled.
func (h *harness) addPartnered(keys *testKeys, person id.ID) {
	h.t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(keys.jwks, &set); err != nil {
		h.t.Fatal(err)
	}
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys.jwks) }))
	h.t.Cleanup(published.Close)
	subjects := map[string]id.ID{"ada@partner": person, "nobody@partner": id.New()}
	m := oidc.Metadata{
		GrantTypes: []string{oidc.JWTBearer}, Scope: "openid lists:read lists:write admin", Resources: []string{testAPI},
		TrustedIssuers: []oidc.TrustedIssuer{
			{Issuer: partner, JWKS: &set, Subjects: subjects},
			{Issuer: "https://publisher.test", JWKSURI: published.URL, Subjects: subjects},
			{Issuer: "https://former.test", JWKS: &set, Subjects: subjects, Disabled: true},
		},
	}
	h.addClient("partnered", "partnered-secret", m)
	m.TrustedIssuers = nil
	h.addClient("other", "other-secret", m)
	h.addResourceServer()
}

func (h *harness) bring(client, assertion string, namesAndValues ...string) answer {
	h.t.Helper()
	return h.post("/token", with(url.Values{"grant_type": {oidc.JWTBearer}, "assertion": {assertion}}, namesAndValues...), client, client+"-secret")
}

// RFC 7523 §2.1: the word of an issuer that the operator trusts is worth a short token for the person it names.
func TestJWTBearer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	keys, ada, bob := newTestKeys(t), h.addUser("Ada"), h.addUser("Bob")
	h.addPartnered(keys, ada.ID)
	assertion := func(typ string, by *testKeys, change func(map[string]any)) string {
		now := h.clock.Now()
		c := map[string]any{
			"iss": partner, "sub": "ada@partner", "aud": h.issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		}
		if change != nil {
			change(c)
		}
		payload, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		token, err := signWith(by.byAlg["ES256"], typ, payload)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := func(change func(map[string]any)) string { return assertion("JWT", keys, change) }
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }

	for name, change := range map[string]func(map[string]any){
		"by registered keys": nil, "by published keys": set("iss", "https://publisher.test"), "for the token endpoint": set("aud", h.issuer+"/token"),
	} {
		tokens := h.tokens(h.bring("partnered", good(change), "scope", "lists:read"))
		_, claims := unpack(t, tokens.AccessToken)
		if claims["sub"] != ada.ID.String() || claims["client_id"] != "partnered" || claims["aud"] != testAPI || claims["scope"] != "lists:read" ||
			claims["auth_time"] != nil || claims["sid"] != nil || tokens.RefreshToken != "" || tokens.IDToken != "" || !h.live(tokens.AccessToken) {
			t.Errorf("%s: %v", name, claims)
		}
	}
	h.audited("token.by_assertion", 3)

	// O29: what is over, foreign, of a disabled issuer or a closed account is refused.
	used := good(nil)
	h.tokens(h.bring("partnered", used))
	for name, token := range map[string]string{
		"used before":           used,
		"expired":               good(set("exp", h.clock.Now().Add(-time.Minute).Unix())),
		"without an end":        good(set("exp", nil)),
		"good for years":        good(set("exp", h.clock.Now().AddDate(1, 0, 0).Unix())),
		"not good yet":          good(set("nbf", h.clock.Now().Add(time.Hour).Unix())),
		"without a jti":         good(set("jti", nil)),
		"a stranger's":          good(set("iss", "https://evil.test")),
		"a disabled issuer's":   good(set("iss", "https://former.test")),
		"by other keys":         assertion("JWT", newTestKeys(t), nil),
		"for somebody else":     good(set("aud", "https://other.test")),
		"for several":           good(set("aud", []string{h.issuer, "https://other.test"})),
		"about a stranger":      good(set("sub", "bob@partner")),
		"about a user's own id": good(set("sub", bob.ID.String())),
		"about nobody":          good(set("sub", "nobody@partner")),
		"an access token":       assertion("at+jwt", keys, nil),
		"no token":              "nonsense",
		"our own":               h.idToken(oidc.Login{Subject: ada.ID, SID: "s", AuthTime: h.clock.Now()}, "partnered"),
	} {
		got := h.bring("partnered", token)
		if got.status != http.StatusBadRequest || got.errorCode() != "invalid_grant" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	refused(t, h.bring("other", good(nil)), http.StatusBadRequest, "invalid_grant")
	refused(t, h.bring("partnered", ""), http.StatusBadRequest, "invalid_request")
	refused(t, h.bring("partnered", good(nil), "scope", "admin"), http.StatusBadRequest, "invalid_scope")
	refused(t, h.bring("partnered", good(nil), "scope", "openid"), http.StatusBadRequest, "invalid_scope")
	h.consents.missing.Store(true)
	refused(t, h.bring("partnered", good(nil)), http.StatusBadRequest, "invalid_grant")
	h.consents.missing.Store(false)
	ada.Disabled = true
	h.users.set(ada)
	refused(t, h.bring("partnered", good(nil)), http.StatusBadRequest, "invalid_grant")
	ada.Disabled = false
	h.users.set(ada)

	// Of many who bring the same assertion at once, one gets a token.
	token, won := good(nil), atomic.Int32{}
	var racers sync.WaitGroup
	for range 16 {
		racers.Go(func() {
			if h.bring("partnered", token).status == http.StatusOK {
				won.Add(1)
			}
		})
	}
	racers.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 16 got a token for one assertion", won.Load())
	}
}
