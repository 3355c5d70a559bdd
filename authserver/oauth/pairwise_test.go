package oauth

import (
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
