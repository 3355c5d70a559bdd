package oauth

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
)

// addSigner registers a client of the oidc profile with an RSA and an EC key.
func addSigner(h *harness, change func(*oidc.Metadata)) (ec, rs jose.JSONWebKey) {
	h.t.Helper()
	private, keys := keyPair(h.t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		h.t.Fatal(err)
	}
	rs = jose.JSONWebKey{Key: key, KeyID: "r1", Algorithm: "RS256", Use: "sig"}
	keys.Keys = append(keys.Keys, rs.Public())
	m := oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode}, RedirectURIs: []string{webRedirect}, Scope: "openid lists:read", Resources: []string{testAPI},
		FirstParty: true, JWKS: keys,
	}
	if change != nil {
		change(&m)
	}
	h.addClient("signer", webSecret, m)
	return private, rs
}

func (h *harness) signerExchange(q url.Values) tokenResponse {
	h.t.Helper()
	return h.tokens(h.post("/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {webRedirect}, "code_verifier": {testVerifier},
	}, "signer", webSecret))
}

// Module oidcc-ensure-request-object-with-redirect-uri: what is inside wins over
// what is outside, and what is not inside comes from outside. Nothing is
// mangled: max_age is a number.
func TestOidccEnsureRequestObjectWithRedirectURI(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ec, _ := addSigner(h, nil)
	browser := h.browser()
	login := h.signIn(browser, h.addUser("Ada").ID)
	inside := webRequest("client_id", "signer", "state", "", "nonce", "inside")
	token := signedBy(t, ec, "oauth-authz-req+jwt", h.object(inside, map[string]any{"max_age": 10000, "resource": []string{testAPI}, "unknown": nil}))
	outside := with(inside, "redirect_uri", "https://bad.test/", "state", "outside", "nonce", "outside", "request", token)
	q := callback(t, h.authorize(browser, outside), webRedirect)
	if q.Get("state") != "outside" || q.Get("iss") != h.issuer {
		t.Fatalf("%v", q)
	}
	_, claims := unpack(t, h.signerExchange(q).IDToken)
	if claims["nonce"] != "inside" || claims["auth_time"] != float64(login.AuthTime.Unix()) {
		t.Errorf("%v", claims)
	}
	bad := signedBy(t, ec, "", h.object(inside, map[string]any{"redirect_uri": "https://bad.test/"}))
	shown(t, h.authorize(browser, with(inside, "request", bad)), http.StatusBadRequest)

	// It waits for the sign-in like any other request.
	stranger := h.browser()
	aged := signedBy(t, ec, "", h.object(inside, map[string]any{"max_age": 0}))
	flowID := flowOf(t, h.authorize(stranger, url.Values{"client_id": {"signer"}, "response_type": {"code"}, "scope": {"openid"}, "request": {aged}}), "/login")
	h.signIn(stranger, h.addUser("Bob").ID)
	if q := callback(t, h.get(stranger, "/authorize/continue?flow="+flowID), webRedirect); !q.Has("code") {
		t.Errorf("%v", q)
	}
}

// Modules oidcc-request-uri-signed-rs256 and, by refusal, -request-uri-unsigned:
// the fragment is part of the registered name and is not verified.
func TestOidccRequestURISignedRS256(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	theirs := newPublisher(t)
	uri := theirs.URL + "/object#not-the-hash-of-the-content"
	_, rs := addSigner(h, func(m *oidc.Metadata) {
		m.RequestURIs = []string{uri, theirs.URL + "/redirect", theirs.URL + "/endless", "http://169.254.169.254/"}
	})
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	request := webRequest("client_id", "signer")
	by := func(uri string) url.Values { return with(request, "nonce", "", "request_uri", uri) }
	theirs.content.Store(signedBy(t, rs, "", h.object(request, nil)) + "\n")
	q := callback(t, h.authorize(browser, by(uri)), webRedirect)
	if _, claims := unpack(t, h.signerExchange(q).IDToken); claims["nonce"] != "n" {
		t.Errorf("%v", claims)
	}
	for name, other := range map[string]string{
		"without its fragment": theirs.URL + "/object", "another fragment": theirs.URL + "/object#x", "more path": strings.Replace(uri, "#", "/x#", 1),
		"O23 a redirect": theirs.URL + "/redirect", "O23 endless": theirs.URL + "/endless", "O23 metadata of a cloud": "http://169.254.169.254/",
		"not registered": "https://elsewhere.test/object",
	} {
		if q := callback(t, h.authorize(browser, by(other)), webRedirect); q.Get("error") != invalidRequestURI || q.Get("state") != "s" {
			t.Errorf("%s: %v", name, q)
		}
	}
	theirs.content.Store(b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(`{"client_id":"signer"}`)) + ".")
	if q := callback(t, h.authorize(browser, by(uri)), webRedirect); q.Get("error") != invalidRequestObject {
		t.Errorf("unsigned: %v", q)
	}
	if theirs.reached.Load() != 2 || theirs.away.Load() != 0 {
		t.Errorf("reached %d times, %d by a redirect", theirs.reached.Load(), theirs.away.Load())
	}
	shown(t, h.authorize(browser, with(by("https://elsewhere.test/"), "redirect_uri", "https://bad.test/")), http.StatusBadRequest)
	shown(t, h.authorize(browser, with(by(uri), "client_id", "nobody")), http.StatusBadRequest)
}

// What is wrong with a request object is told to the client, and nobody else's
// passes for its own.
func TestRequestObjectRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ec, rs := addSigner(h, func(m *oidc.Metadata) { m.RequestObjectAlg = "ES256" })
	stranger, _ := keyPair(t)
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	request := webRequest("client_id", "signer")
	at := func(d time.Duration) int64 { return h.clock.Now().Add(d).Unix() }
	claims := func(change map[string]any) string { return signedBy(t, ec, "", h.object(request, change)) }
	for name, token := range map[string]string{
		"good": claims(nil), "nbf 8 s ahead": claims(map[string]any{"nbf": at(8 * time.Second)}),
		"bare": claims(map[string]any{"iss": nil, "aud": nil, "exp": nil, "nbf": nil, "iat": nil, "client_id": nil}),
	} {
		if q := callback(t, h.authorize(browser, with(request, "request", token)), webRedirect); !q.Has("code") {
			t.Errorf("%s: %v", name, q)
		}
	}
	payload, err := json.Marshal(h.object(request, nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"signature":            tampered(claims(nil)),
		"another's key":        signedBy(t, stranger, "", h.object(request, nil)),
		"not the registered":   signedBy(t, rs, "", h.object(request, nil)),
		"none":                 b64([]byte(`{"alg":"none"}`)) + "." + b64(payload) + ".",
		"symmetric":            signedBy(t, jose.JSONWebKey{Key: []byte(webSecret + webSecret), Algorithm: "HS256"}, "", h.object(request, nil)),
		"an ID token's type":   signedBy(t, ec, "at+jwt", h.object(request, nil)),
		"client_id of another": claims(map[string]any{"client_id": "other"}),
		"iss another":          claims(map[string]any{"iss": "other"}),
		"sub the client":       claims(map[string]any{"sub": "signer"}),
		"aud another":          claims(map[string]any{"aud": "https://other.test"}),
		"exp over":             claims(map[string]any{"exp": at(-5 * time.Minute)}),
		"nbf ahead":            claims(map[string]any{"nbf": at(65 * time.Second)}),
		"iat ahead":            claims(map[string]any{"iat": at(65 * time.Second)}),
		"inner request":        claims(map[string]any{"request": "e30.e30."}),
		"inner request_uri":    claims(map[string]any{"request_uri": requestURIPrefix + "x"}),
		"too long":             claims(map[string]any{"x": strings.Repeat("x", maxRequestObject)}),
		"resource no text":     claims(map[string]any{"resource": []int{1}}),
		"encrypted":            "a.b.c.d.e",
	} {
		if q := callback(t, h.authorize(browser, with(request, "request", token)), webRedirect); q.Get("error") != invalidRequestObject || q.Get("state") != "s" {
			t.Errorf("%s: %v", name, q)
		}
	}
	for name, q := range map[string]url.Values{
		"both":                      callback(t, h.authorize(browser, with(request, "request", claims(nil), "request_uri", "https://rp.test/o")), webRedirect),
		"response_type differs":     callback(t, h.authorize(browser, with(request, "request", claims(map[string]any{"response_type": "token"}))), webRedirect),
		"max_age not a number":      callback(t, h.authorize(browser, with(request, "request", claims(map[string]any{"max_age": "%!s(int64=300)"}))), webRedirect),
		"response_mode not text":    callback(t, h.authorize(browser, with(request, "request", claims(map[string]any{"response_mode": true}))), webRedirect),
		"code_challenge_method off": callback(t, h.authorize(browser, with(request, "request", claims(map[string]any{"code_challenge_method": "plain"}))), webRedirect),
	} {
		if q.Get("error") != invalidRequest {
			t.Errorf("%s: %v", name, q)
		}
	}
}

// The modules of fapi2-message-signing-final-test-plan that its sister plan has
// not: pushed and signed, and nothing counts that stands outside.
func TestFAPI2MessageSigning(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := newBank(h)
	registered, err := h.clients.Client(t.Context(), "bank")
	if err != nil {
		t.Fatal(err)
	}
	client := *registered
	client.Metadata.RequireRequestObject = true
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs := jose.JSONWebKey{Key: private, KeyID: "r1", Algorithm: "RS256"}
	unbound := rs.Public()
	unbound.Algorithm = ""
	client.Metadata.JWKS = &jose.JSONWebKeySet{Keys: append(client.Metadata.JWKS.Keys, unbound)}
	h.clients.set(&client)
	browser := b.signedIn()
	in := func(d time.Duration) int64 { return h.clock.Now().Add(d).Unix() }
	push := func(key jose.JSONWebKey, typ string, change map[string]any, outside ...string) answer {
		token := signedBy(t, key, typ, h.object(b.request(), change))
		return b.post("/par", with(url.Values{"client_id": {"bank"}, "request": {token}}, outside...), nil, nil)
	}
	requestURI := func(a answer) string {
		if a.status != http.StatusCreated {
			t.Fatalf("%d %s", a.status, a.body)
		}
		uri, _ := a.json(t)["request_uri"].(string)
		return uri
	}
	rs.Algorithm = "PS256"
	for name, a := range map[string]answer{
		"happy-flow": push(b.signs, "oauth-authz-req+jwt", nil),
		"PS256":      push(rs, "", nil),
		"ensure-request-object-with-multiple-aud-succeeds":                     push(b.signs, "", map[string]any{"aud": []string{h.issuer, "https://other.test"}}),
		"ensure-request-object-with-nbf-8-seconds-in-the-future-is-accepted":   push(b.signs, "", map[string]any{"nbf": in(8 * time.Second)}),
		"exp 60 minutes after nbf":                                             push(b.signs, "", map[string]any{"nbf": in(0), "exp": in(time.Hour)}),
		"ensure-different-nonce- and -state-inside-and-outside-request-object": push(b.signs, "", map[string]any{"nonce": "inside", "state": "inside"}, "nonce", "outside", "state", "outside"),
	} {
		q := callback(t, h.authorize(browser, url.Values{"client_id": {"bank"}, "request_uri": {requestURI(a)}}), webRedirect)
		if !q.Has("code") || q.Get("state") == "outside" {
			t.Errorf("%s: %v", name, q)
		}
	}
	// Module state-only-outside-request-object-not-used.
	q := callback(t, h.authorize(browser, url.Values{"client_id": {"bank"}, "state": {"outside"}, "request_uri": {
		requestURI(push(b.signs, "", map[string]any{"state": nil}, "state", "outside")),
	}}), webRedirect)
	if q.Has("state") {
		t.Errorf("%v", q)
	}
	rs.Algorithm = "RS256"
	stranger, _ := keyPair(t)
	for name, a := range map[string]answer{
		"ensure-signed-request-object-with-RS256-fails":             push(rs, "", nil),
		"ensure-matching-key-in-authorization-request":              push(stranger, "", nil),
		"ensure-request-object-with-exp-over-60-fails":              push(b.signs, "", map[string]any{"exp": in(61 * time.Minute)}),
		"ensure-request-object-without-exp-fails":                   push(b.signs, "", map[string]any{"exp": nil}),
		"ensure-request-object-without-nbf-fails":                   push(b.signs, "", map[string]any{"nbf": nil}),
		"ensure-request-object-with-nbf-over-60-fails":              push(b.signs, "", map[string]any{"nbf": in(-61 * time.Minute)}),
		"ensure-expired-request-object-fails":                       push(b.signs, "", map[string]any{"nbf": in(-time.Hour), "exp": in(-5 * time.Minute)}),
		"ensure-request-object-with-bad-aud-fails":                  push(b.signs, "", map[string]any{"aud": "https://other.test"}),
		"ensure-request-object-without-aud-fails":                   push(b.signs, "", map[string]any{"aud": nil}),
		"ensure-request-object-without-client_id-fails":             push(b.signs, "", map[string]any{"client_id": nil}),
		"par-authorization-request-containing-request_uri":          push(b.signs, "", map[string]any{"request_uri": requestURIPrefix + "x"}),
		"ensure-request-object-with-invalid-signature-fails":        b.post("/par", url.Values{"request": {tampered(signedBy(t, b.signs, "", h.object(b.request(), nil)))}}, nil, nil),
		"ensure-request-object-signature-algorithm-is-not-none":     b.post("/par", url.Values{"request": {b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(`{}`)) + "."}}, nil, nil),
		"ensure-request-object-without-redirect-uri-fails, outside": push(b.signs, "", map[string]any{"redirect_uri": nil}, "redirect_uri", webRedirect),
		"ensure-unsigned-request-at-par-endpoint-fails":             b.post("/par", b.request(), nil, nil),
		"no challenge inside":                                       push(b.signs, "", map[string]any{"code_challenge": nil, "code_challenge_method": nil}, "code_challenge", challengeOf(testVerifier), "code_challenge_method", "S256"),
	} {
		if code := a.errorCode(); a.status != http.StatusBadRequest || code != invalidRequestObject && code != invalidRequest {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	direct := with(b.request(), "request", signedBy(t, b.signs, "", h.object(b.request(), nil)))
	if q := callback(t, h.authorize(browser, direct), webRedirect); q.Get("error") != invalidRequest {
		t.Errorf("signed and not pushed: %v", q)
	}
}

// A client that must sign may do so without PAR, and its signature still counts
// after the person has signed in.
func TestSignedRequestsCanBeDemandedOfAClient(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ec, _ := addSigner(h, func(m *oidc.Metadata) { m.RequireRequestObject = true })
	browser := h.browser()
	request := webRequest("client_id", "signer")
	if q := callback(t, h.authorize(browser, request), webRedirect); q.Get("error") != invalidRequest {
		t.Errorf("unsigned: %v", q)
	}
	token := signedBy(t, ec, "", h.object(request, map[string]any{"nonce": nil}))
	flowID := flowOf(t, h.authorize(browser, with(request, "nonce", "outside", "request", token)), "/login")
	h.signIn(browser, h.addUser("Ada").ID)
	q := callback(t, h.get(browser, "/authorize/continue?flow="+flowID), webRedirect)
	if _, claims := unpack(t, h.signerExchange(q).IDToken); claims["nonce"] != nil {
		t.Errorf("what stands outside counts: %v", claims)
	}
}

// Every parameter that comes out of a request object is text, none is about the
// object itself, and objects and numbers stay the JSON that they were.
func FuzzRequestObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"client_id":"c","max_age":300,"claims":{"userinfo":{"name":null}}}`, `{"resource":["a","b"],"aud":["x"],"exp":1e3}`,
		`{"request":"x"}`, `{"":1,"a\u0000":"b","c":"\u0000"}`, `{"x":null,"y":true,"z":[1, 2]}`, `[]`, `{"exp":"x"}`, `{"aud":7}`, `{"resource":[]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		object, err := parseRequestObject(payload)
		if err != nil {
			return
		}
		if len(object.parameters) > maxParameters {
			t.Fatalf("%d parameters", len(object.parameters))
		}
		for name, values := range object.parameters {
			switch name {
			case "", "request", "request_uri", "iss", "sub", "aud", "exp", "nbf", "iat", "jti":
				t.Fatalf("%q is a parameter", name)
			}
			if len(values) == 0 || len(values) > 1 && name != "resource" {
				t.Fatalf("%q has %d values", name, len(values))
			}
			for _, value := range values {
				if value == "" || !isText(value) || !isText(name) {
					t.Fatalf("%q is %q", name, value)
				}
			}
		}
	})
}
