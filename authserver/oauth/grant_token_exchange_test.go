package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/authserver/oidc"
	"larder/internal/dpop/dpoptest"
	"larder/internal/id"
	"larder/internal/revocation"
)

const otherAPI = "https://other.larder.test"

// addExchangers makes the authserver know a second API, and registers planner,
// whose tokens mailer may act with.
func (h *harness) addExchangers() {
	h.p.Config.ResourceServers = append(h.p.Config.ResourceServers, oidc.ResourceServer{Resource: otherAPI, Scopes: []string{"mail:send"}})
	m := oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode, oidc.TokenExchange, oidc.ClientCredentials}, RedirectURIs: []string{webRedirect},
		Scope: "openid lists:read lists:write admin", Resources: []string{testAPI, otherAPI}, FirstParty: true, MayAct: []string{"mailer"},
	}
	h.addClient("planner", "planner-secret", m)
	for _, name := range []string{"mailer", "stranger"} {
		m := oidc.Metadata{GrantTypes: []string{oidc.TokenExchange}, Scope: "lists:read family:read", Resources: []string{testAPI}, MayAct: []string{"planner"}}
		h.addClient(name, name+"-secret", m)
	}
	h.addResourceServer()
}

func (h *harness) exchange(client, token, tokenType string, namesAndValues ...string) answer {
	h.t.Helper()
	return h.post("/token", with(url.Values{
		"grant_type": {oidc.TokenExchange}, "subject_token": {token}, "subject_token_type": {tokenType},
	}, namesAndValues...), client, client+"-secret")
}

// plannersToken is one of planner's for the person, changed by change.
func (h *harness) plannersToken(user id.ID, change func(*accessClaims)) string {
	c := h.claims(user)
	c.ClientID, c.Audience, c.Scope = "planner", audience{testAPI, otherAPI}, "openid lists:read lists:write admin"
	if change != nil {
		change(&c)
	}
	return h.sign(accessTokenType, c)
}

// RFC 8693: a client gets less for its own token, and acts for the person with another's where it may.
func TestTokenExchangeNarrowsAndDelegates(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addExchangers()
	user := h.addUser("Ada").ID
	family, list := id.New(), id.New()
	details := []oidc.AuthorizationDetail{{Type: oidc.ListDetailType, FamilyID: family, ListIDs: []id.ID{list}, Actions: []string{"view"}}}
	ends := h.clock.Now().Add(2 * time.Minute).Unix()
	token := h.plannersToken(user, func(c *accessClaims) { c.Expires, c.Details = ends, details })

	own := h.exchange("planner", token, accessTokenURN, "scope", "lists:read", "resource", testAPI)
	_, claims := unpack(t, h.tokens(own).AccessToken)
	if claims["sub"] != user.String() || claims["client_id"] != "planner" || claims["aud"] != testAPI || claims["scope"] != "lists:read" ||
		claims["act"] != nil || seconds(claims, "exp") > ends || claims[detailsParameter] == nil || own.json(t)["issued_token_type"] != accessTokenURN {
		t.Errorf("planner's own: %v\n%s", claims, own.body)
	}

	passed := h.tokens(h.exchange("mailer", token, accessTokenURN))
	_, claims = unpack(t, passed.AccessToken)
	act, _ := claims["act"].(map[string]any)
	if claims["sub"] != user.String() || claims["client_id"] != "mailer" || claims["aud"] != testAPI || claims["scope"] != "lists:read" ||
		act["sub"] != "mailer" || claims[detailsParameter] == nil || seconds(claims, "exp") > ends || passed.RefreshToken != "" || passed.IDToken != "" {
		t.Errorf("mailer's: %v", claims)
	}
	if got := h.introspect(passed.AccessToken, "api", apiSecret).json(t); got["act"] == nil || got["active"] != true {
		t.Errorf("introspection: %v", got)
	}
	h.audited("token.delegated", 1)

	// On from there the chain is told, the latest first, and what a token stems from still ends it.
	back := h.tokens(h.exchange("planner", passed.AccessToken, accessTokenURN))
	_, claims = unpack(t, back.AccessToken)
	if act, _ = claims["act"].(map[string]any); act["sub"] != "planner" || act["act"] == nil {
		t.Errorf("passed back: %v", claims)
	}
	name, _ := claims["grant_id"].(string)
	grant, err := id.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.p.grants.revoke(t.Context(), grant, "test"); err != nil {
		t.Fatal(err)
	}
	if h.live(back.AccessToken) || h.live(passed.AccessToken) {
		t.Error("a token outlives the grant that it stems from")
	}
}

// O29: what is expired, foreign, revoked, bound to another's key or of a closed account is refused, and nothing widens.
func TestTokenExchangeRefuses(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addExchangers()
	h.addSPA()
	user, closed := h.addUser("Ada").ID, h.addUser("Bob")
	closed.Disabled = true
	h.users.set(closed)
	good := h.plannersToken(user, nil)
	revoked := h.plannersToken(user, func(c *accessClaims) { c.JTI = "gone" })
	h.p.grants.tell(revocation.JTI, "gone", h.clock.Now(), h.clock.Now().Add(time.Hour))
	key := dpoptest.NewKey(t)

	for name, test := range map[string]struct {
		client, token, tokenType string
		change                   []string
		code                     string
	}{
		"no token":               {"planner", "", accessTokenURN, nil, "invalid_request"},
		"no type":                {"planner", good, "", nil, "invalid_request"},
		"an unknown type":        {"planner", good, "urn:ietf:params:oauth:token-type:saml2", nil, "invalid_request"},
		"expired":                {"planner", h.plannersToken(user, func(c *accessClaims) { c.Expires = c.IssuedAt }), accessTokenURN, nil, "invalid_request"},
		"another issuer's":       {"planner", h.plannersToken(user, func(c *accessClaims) { c.Issuer = "https://evil.test" }), accessTokenURN, nil, "invalid_request"},
		"no access token":        {"planner", h.idToken(oidc.Login{Subject: user, SID: "s", AuthTime: h.clock.Now()}, "planner"), accessTokenURN, nil, "invalid_request"},
		"revoked":                {"planner", revoked, accessTokenURN, nil, "invalid_request"},
		"a closed account":       {"planner", h.plannersToken(closed.ID, nil), accessTokenURN, nil, "invalid_request"},
		"bound to a key":         {"planner", h.plannersToken(user, func(c *accessClaims) { c.Confirmation = confirm(key.Thumbprint, "") }), accessTokenURN, nil, "invalid_request"},
		"bound to a certificate": {"planner", h.plannersToken(user, func(c *accessClaims) { c.Confirmation = confirm("", key.Thumbprint) }), accessTokenURN, nil, "invalid_request"},
		"not allowed to act":     {"stranger", good, accessTokenURN, nil, "invalid_request"},
		"a client's own":         {"mailer", h.plannersToken(user, func(c *accessClaims) { c.Subject = "planner" }), accessTokenURN, nil, "invalid_request"},
		"passed on too often":    {"mailer", h.plannersToken(user, func(c *accessClaims) { c.Actor = actorOf([]string{"a", "b", "c"}) }), accessTokenURN, nil, "invalid_request"},
		"an actor token":         {"planner", good, accessTokenURN, []string{"actor_token", good, "actor_token_type", accessTokenURN}, "invalid_request"},
		"another token type":     {"planner", good, accessTokenURN, []string{"requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"},
		"more scope":             {"planner", good, accessTokenURN, []string{"scope", "lists:read family:read"}, "invalid_scope"},
		"scope of the client":    {"mailer", good, accessTokenURN, []string{"scope", "lists:write"}, "invalid_scope"},
		"the admin scope":        {"planner", good, accessTokenURN, []string{"scope", "admin"}, "invalid_scope"},
		"scope about people":     {"planner", good, accessTokenURN, []string{"scope", "openid"}, "invalid_scope"},
		"another audience":       {"planner", h.plannersToken(user, func(c *accessClaims) { c.Audience = audience{testAPI} }), accessTokenURN, []string{"resource", otherAPI}, "invalid_target"},
		"the issuer":             {"planner", h.plannersToken(user, func(c *accessClaims) { c.Audience = audience{h.issuer} }), accessTokenURN, nil, "invalid_target"},
		"a made-up audience":     {"planner", good, accessTokenURN, []string{"audience", "billing"}, "invalid_target"},
		"wider details": {
			"planner", h.plannersToken(user, func(c *accessClaims) {
				c.Details = []oidc.AuthorizationDetail{{Type: oidc.ListDetailType, FamilyID: id.New(), Actions: []string{"view"}}}
			}),
			accessTokenURN,
			[]string{detailsParameter, detailsOf(`["view"]`, "")},
			"invalid_authorization_details",
		},
		"a key that is none":      {"planner", "lrd_live_nothing", apiKeyURN, nil, "invalid_request"},
		"a token called a key":    {"planner", good, apiKeyURN, nil, "invalid_request"},
		"a key called a token":    {"planner", "lrd_live_nothing", accessTokenURN, nil, "invalid_request"},
		"a refresh token, passed": {"planner", strings.Repeat("r", 60), accessTokenURN, nil, "invalid_request"},
	} {
		got := h.exchange(test.client, test.token, test.tokenType, test.change...)
		if got.status != http.StatusBadRequest || got.errorCode() != test.code {
			t.Errorf("%s: %d %s, want %s", name, got.status, got.body, test.code)
		}
	}
	refused(t, h.post("/token", url.Values{"grant_type": {oidc.TokenExchange}, "client_id": {"spa"}, "subject_token": {good}, "subject_token_type": {accessTokenURN}}),
		http.StatusBadRequest, "unauthorized_client")
	h.tokens(h.exchange("mailer", good, accessTokenURN))

	// The owner of the token is out, and nobody acts with what it had.
	planner, err := h.clients.Client(t.Context(), "planner")
	if err != nil {
		t.Fatal(err)
	}
	gone := *planner
	gone.Disabled = true
	h.clients.set(&gone)
	refused(t, h.exchange("mailer", good, accessTokenURN), http.StatusBadRequest, "invalid_request")
}

// An API key becomes a short token for its family, which dies with it.
func TestTokenExchangeOfAnAPIKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addExchangers()
	now := h.clock.Now()
	key := oidc.APIKey{
		ID: id.New(), ServiceAccountID: id.New(), FamilyID: id.New(), Scopes: []string{"lists:read", "lists:write"},
		CreatedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Minute),
	}
	h.apiKeys.byKey["lrd_live_good"] = key
	tokens := h.tokens(h.exchange("planner", "lrd_live_good", apiKeyURN, "scope", "lists:read", "resource", testAPI))
	_, claims := unpack(t, tokens.AccessToken)
	if claims["sub"] != key.ServiceAccountID.String() || claims["family_id"] != key.FamilyID.String() || claims["api_key_id"] != key.ID.String() ||
		claims["scope"] != "lists:read" || claims["aud"] != testAPI || seconds(claims, "exp") > key.ExpiresAt.Unix() || claims["auth_time"] != nil || tokens.ExpiresIn > 60 {
		t.Errorf("claims %v, expires in %d", claims, tokens.ExpiresIn)
	}
	got := h.introspect(tokens.AccessToken, "api", apiSecret).json(t)
	if got["family_id"] != key.FamilyID.String() || got["api_key_id"] != key.ID.String() {
		t.Errorf("introspection %v", got)
	}
	refused(t, h.exchange("planner", "lrd_live_good", apiKeyURN, "scope", "family:read"), http.StatusBadRequest, "invalid_scope")
	refused(t, h.exchange("mailer", tokens.AccessToken, accessTokenURN), http.StatusBadRequest, "invalid_request")

	h.p.grants.tell(revocation.APIKey, key.ID.String(), h.clock.Now().Add(time.Second), h.clock.Now().Add(time.Hour))
	if h.live(tokens.AccessToken) {
		t.Error("the token outlives its key")
	}
	refused(t, h.exchange("planner", "lrd_live_good", apiKeyURN), http.StatusBadRequest, "invalid_request")
	if !slices.Contains(h.p.metadata().GrantTypesSupported, oidc.TokenExchange) {
		t.Error("discovery does not tell")
	}

	// A person's own key becomes a token of that person, and nobody passes it on for more.
	ada := h.addUser("Ada")
	own := key
	own.ID, own.UserID, own.ServiceAccountID = id.New(), ada.ID, id.ID{}
	h.apiKeys.byKey["lrd_live_own"] = own
	tokens = h.tokens(h.exchange("planner", "lrd_live_own", apiKeyURN, "scope", "lists:read lists:write", "resource", testAPI))
	for range 2 {
		_, claims = unpack(t, tokens.AccessToken)
		if claims["sub"] != ada.ID.String() || claims["personal_key_id"] != own.ID.String() || claims["api_key_id"] != nil || claims["family_id"] != key.FamilyID.String() {
			t.Errorf("claims of a token for a person's own key: %v", claims)
		}
		tokens = h.tokens(h.exchange("planner", tokens.AccessToken, accessTokenURN, "scope", "lists:read")) // its own, for less
	}
	h.p.grants.tell(revocation.Subject, ada.ID.String(), h.clock.Now().Add(time.Second), h.clock.Now().Add(time.Hour))
	if h.live(tokens.AccessToken) {
		t.Error("the token outlives what the person held")
	}
	refused(t, h.exchange("planner", "lrd_live_own", apiKeyURN), http.StatusBadRequest, "invalid_request")
}
