package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/revocation"
)

// addPairwise registers a client like web with pairwise subjects of a sector.
func (h *harness) addPairwise(clientID, sector string) *oidc.Client {
	h.t.Helper()
	c := *h.addWebLike(clientID, "openid profile offline_access lists:read")
	c.Metadata.SubjectType, c.Metadata.SectorIdentifierURI = oidc.SubjectPairwise, sector
	c.Metadata.PostLogoutRedirectURIs = []string{"https://web.test/"}
	h.clients.set(&c)
	return &c
}

func TestPairwiseSubjects(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addResourceServer()
	h.addPairwise("one", "https://sector.test/uris.json")
	h.addPairwise("sibling", "https://sector.test/other.json")
	h.addPairwise("other", "https://elsewhere.test/uris.json")
	browser, ada, bob := h.browser(), h.addUser("Ada"), h.addUser("Bob")
	login := h.signIn(browser, ada.ID)
	request := func(clientID string, pairs ...string) url.Values {
		return webRequest(append([]string{"client_id", clientID, "scope", "openid"}, pairs...)...)
	}
	subjects, tokens := map[string]string{}, map[string]tokenResponse{}
	for _, clientID := range []string{"web", "one", "sibling", "other"} {
		tokens[clientID] = h.tokens(h.exchangeAs(clientID, h.code(browser, request(clientID))))
		subjects[clientID], _ = h.idTokenClaims(tokens[clientID].IDToken, es256)["sub"].(string)
		if got := h.userinfo(tokens[clientID].AccessToken).json(t)["sub"]; got != subjects[clientID] {
			t.Errorf("%s: userinfo says %v, the ID token %s", clientID, got, subjects[clientID])
		}
		if got := h.post("/introspect", url.Values{"token": {tokens[clientID].AccessToken}}, clientID, webSecret).json(t)["sub"]; got != subjects[clientID] {
			t.Errorf("%s: introspection says %v", clientID, got)
		}
		if got := h.post("/introspect", url.Values{"token": {tokens[clientID].RefreshToken}}, clientID, webSecret).json(t)["sub"]; got != subjects[clientID] {
			t.Errorf("%s: introspection of the refresh token says %v", clientID, got)
		}
		if clientID != "web" && (strings.Contains(payloadOf(t, tokens[clientID].AccessToken), ada.ID.String()) || len(subjects[clientID]) != pairwiseLength) {
			t.Errorf("%s learns the person's own id: %s", clientID, payloadOf(t, tokens[clientID].AccessToken))
		}
	}
	if subjects["web"] != ada.ID.String() || subjects["one"] != subjects["sibling"] || subjects["one"] == subjects["other"] || subjects["one"] == subjects["web"] {
		t.Errorf("%v", subjects)
	}
	if other, err := h.p.subjectFor(&oidc.Client{Metadata: oidc.Metadata{SubjectType: oidc.SubjectPairwise, SectorIdentifierURI: "https://sector.test/"}}, bob.ID); err != nil || other == subjects["one"] {
		t.Errorf("two people are one: %v", err)
	}

	// An API has to know the person.
	forAPI := h.tokens(h.exchangeAs("one", h.code(browser, webRequest("client_id", "one"))))
	at, err := h.p.VerifyAccessToken(t.Context(), forAPI.AccessToken, testAPI)
	if err != nil || at.Subject != ada.ID.String() {
		t.Errorf("%+v, %v", at, err)
	}
	if got := h.post("/introspect", url.Values{"token": {forAPI.AccessToken}}, "api", apiSecret).json(t)["sub"]; got != ada.ID.String() {
		t.Errorf("the API is told of %v", got)
	}

	// The hint, and the sub of the claims parameter, are read back.
	hint := tokens["one"].IDToken
	h.code(browser, request("one", "id_token_hint", hint, "prompt", "none"))
	h.code(browser, request("one", "claims", `{"id_token":{"sub":{"value":"`+subjects["one"]+`"}}}`, "prompt", "none"))
	if q := callback(t, h.authorize(browser, request("one", "claims", `{"id_token":{"sub":{"value":"`+ada.ID.String()+`"}}}`, "prompt", "none")), webRedirect); q.Get("error") != loginRequired {
		t.Errorf("%v", q)
	}
	strange := h.browser()
	h.signIn(strange, bob.ID)
	if q := callback(t, h.authorize(strange, request("one", "id_token_hint", hint, "prompt", "none")), webRedirect); q.Get("error") != loginRequired {
		t.Errorf("%v", q)
	}

	// What ends the person's tokens ends these, too.
	h.p.Revocations.Add(h.clock.Now(), revocation.Entry{
		Kind: revocation.Subject, Value: ada.ID.String(), RevokedAt: h.clock.Now().Add(time.Second), ExpiresAt: h.clock.Now().Add(time.Hour),
	})
	expectInvalidToken(t, "revoked by the person", h.userinfo(tokens["one"].AccessToken))

	if a := h.get(h.browser(), logoutURL("id_token_hint", hint, "post_logout_redirect_uri", "https://web.test/")); a.header.Get("Location") != "https://web.test/" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if h.sessions.lives(login.SID) {
		t.Error("the session that the hint names goes on")
	}
}

// payloadOf reads a JWT without checking anything.
func payloadOf(t *testing.T, token string) string {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA, jose.PS256})
	if err != nil {
		t.Fatal(err)
	}
	return string(jws.UnsafePayloadWithoutVerification())
}

// ID tokens and userinfo come as the client has registered.
func TestAnswersAreSignedAndEncryptedAsRegistered(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := *h.addWebLike("crypt", "openid profile")
	rsaKey := testRSA(0)
	c.Metadata.JWKS = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: rsaKey.Public(), KeyID: "sig", Use: "sig"},
		{Key: rsaKey.Public(), KeyID: "rsa", Use: "enc"},
		{Key: ec.Public(), KeyID: "ec"},
	}}
	browser, ada := h.browser(), h.addUser("Ada")
	h.signIn(browser, ada.ID)
	for _, alg := range append(oidc.SigningAlgs(), "") {
		for i, enc := range append(oidc.KeyManagementAlgs(), "") {
			content := append(oidc.ContentEncryptionAlgs(), "")[i]
			one := c
			one.Metadata.IDTokenSignedAlg, one.Metadata.UserinfoSignedAlg = alg, alg
			one.Metadata.IDTokenEncryptedAlg, one.Metadata.UserinfoEncryptedAlg = enc, enc
			if enc != "" {
				one.Metadata.IDTokenEncryptedEnc, one.Metadata.UserinfoEncryptedEnc = content, content
			}
			h.clients.set(&one)
			tokens := h.tokens(h.exchangeAs("crypt", h.code(browser, webRequest("client_id", "crypt", "scope", "openid profile"))))
			open := func(token string) string {
				if enc == "" {
					return token
				}
				jwe, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.KeyAlgorithm(enc)}, []jose.ContentEncryption{jose.ContentEncryption(content)})
				if err != nil {
					t.Fatalf("%s %s: %v", enc, content, err)
				}
				var key any = rsaKey
				if jwe.Header.KeyID == "ec" {
					key = ec
				}
				plain, err := jwe.Decrypt(key)
				if err != nil {
					t.Fatal(err)
				}
				return string(plain)
			}
			signed := alg
			if alg == "" {
				signed = es256
			}
			id := h.idTokenClaims(open(tokens.IDToken), signed)
			if id["sub"] != ada.ID.String() || id["at_hash"] != leftHalf(signed, tokens.AccessToken) {
				t.Errorf("%s %s: ID token %v", alg, enc, id)
			}
			a := h.userinfo(tokens.AccessToken)
			var info map[string]any
			switch {
			case alg == "" && enc == "":
				info = a.json(t)
			case alg == "":
				info = answer{body: open(a.body)}.json(t)
			default:
				info = h.idTokenClaims(open(a.body), alg)
			}
			jwt := alg != "" || enc != ""
			if info["name"] != "Ada" || info["sub"] != ada.ID.String() || info["nonce"] != nil || (info["iss"] == h.issuer) != jwt || (info["aud"] == "crypt") != jwt {
				t.Errorf("%s %s: userinfo %v", alg, enc, info)
			}
			if want := map[bool]string{true: "application/jwt", false: "application/json"}[jwt]; a.status != http.StatusOK || a.header.Get("Content-Type") != want {
				t.Errorf("%s %s: %d %v", alg, enc, a.status, a.header)
			}
			if jwt && enc == "" {
				if q := callback(t, h.authorize(browser, webRequest("client_id", "crypt", "scope", "openid", "id_token_hint", a.body)), webRedirect); q.Get("error") != invalidRequest {
					t.Errorf("a userinfo answer passes for an ID token: %v", q)
				}
			}
		}
	}
}
