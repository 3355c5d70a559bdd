package oauth

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
)

// TestFAPICIBAModules has the modules of fapi-ciba-id1-test-plan that speak to the backchannel endpoint, with clients as
// the suite registers them: of the ordinary profile, and with one algorithm each.
func TestFAPICIBAModules(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addUser("Ada")
	client := func(name string) (keyOf func(alg string) jose.JSONWebKey) {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		h.addClient(name, "", oidc.Metadata{
			GrantTypes: []string{oidc.CIBA}, Scope: "openid lists:read", Resources: []string{testAPI}, TokenEndpointAuthMethod: oidc.PrivateKeyJWT,
			JWKS:                &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: name, Algorithm: "PS256", Use: "sig"}}},
			BackchannelDelivery: oidc.DeliveryPoll, BackchannelRequestAlg: "PS256",
		})
		return func(alg string) jose.JSONWebKey { return jose.JSONWebKey{Key: private, KeyID: name, Algorithm: alg} }
	}
	first, second := client("suite"), client("suite2")
	now := h.clock.Now()
	ago := func(d time.Duration) int64 { return now.Add(-d).Unix() }
	assertion := func(alg string, aud any) string {
		return signedBy(t, first(alg), "", map[string]any{
			"iss": "suite", "sub": "suite", "aud": aud, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		})
	}
	good := func() string { return assertion("PS256", h.issuer+"/token") }
	authenticated := func(form url.Values, assertion string) url.Values {
		return with(form, "client_assertion_type", assertionType, "client_assertion", assertion)
	}
	object := func(key jose.JSONWebKey, change map[string]any) url.Values {
		request := backchannelRequest("client_id", "suite", "scope", "openid lists:read", "login_hint", rand.Text()+"@larder.test", "binding_message", "1234")
		return url.Values{"request": {signedBy(t, key, "", h.object(request, change))}}
	}
	changed := func(name string, value any) url.Values {
		return authenticated(object(first("PS256"), map[string]any{name: value}), good())
	}
	unsigned := b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(`{"iss":"suite"}`)) + "."
	for name, c := range map[string]struct {
		form   url.Values
		status int
		code   string
	}{
		"fapi-ciba-id1": {changed("acr_values", ""), http.StatusOK, ""},
		"fapi-ciba-id1-ensure-other-scope-order-succeeds":                                                               {changed("scope", "lists:read openid"), http.StatusOK, ""},
		"fapi-ciba-id1-ensure-authorization-request-with-binding-message-succeeds":                                      {changed("binding_message", "1234"), http.StatusOK, ""},
		"fapi-ciba-id1-ensure-authorization-request-with-potentially-bad-binding-message":                               {changed("binding_message", "1234 \U0001f44d\U0001f3ff a long message that no telephone wants to show, not even on two lines"), 400, invalidBindingMessage},
		"fapi-ciba-id1-ensure-requested-expiry-as-string-succeeds":                                                      {changed("requested_expiry", "30"), http.StatusOK, ""},
		"fapi-ciba-id1-ensure-authorization-request-with-multiple-hints-fails":                                          {changed("id_token_hint", "x"), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-missing-aud-fails":                                                         {changed("aud", nil), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-bad-aud-fails":                                                             {changed("aud", "https://other.test"), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-missing-iss-fails":                                                         {changed("iss", nil), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-bad-iss-fails":                                                             {changed("iss", "suite2"), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-missing-exp-fails":                                                         {changed("exp", nil), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-expired-exp-fails":                                                         {changed("exp", ago(5*time.Minute)), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-exp-is-70-minutes-in-future-fails":                                         {changed("exp", ago(-70*time.Minute)), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-missing-iat-fails":                                                         {changed("iat", nil), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-missing-nbf-fails":                                                         {changed("nbf", nil), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-nbf-is-10-minutes-in-future-fails":                                         {changed("nbf", ago(-10*time.Minute)), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-nbf-is-70-minutes-in-past-fails":                                           {changed("nbf", ago(70*time.Minute)), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-missing-jti-fails":                                                         {changed("jti", nil), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-signature-algorithm-is-none-fails":                                         {authenticated(url.Values{"request": {unsigned}}, good()), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-signature-algorithm-is-RS256-fails":                                        {authenticated(object(first("RS256"), nil), good()), 400, invalidRequest},
		"fapi-ciba-id1-ensure-request-object-signed-by-other-client-fails":                                              {authenticated(object(second("PS256"), nil), good()), 400, invalidRequest},
		"fapi-ciba-id1-ensure-backchannel-authorization-request-without-request-fails":                                  {authenticated(backchannelRequest("scope", "openid"), good()), 400, invalidRequest},
		"fapi-ciba-id1-ensure-client-assertion-signature-algorithm-in-backchannel-authorization-request-is-RS256-fails": {authenticated(object(first("PS256"), nil), assertion("RS256", h.issuer)), 401, invalidClient},
		"fapi-ciba-id1-ensure-without-client-assertion-in-backchannel-authorization-request":                            {with(object(first("PS256"), nil), "client_id", "suite"), 401, invalidClient},
		"fapi-ciba-id1-ensure-wrong-client-id-in-backchannel-authorization-request":                                     {with(changed("acr_values", ""), "client_id", "suite2"), 401, invalidClient},
	} {
		a := h.post(backchannelPath, c.form)
		if a.status != c.status || a.errorCode() != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, a.body, c.status, c.code)
		}
	}

	authReqID, _ := h.post(backchannelPath, changed("acr_values", "")).json(t)["auth_req_id"].(string)
	mine := url.Values{"auth_req_id": {authReqID}}
	for name, ask := range map[string]struct {
		form   func() url.Values
		status int
		code   string
	}{
		"fapi-ciba-id1-ensure-client-assertion-with-iss-aud-to-token-endpoint-succeeds":                      {func() url.Values { return authenticated(mine, assertion("PS256", h.issuer)) }, 400, "authorization_pending"},
		"fapi-ciba-id1-ensure-client-assertion-signature-algorithm-in-token-endpoint-request-is-RS256-fails": {func() url.Values { return authenticated(mine, assertion("RS256", h.issuer)) }, 401, invalidClient},
		"fapi-ciba-id1-ensure-without-client-assertion-in-token-endpoint-request":                            {func() url.Values { return with(mine, "client_id", "suite") }, 401, invalidClient},
		"fapi-ciba-id1-ensure-wrong-client-id-in-token-endpoint-request":                                     {func() url.Values { return with(authenticated(mine, good()), "client_id", "suite2") }, 401, invalidClient},
		"fapi-ciba-id1-ensure-wrong-auth-req-id-in-token-endpoint-request":                                   {func() url.Values { return authenticated(url.Values{"auth_req_id": {"wrong"}}, good()) }, 400, invalidGrant},
	} {
		h.clock.Advance(20 * time.Second)
		now = h.clock.Now()
		if a := h.post("/token", with(ask.form(), "grant_type", oidc.CIBA)); a.status != ask.status || a.errorCode() != ask.code {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, a.body, ask.status, ask.code)
		}
	}

	h.addClient("bound", webSecret, oidc.Metadata{GrantTypes: []string{oidc.CIBA}, Scope: "openid", CertificateBound: true, BackchannelDelivery: oidc.DeliveryPoll})
	bound, _ := h.post(backchannelPath, backchannelRequest("scope", "openid"), "bound", webSecret).json(t)["auth_req_id"].(string)
	without := h.post("/token", url.Values{"grant_type": {oidc.CIBA}, "auth_req_id": {bound}}, "bound", webSecret)
	if bound == "" || without.status != http.StatusBadRequest || without.errorCode() != invalidRequest {
		t.Errorf("fapi-ciba-id1-ensure-mtls-holder-of-key-required: %d %s", without.status, without.body)
	}
}
