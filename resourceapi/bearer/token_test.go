package bearer_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"larder/internal/fault"
	"larder/resourceapi/bearer"
	"larder/resourceapi/bearer/bearertest"
)

func TestAccessTokenSaysWhoCalls(t *testing.T) {
	b := setup(t)
	claims := b.issuer.Claims(bearertest.Claims{"aud": []string{"http://other.test", resource}, "jti": "j", "sid": "s", "grant_id": "g"})
	kid, key := b.issuer.Key()
	token := bearertest.Sign(t, key, bearertest.Claims{"typ": "at+jwt", "kid": kid}, claims)
	want := &bearer.Caller{
		Kind: bearer.User, Subject: "0198c1f0-0000-7000-8000-000000000001", ClientID: "web", Scopes: []string{"lists:read", "lists:write"},
		ACR: "urn:larder:password", JTI: "j", SID: "s", GrantID: "g",
		AuthTime: unix(claims["auth_time"]), IssuedAt: unix(claims["iat"]), ExpiresAt: unix(claims["exp"]),
	}
	for _, way := range []string{"verified", "cached"} {
		if diff := cmp.Diff(want, b.accepts(t, token)); diff != "" {
			t.Errorf("%s caller (-want +got):\n%s", way, diff)
		}
	}
	if c := b.accepts(t, b.issuer.AppToken("machine", "lists:read")); c.Kind != bearer.App || c.Subject != "machine" {
		t.Errorf("a client's own token is %+v", c)
	}
}

func unix(v any) time.Time {
	seconds, _ := v.(int64)
	return time.Unix(seconds, 0)
}

func TestAcceptedVariants(t *testing.T) {
	b := setup(t)
	kid, key := b.issuer.Key()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edKid := b.issuer.Publish(ed)
	header := bearertest.Claims{"typ": "at+jwt", "kid": kid}
	now := b.clock.Now()
	for name, token := range map[string]string{
		"EdDSA":            bearertest.Sign(t, ed, bearertest.Claims{"typ": "at+jwt", "kid": edKid}, b.issuer.Claims(nil)),
		"full media type":  bearertest.Sign(t, key, bearertest.Claims{"typ": "application/at+jwt", "kid": kid}, b.issuer.Claims(nil)),
		"media type case":  bearertest.Sign(t, key, bearertest.Claims{"typ": "AT+JWT", "kid": kid}, b.issuer.Claims(nil)),
		"just expired":     bearertest.Sign(t, key, header, b.issuer.Claims(bearertest.Claims{"exp": now.Add(-2 * time.Second).Unix()})),
		"issuer's clock":   bearertest.Sign(t, key, header, b.issuer.Claims(bearertest.Claims{"iat": now.Add(20 * time.Second).Unix()})),
		"no optional ones": bearertest.Sign(t, key, header, b.issuer.Claims(bearertest.Claims{"sid": nil, "grant_id": nil, "acr": nil, "auth_time": nil, "scope": nil})),
	} {
		t.Run(name, func(t *testing.T) { b.accepts(t, token) })
	}
}

// O12 to O15, and what else a token can pretend.
func TestRefusedTokens(t *testing.T) {
	b := setup(t)
	var attacker atomic.Int32
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { attacker.Add(1) }))
	t.Cleanup(trap.Close)

	kid, key := b.issuer.Key()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaKid := b.issuer.Publish(rsaKey)
	foreign := bearertest.New(t, resource, b.clock.Now)
	_, foreignKey := foreign.Key()
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: kid})
	if err != nil {
		t.Fatal(err)
	}
	foreignJWK, err := json.Marshal(jose.JSONWebKey{Key: foreignKey.Public()})
	if err != nil {
		t.Fatal(err)
	}

	header := func(changes bearertest.Claims) bearertest.Claims {
		h := bearertest.Claims{"typ": "at+jwt", "kid": kid}
		maps.Copy(h, changes)
		return h
	}
	signed := func(h, c bearertest.Claims) string { return bearertest.Sign(t, key, header(h), b.issuer.Claims(c)) }
	good := signed(nil, nil)
	parts := strings.Split(good, ".")
	raw := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "." + parts[2]
	}
	now := b.clock.Now()
	b.accepts(t, good)

	for name, token := range map[string]string{
		"alg none":              raw(`{"alg":"none","typ":"at+jwt","kid":"` + kid + `"}`)[:len(raw(`{"alg":"none","typ":"at+jwt","kid":"`+kid+`"}`))-len(parts[2])],
		"alg none, signed":      raw(`{"alg":"none","typ":"at+jwt","kid":"` + kid + `"}`),
		"alg NoNe":              raw(`{"alg":"NoNe","typ":"at+jwt","kid":"` + kid + `"}`),
		"no alg":                raw(`{"typ":"at+jwt","kid":"` + kid + `"}`),
		"two algs":              raw(`{"alg":"ES256","alg":"none","typ":"at+jwt","kid":"` + kid + `"}`),
		"HS256, public key DER": bearertest.Sign(t, public, header(nil), b.issuer.Claims(nil)),
		"HS256, public key JWK": bearertest.Sign(t, jwk, header(nil), b.issuer.Claims(nil)),
		"empty signature":       parts[0] + "." + parts[1] + ".",
		"other's signature":     bearertest.Sign(t, foreignKey, header(nil), b.issuer.Claims(nil)),
		"changed payload":       parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"admin"}`)) + "." + parts[2],
		"RS256, published":      bearertest.Sign(t, rsaKey, header(bearertest.Claims{"kid": rsaKid}), b.issuer.Claims(nil)),
		"alg not the key's":     raw(`{"alg":"EdDSA","typ":"at+jwt","kid":"` + kid + `"}`),

		"jwk":                    bearertest.Sign(t, foreignKey, header(bearertest.Claims{"jwk": json.RawMessage(foreignJWK)}), b.issuer.Claims(nil)),
		"jwk of the right key":   signed(bearertest.Claims{"jwk": json.RawMessage(jwk)}, nil),
		"jku":                    signed(bearertest.Claims{"jku": trap.URL}, nil),
		"jku, foreign key":       bearertest.Sign(t, foreignKey, header(bearertest.Claims{"jku": trap.URL, "kid": "x"}), b.issuer.Claims(nil)),
		"x5u":                    signed(bearertest.Claims{"x5u": trap.URL}, nil),
		"x5c":                    signed(bearertest.Claims{"x5c": []string{"AAAA"}}, nil),
		"crit":                   raw(`{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `","crit":["exp"],"exp":1}`),
		"b64":                    raw(`{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `","b64":false}`),
		"kid is a path":          signed(bearertest.Claims{"kid": "../../../../dev/null"}, nil),
		"kid is SQL":             signed(bearertest.Claims{"kid": "x' UNION SELECT 'key"}, nil),
		"kid is a URL":           signed(bearertest.Claims{"kid": trap.URL}, nil),
		"no kid":                 signed(bearertest.Claims{"kid": ""}, nil),
		"header is not JSON":     raw(`alg=ES256`),
		"header is an array":     raw(`["ES256"]`),
		"ID token":               signed(bearertest.Claims{"typ": "JWT"}, bearertest.Claims{"aud": "web"}),
		"ID token for us":        signed(bearertest.Claims{"typ": "JWT"}, nil),
		"logout token":           signed(bearertest.Claims{"typ": "logout+jwt"}, nil),
		"no typ":                 bearertest.Sign(t, key, bearertest.Claims{"kid": kid}, b.issuer.Claims(nil)),
		"typ with a tail":        signed(bearertest.Claims{"typ": "at+jwt "}, nil),
		"sibling issuer":         signed(nil, bearertest.Claims{"iss": b.issuer.URL + "/tenant"}),
		"issuer with a slash":    signed(nil, bearertest.Claims{"iss": b.issuer.URL + "/"}),
		"no issuer":              signed(nil, bearertest.Claims{"iss": nil}),
		"other audience":         signed(nil, bearertest.Claims{"aud": "http://other.test"}),
		"audience with a slash":  signed(nil, bearertest.Claims{"aud": resource + "/"}),
		"audience is the issuer": signed(nil, bearertest.Claims{"aud": b.issuer.URL}),
		"no audience":            signed(nil, bearertest.Claims{"aud": nil}),
		"empty audience":         signed(nil, bearertest.Claims{"aud": []string{}}),
		"audience is a number":   signed(nil, bearertest.Claims{"aud": 7}),
		"claims in other case":   signed(nil, bearertest.Claims{"exp": nil, "EXP": now.Add(time.Hour).Unix()}),
		"no exp":                 signed(nil, bearertest.Claims{"exp": nil}),
		"no iat":                 signed(nil, bearertest.Claims{"iat": nil}),
		"no sub":                 signed(nil, bearertest.Claims{"sub": nil}),
		"no client_id":           signed(nil, bearertest.Claims{"client_id": nil}),
		"no jti":                 signed(nil, bearertest.Claims{"jti": nil}),
		"expired":                signed(nil, bearertest.Claims{"exp": now.Add(-6 * time.Second).Unix()}),
		"exp overflows":          signed(nil, bearertest.Claims{"exp": json.Number("1e300")}),
		"exp is text":            signed(nil, bearertest.Claims{"exp": "tomorrow"}),
		"iat in the future":      signed(nil, bearertest.Claims{"iat": now.Add(time.Minute).Unix()}),
		"nbf in the future":      signed(nil, bearertest.Claims{"nbf": now.Add(time.Minute).Unix()}),
		"bound by DPoP":          signed(nil, bearertest.Claims{"cnf": map[string]string{"jkt": "x"}}),
		"bound by mTLS":          signed(nil, bearertest.Claims{"cnf": map[string]string{"x5t#S256": "x"}}),
	} {
		t.Run(name, func(t *testing.T) { b.refuses(t, token, fault.Unauthenticated) })
	}
	if n := attacker.Load(); n != 0 {
		t.Errorf("%d requests went where a token said", n)
	}
	b.accepts(t, good)
}

// I6, O13: made-up kids cost the issuer one fetch in a cool-down, and do not
// keep a new key out for longer than that.
func TestUnknownKidIsLookedForOncePerCoolDown(t *testing.T) {
	b := setup(t)
	b.accepts(t, b.issuer.Token(nil))
	before := b.issuer.Count().JWKS
	token := strings.Split(b.issuer.Token(nil), ".")
	for n := range 10_000 {
		header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"ES256","typ":"at+jwt","kid":"made-up-%d"}`, n))
		b.refuses(t, header+"."+token[1]+"."+token[2], fault.Unauthenticated)
	}
	if n := b.issuer.Count().JWKS - before; n != 1 {
		t.Errorf("10,000 made-up kids cost %d fetches, want 1", n)
	}
	b.issuer.Rotate()
	fresh := b.issuer.Token(nil)
	b.refuses(t, fresh, fault.Unauthenticated)
	b.clock.Advance(31 * time.Second)
	b.accepts(t, fresh)
	if n := b.issuer.Count().JWKS - before; n != 2 {
		t.Errorf("%d fetches after the cool-down, want 2", n)
	}
}

func TestConcurrentCallersShareOneFetch(t *testing.T) {
	b := setup(t)
	b.accepts(t, b.issuer.Token(nil))
	before := b.issuer.Count().JWKS
	b.issuer.Rotate()
	b.issuer.SetDelay(50 * time.Millisecond)
	token := b.issuer.Token(nil)
	const callers = 64
	failed := make(chan error, callers)
	for range callers {
		go func() {
			_, err := b.Authenticate(request(t, token))
			failed <- err
		}()
	}
	for range callers {
		if err := <-failed; err != nil {
			t.Errorf("refused: %v", err)
		}
	}
	if n := b.issuer.Count().JWKS - before; n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

// A key that the issuer withdraws takes the tokens that it verified along,
// cached or not.
func TestWithdrawnKeyEndsCachedTokens(t *testing.T) {
	b := setup(t)
	b.issuer.SetCacheControl("max-age=60")
	old, _ := b.issuer.Key()
	token := b.issuer.Token(nil)
	b.accepts(t, token)
	b.issuer.Rotate()
	kept := b.issuer.Token(nil)
	b.accepts(t, kept)
	b.accepts(t, token)

	b.issuer.Withdraw(old)
	b.clock.Advance(46 * time.Second)
	b.run(t)
	eventually(t, "the withdrawn key is forgotten", func() bool {
		_, err := b.ask(t, token)
		return fault.Is(err, fault.Unauthenticated)
	})
	b.accepts(t, kept)
}

func TestCachedTokenExpires(t *testing.T) {
	b := setup(t)
	token := b.issuer.Token(bearertest.Claims{"exp": b.clock.Now().Add(20 * time.Second).Unix()})
	b.accepts(t, token)
	b.clock.Advance(26 * time.Second)
	b.refuses(t, token, fault.Unauthenticated)
}

// TestClocksThatDifferGetTheLeewayAndNoMore has the issuer's clock and ours
// apart, and ours set back (I4). A token lives five minutes.
func TestClocksThatDifferGetTheLeewayAndNoMore(t *testing.T) {
	t.Parallel()
	issuers, ours := &clock{}, &clock{}
	iss := bearertest.New(t, resource, issuers.Now)
	b := newBundle(t, iss, iss.Config(), ours)
	for ahead, good := range map[time.Duration]bool{
		-time.Hour: false, -90 * time.Second: false, -31 * time.Second: false, -30 * time.Second: true, 0: true,
		90 * time.Second: true, 304 * time.Second: true, 305 * time.Second: false, 390 * time.Second: false, time.Hour: false,
	} {
		token := iss.Token(bearertest.Claims{"sub": "ann", "exp": issuers.Now().Add(5 * time.Minute).Unix()})
		ours.Advance(ahead)
		if _, err := b.ask(t, token); (err == nil) != good {
			t.Errorf("a new token when our clock is %s ahead: %v", ahead, err)
		}
		ours.Advance(-ahead)
	}
	token := iss.UserToken("ann", "lists:read")
	for _, step := range []time.Duration{0, 290 * time.Second, -280 * time.Second} { // a clock that is set right
		ours.Advance(step)
		b.accepts(t, token)
	}
	ours.Advance(time.Hour)
	b.refuses(t, token, fault.Unauthenticated)
}
