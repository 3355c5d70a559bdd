package oauth

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readResponse verifies a signed authorization response.
func (h *harness) readResponse(response, alg string) map[string]any {
	h.t.Helper()
	_, by, err := h.keys.Verify(response, signedResponseType)
	if err != nil || by != alg {
		h.t.Fatalf("%q by %s: %v", response, by, err)
	}
	_, claims := unpack(h.t, response)
	if claims["iss"] != h.issuer || claims["aud"] != "web" {
		h.t.Errorf("%v", claims)
	}
	exp, _ := claims["exp"].(float64)
	if left := int64(exp) - h.clock.Now().Unix(); left < 1 || left > 600 {
		h.t.Errorf("expires in %d s", left)
	}
	return claims
}

// JARM (the Message Signing modules with fapi_response_mode=jarm): the answer,
// be it an error, is one signed parameter and nothing beside it.
func TestJARM(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	web := *h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	for mode, alg := range map[string]string{"jwt": "", "query.jwt": "RS256", "form_post.jwt": "EdDSA"} {
		web.Metadata.AuthorizationAlg = alg
		h.clients.set(&web)
		if alg == "" {
			alg = "ES256"
		}
		read := func(a answer) map[string]any {
			t.Helper()
			if mode != "form_post.jwt" {
				q := callback(t, a, webRedirect)
				if len(q) != 1 {
					t.Errorf("%s: beside the response stands more: %v", mode, q)
				}
				return h.readResponse(q.Get("response"), alg)
			}
			found := regexp.MustCompile(`<input type="hidden" name="(.*?)" value="(.*?)">`).FindAllStringSubmatch(a.body, -1)
			if len(found) != 1 || found[0][1] != "response" {
				t.Fatalf("%s: %v", mode, found)
			}
			return h.readResponse(found[0][2], alg)
		}
		claims := read(h.authorize(browser, webRequest("response_mode", mode)))
		code, _ := claims["code"].(string)
		if claims["state"] != "s" || code == "" {
			t.Errorf("%s: %v", mode, claims)
		}
		h.tokens(h.webExchange(code))
		claims = read(h.authorize(browser, webRequest("response_mode", mode, "scope", "openid admin")))
		if claims["error"] != invalidScope || claims["state"] != "s" || claims["code"] != nil {
			t.Errorf("%s: %v", mode, claims)
		}
		refused := read(h.authorize(h.browser(), webRequest("response_mode", mode, "prompt", "none")))
		if refused["error"] != loginRequired {
			t.Errorf("%s: %v", mode, refused)
		}
	}
	for _, mode := range []string{"fragment.jwt", "form_postjwt", "xjwt", "form_post.jwt.jwt"} {
		if q := callback(t, h.authorize(browser, webRequest("response_mode", mode)), webRedirect); q.Get("error") != invalidRequest {
			t.Errorf("%s: %v", mode, q)
		}
	}
	// What is signed here is no ID token.
	q := callback(t, h.authorize(browser, webRequest("response_mode", "jwt")), webRedirect)
	q = callback(t, h.authorize(browser, webRequest("id_token_hint", q.Get("response"))), webRedirect)
	if q.Get("error") != invalidRequest {
		t.Errorf("a response passes for an ID token: %v", q)
	}
}

// A pushed response_mode counts, and one beside the request_uri does not.
func TestJARMByPAR(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	q := callback(t, h.visit(browser, h.push("response_mode", "jwt"), "response_mode", "query"), webRedirect)
	if claims := h.readResponse(q.Get("response"), "ES256"); claims["code"] == nil {
		t.Errorf("%v", claims)
	}
}

// RFC 9701: the same answer, signed for whoever asks for it, and about a dead
// token no more than that.
func TestSignedIntrospection(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addResourceServer()
	registered, err := h.clients.Client(t.Context(), "api")
	if err != nil {
		t.Fatal(err)
	}
	api := *registered
	ada := h.addUser("Ada")
	token := h.sign(accessTokenType, h.claims(ada.ID))
	ask := func(token, accept string) answer {
		r := h.request(http.MethodPost, "/introspect", url.Values{"token": {token}})
		r.SetBasicAuth("api", apiSecret)
		r.Header.Set("Accept", accept)
		return h.do(nil, r)
	}
	plain := ask(token, "application/json").json(t)
	for _, alg := range []string{"ES256", "RS256"} {
		api.Metadata.IntrospectionAlg = alg
		h.clients.set(&api)
		a := ask(token, "application/json;q=0.1, Application/Token-Introspection+JWT")
		if a.status != http.StatusOK || a.header.Get("Content-Type") != introspectionMedia || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Vary") != "Accept" {
			t.Fatalf("%d %v %s", a.status, a.header, a.body)
		}
		if _, by, err := h.keys.Verify(a.body, introspectionTokenType); err != nil || by != alg {
			t.Errorf("by %s: %v", by, err)
		}
		_, claims := unpack(t, a.body)
		if claims["iss"] != h.issuer || claims["aud"] != "api" || claims["iat"] == nil || len(claims) != 4 {
			t.Errorf("%v", claims)
		}
		if diff := cmp.Diff(plain, claims["token_introspection"]); diff != "" {
			t.Errorf("-plain +signed:\n%s", diff)
		}
		if h.live(a.body) || strings.Contains(ask(a.body, "*/*").body, "true") {
			t.Error("the answer about a token passes for one")
		}
	}
	_, claims := unpack(t, ask("nonsense", introspectionMedia).body)
	if diff := cmp.Diff(map[string]any{"active": false}, claims["token_introspection"]); diff != "" {
		t.Errorf("dead (-want +got):\n%s", diff)
	}
	if a := ask(token, "*/*"); a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", a.header)
	}
	r := h.request(http.MethodPost, "/introspect", url.Values{"token": {token}})
	r.Header.Set("Accept", introspectionMedia)
	refused(t, h.do(nil, r), http.StatusUnauthorized, invalidClient)
}
