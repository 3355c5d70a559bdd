package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
)

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

// keysOfClient is what a client opens with what is encrypted to it.
type keysOfClient map[string]any // by kid

// open decrypts by the key that the header names, which must be the one
// expected, and returns the signed JWT inside.
func (k keysOfClient) open(t testing.TB, token, kid string) string {
	t.Helper()
	jwe, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.RSA_OAEP_256, jose.ECDH_ES}, []jose.ContentEncryption{jose.A128CBC_HS256, jose.A256GCM})
	if err != nil || jwe.Header.KeyID != kid || jwe.Header.ExtraHeaders[jose.HeaderContentType] != "JWT" {
		t.Fatalf("%q to %v, want %s: %v", token, jwe, kid, err)
	}
	plain, err := jwe.Decrypt(k[kid])
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// Everything that is encrypted is, to the keys at the client's jwks_uri: to
// another one when the copy of them is old, and at once where none would do.
func TestAnswersAreEncryptedToPublishedKeys(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	theirs := newPublisher(t)
	private, public := keysOfClient{"rsa": testRSA(0), "spare": testRSA(1)}, map[string]jose.JSONWebKey{}
	for kid, key := range private {
		rsaKey, _ := key.(interface{ Public() crypto.PublicKey })
		public[kid] = jose.JSONWebKey{Key: rsaKey.Public(), KeyID: kid, Use: "enc"}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private["ec"], public["ec"] = ec, jose.JSONWebKey{Key: ec.Public(), KeyID: "ec", Use: "enc"}
	signing := named(t, "sig")
	rp := *h.addClient("rp", "", oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode, oidc.RefreshToken}, RedirectURIs: []string{webRedirect}, Scope: "openid profile offline_access",
		TokenEndpointAuthMethod: oidc.PrivateKeyJWT, JWKSURI: theirs.URL + "/jwks", FirstParty: true,
		IDTokenEncryptedAlg: "RSA-OAEP-256", UserinfoSignedAlg: es256, UserinfoEncryptedAlg: "RSA-OAEP-256",
		AuthorizationEncryptedAlg: "RSA-OAEP-256", IntrospectionEncryptedAlg: "RSA-OAEP-256", IntrospectionEncryptedEnc: "A256GCM",
	})
	browser, ada := h.browser(), h.addUser("Ada")
	h.signIn(browser, ada.ID)
	ask := func(path, accept string, form url.Values) answer {
		r := h.request(http.MethodPost, path, with(form, "client_assertion_type", assertionType, "client_assertion", assertionOf(t, h, signing, "rp", nil)))
		r.Header.Set("Accept", accept)
		return h.do(nil, r)
	}
	authorize := func() answer {
		return h.authorize(browser, webRequest("client_id", "rp", "scope", "openid profile offline_access", "response_mode", "jwt"))
	}
	// all has each kind of answer come, encrypted to one key, and returns the
	// refresh token.
	all := func(kid string) string {
		t.Helper()
		_, response := unpack(t, private.open(t, callback(t, authorize(), webRedirect).Get("response"), kid))
		code, _ := response["code"].(string)
		if response["aud"] != "rp" || code == "" {
			t.Fatalf("%v", response)
		}
		tokens := h.tokens(ask("/token", "", exchangeOf(code, "rp", webRedirect)))
		if got := h.idTokenClaims(private.open(t, tokens.IDToken, kid), es256); got["sub"] != ada.ID.String() {
			t.Errorf("ID token %v", got)
		}
		if got := h.idTokenClaims(private.open(t, h.userinfo(tokens.AccessToken).body, kid), es256); got["name"] != "Ada" {
			t.Errorf("userinfo %v", got)
		}
		a := ask("/introspect", introspectionMedia, url.Values{"token": {tokens.AccessToken}})
		_, said := unpack(t, private.open(t, a.body, kid))
		if about, _ := said["token_introspection"].(map[string]any); about["active"] != true || a.header.Get("Content-Type") != introspectionMedia {
			t.Errorf("%v %v", a.header, said)
		}
		logout, err := h.p.LogoutToken(t.Context(), &rp, ada.ID, "sid")
		if err != nil {
			t.Fatal(err)
		}
		private.open(t, logout, kid)
		return tokens.RefreshToken
	}
	theirs.publish(t, signing.Public(), public["rsa"])
	refresh := all("rsa")

	theirs.publish(t, signing.Public(), public["spare"])
	h.clock.Advance(11 * time.Minute) // longer than a copy is good
	all("spare")

	// The client wants another kind of key than we have seen of it.
	h.clock.Advance(time.Minute) // longer than we leave its server alone
	theirs.publish(t, signing.Public(), public["ec"])
	rp.Metadata.IDTokenEncryptedAlg, rp.Metadata.UserinfoEncryptedAlg = "ECDH-ES", "ECDH-ES"
	rp.Metadata.AuthorizationEncryptedAlg, rp.Metadata.IntrospectionEncryptedAlg = "ECDH-ES", "ECDH-ES"
	h.clients.set(&rp)
	all("ec")

	// Without any key for it nothing is spent, and nothing leaves in the open.
	h.clock.Advance(11 * time.Minute)
	theirs.publish(t, signing.Public())
	refused(t, ask("/token", "", refreshOf(refresh, "rp")), http.StatusBadRequest, invalidRequest)
	refused(t, ask("/introspect", introspectionMedia, url.Values{"token": {refresh}}), http.StatusBadRequest, invalidRequest)
	if a := authorize(); a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	h.clock.Advance(time.Minute)
	theirs.publish(t, signing.Public(), public["ec"])
	private.open(t, h.tokens(ask("/token", "", refreshOf(refresh, "rp"))).IDToken, "ec")
}
