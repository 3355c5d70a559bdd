package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/secret"
)

const phoneSecret = "the phone line's secret"

// addPhoneLine registers a client that asks people by CIBA.
func (h *harness) addPhoneLine(change func(*oidc.Metadata)) {
	h.t.Helper()
	m := oidc.Metadata{
		GrantTypes: []string{oidc.CIBA, oidc.RefreshToken}, Scope: "openid offline_access lists:read admin", Resources: []string{testAPI},
		BackchannelDelivery: oidc.DeliveryPoll,
	}
	if change != nil {
		change(&m)
	}
	h.addClient("phone", phoneSecret, m)
}

func backchannelRequest(namesAndValues ...string) url.Values {
	return with(url.Values{"scope": {"openid offline_access lists:read"}, "login_hint": {"ada@larder.test"}, "binding_message": {"Order 4711"}}, namesAndValues...)
}

// ask returns the auth_req_id of a request.
func (h *harness) ask(request url.Values) string {
	h.t.Helper()
	a := h.post(backchannelPath, request, "phone", phoneSecret)
	body := a.json(h.t)
	authReqID, _ := body["auth_req_id"].(string)
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" || len(authReqID) != 43 || body["interval"] != float64(5) || len(body) != 3 {
		h.t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	return authReqID
}

func (h *harness) pollBackchannel(authReqID string, namesAndValues ...string) answer {
	h.t.Helper()
	return h.post("/token", with(url.Values{"grant_type": {oidc.CIBA}, "auth_req_id": {authReqID}}, namesAndValues...), "phone", phoneSecret)
}

// requestID is the id by which the page speaks of a request.
func (h *harness) requestID(authReqID string) (requestID id.ID) {
	h.t.Helper()
	if err := h.db.Owner.QueryRow(h.t.Context(), `SELECT id FROM auth.ciba_requests WHERE code_hash = $1`, secret.Sum(authReqID)).Scan(&requestID); err != nil {
		h.t.Fatal(err)
	}
	return requestID
}

// sayYes is what the page does when the person presses the button.
func (h *harness) sayYes(authReqID string, user oidc.User) error {
	h.t.Helper()
	h.agrees(user.ID, "phone")
	return postgres.InTx(h.t.Context(), h.db.Auth, func(tx pgx.Tx) error {
		return h.asked.Approve(h.t.Context(), tx, h.requestID(authReqID), oidc.Login{
			Subject: user.ID, SID: "browser", AuthTime: h.clock.Now(), ACR: oidc.ACRPassword, AMR: []string{"pwd"},
		})
	})
}

// Module fapi-ciba-id1-multiple-call-to-token-endpoint among the rest.
func TestBackchannelGrantWaitsAndThenGivesTokens(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addPhoneLine(nil)
	ada := h.addUser("Ada")
	authReqID := h.ask(backchannelRequest())
	refused(t, h.pollBackchannel(authReqID), 400, "authorization_pending")
	refused(t, h.pollBackchannel(authReqID), 400, "slow_down")
	h.clock.Advance(6 * time.Second)
	refused(t, h.pollBackchannel(authReqID), 400, "slow_down") // five seconds do not suffice any more
	h.clock.Advance(15 * time.Second)
	refused(t, h.pollBackchannel(authReqID), 400, "authorization_pending")
	if err := h.sayYes(authReqID, ada); err != nil {
		t.Fatal(err)
	}
	refused(t, h.pollBackchannel(authReqID, "resource", "https://x.test"), 400, "invalid_target")
	tokens := h.tokens(h.pollBackchannel(authReqID)) // at once: nobody has to wait for an answer that is there
	if tokens.Scope != "openid offline_access lists:read" || tokens.RefreshToken == "" || !h.live(tokens.AccessToken) {
		t.Fatalf("%+v", tokens)
	}
	_, claims := unpack(t, tokens.AccessToken)
	_, idToken := unpack(t, tokens.IDToken)
	if claims["sub"] != ada.ID.String() || claims["aud"] != testAPI || claims["sid"] == "browser" || claims["sid"] == "" || idToken["aud"] != "phone" {
		t.Errorf("claims %v, %v", claims, idToken)
	}
	h.tokens(h.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}}, "phone", phoneSecret))
	refused(t, h.pollBackchannel(authReqID), 400, "invalid_grant")

	// An ID token, expired or not, names the person as well as the address does.
	h.clock.Advance(time.Hour)
	again := h.ask(backchannelRequest("login_hint", "", "id_token_hint", tokens.IDToken))
	if err := h.sayYes(again, ada); err != nil {
		t.Fatal(err)
	}
	h.tokens(h.pollBackchannel(again))
}

// Modules fapi-ciba-id1-user-rejects-authentication and fapi-ciba-id1-auth-req-id-expired among the rest.
func TestBackchannelGrantRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addPhoneLine(nil)
	h.addClient("other", "its-secret", oidc.Metadata{GrantTypes: []string{oidc.CIBA}, Scope: "openid"})
	ada, bob := h.addUser("Ada"), h.addUser("Bob")
	ctx := t.Context()

	denied := h.ask(backchannelRequest())
	if err := h.asked.Deny(ctx, h.requestID(denied), bob.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("somebody else answers: %v", err)
	}
	if err := h.asked.Deny(ctx, h.requestID(denied), ada.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.sayYes(denied, ada); !fault.Is(err, fault.NotFound) {
		t.Errorf("a second answer: %v", err)
	}
	refused(t, h.pollBackchannel(denied), 400, "access_denied")

	approved := h.ask(backchannelRequest())
	if err := h.sayYes(approved, ada); err != nil {
		t.Fatal(err)
	}
	refused(t, h.post("/token", url.Values{"grant_type": {oidc.CIBA}, "auth_req_id": {approved}}, "other", "its-secret"), 400, "invalid_grant")
	refused(t, h.pollBackchannel(""), 400, "invalid_request")
	refused(t, h.pollBackchannel("never made"), 400, "invalid_grant")
	// What shuts the person out after the approval ends it.
	if _, err := h.db.Owner.Exec(ctx, `UPDATE auth.users SET disabled_at = now() WHERE id = $1`, ada.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, h.pollBackchannel(approved), 400, "invalid_grant")

	late := h.ask(backchannelRequest("login_hint", "bob@larder.test", "requested_expiry", "60"))
	h.clock.Advance(time.Minute)
	refused(t, h.pollBackchannel(late), 400, "expired_token")
	if err := h.sayYes(late, bob); !fault.Is(err, fault.NotFound) {
		t.Errorf("approving it now: %v", err)
	}
}

func TestBackchannelRequestRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addPhoneLine(nil)
	h.addUser("Ada")
	h.addClient("pinged", "its-secret", oidc.Metadata{GrantTypes: []string{oidc.CIBA}, Scope: "openid", BackchannelDelivery: oidc.DeliveryPing})
	h.addClient("public", "", oidc.Metadata{GrantTypes: []string{oidc.CIBA}, Scope: "openid"})
	h.addWeb()
	for name, c := range map[string]struct {
		form   url.Values
		client []string
		status int
		code   string
	}{
		"no authentication":      {backchannelRequest("client_id", "phone"), nil, 401, "invalid_client"},
		"a public client":        {backchannelRequest("client_id", "public"), nil, 400, "unauthorized_client"},
		"not registered for it":  {backchannelRequest(), []string{"web", webSecret}, 400, "unauthorized_client"},
		"no scope":               {backchannelRequest("scope", ""), nil, 400, "invalid_scope"},
		"no openid":              {backchannelRequest("scope", "lists:read"), nil, 400, "invalid_scope"},
		"an operator's scope":    {backchannelRequest("scope", "openid admin"), nil, 400, "invalid_scope"},
		"another's resource":     {backchannelRequest("resource", "https://x.test"), nil, 400, "invalid_target"},
		"no hint":                {backchannelRequest("login_hint", ""), nil, 400, "invalid_request"},
		"two hints":              {backchannelRequest("id_token_hint", "x"), nil, 400, "invalid_request"},
		"a login_hint_token":     {backchannelRequest("login_hint", "", "login_hint_token", "x"), nil, 400, "invalid_request"},
		"a forged id_token_hint": {backchannelRequest("login_hint", "", "id_token_hint", "x"), nil, 400, "invalid_request"},
		"no address":             {backchannelRequest("login_hint", "ada"), nil, 400, "invalid_request"},
		"a user code":            {backchannelRequest("user_code", "1234"), nil, 400, "invalid_request"},
		"a long message":         {backchannelRequest("binding_message", strings.Repeat("ä", 65)), nil, 400, "invalid_binding_message"},
		"a hidden character":     {backchannelRequest("binding_message", "a\u202eb"), nil, 400, "invalid_binding_message"},
		"a message with a link":  {backchannelRequest("binding_message", "https://evil.test"), nil, 400, "invalid_binding_message"},
		"no time at all":         {backchannelRequest("requested_expiry", "0"), nil, 400, "invalid_request"},
		"odd time":               {backchannelRequest("requested_expiry", "1e3"), nil, 400, "invalid_request"},
		"by reference":           {backchannelRequest("request_uri", "https://x.test"), nil, 400, "invalid_request"},
		"no notification token":  {backchannelRequest("scope", "openid"), []string{"pinged", "its-secret"}, 400, "invalid_request"},
		"a guessable token":      {backchannelRequest("scope", "openid", "client_notification_token", "short"), []string{"pinged", "its-secret"}, 400, "invalid_request"},
		"a token with a line":    {backchannelRequest("scope", "openid", "client_notification_token", strings.Repeat("a", 30)+"\r\nX: y"), []string{"pinged", "its-secret"}, 400, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			client := c.client
			if client == nil && !c.form.Has("client_id") {
				client = []string{"phone", phoneSecret}
			}
			refused(t, h.post(backchannelPath, c.form, client...), c.status, c.code)
		})
	}
	for asked, want := range map[string]float64{"": 600, "1": 30, "90": 90, "86400": 1800} {
		a := h.post(backchannelPath, backchannelRequest("login_hint", "somebody"+asked+"@larder.test", "requested_expiry", asked), "phone", phoneSecret)
		if got := a.json(t)["expires_in"]; got != want {
			t.Errorf("requested_expiry %q: expires_in %v, want %v", asked, got, want)
		}
	}
}

// An address that nobody has is answered as one that somebody has, until the
// end; and nobody can be asked by more than a few clients at once.
func TestBackchannelRequestsTellNothingAndPesterNobody(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addPhoneLine(nil)
	h.addUser("Ada")
	unproven := h.addUser("Eve")
	unproven.EmailVerified = false
	h.users.set(unproven)
	closed := h.addUser("Max")
	closed.Disabled = true
	h.users.set(closed)
	for _, who := range []string{"ada", "nobody", "eve", "max"} {
		t.Run(who, func(t *testing.T) {
			// In whatever spelling: an address that is known only counts as one.
			spellings := []string{who + "@larder.test", " " + strings.ToUpper(who) + "@LARDER.test"}
			outcomes := map[string]int{}
			var first string
			for _, a := range race(func() answer {
				return h.post(backchannelPath, backchannelRequest("login_hint", spellings[0]), "phone", phoneSecret)
			}) {
				if a.status == http.StatusOK {
					first, _ = a.json(t)["auth_req_id"].(string)
				} else if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
					t.Errorf("%d %s", a.status, a.body)
				}
				outcomes[a.errorCode()]++
			}
			if outcomes[""] != 3 || outcomes["temporarily_unavailable"] != racers-3 {
				t.Errorf("outcomes %v", outcomes)
			}
			refused(t, h.post(backchannelPath, backchannelRequest("login_hint", spellings[1]), "phone", phoneSecret), 429, "temporarily_unavailable")
			refused(t, h.pollBackchannel(first), 400, "authorization_pending")
		})
	}
	var letters int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.river_job WHERE kind = 'ciba_letter'`).Scan(&letters); err != nil || letters != 12 {
		t.Errorf("%d letters, %v", letters, err)
	}
}

// 32 polls at once bring one grant.
func TestABackchannelApprovalIsSpentOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addPhoneLine(nil)
	ada := h.addUser("Ada")
	authReqID := h.ask(backchannelRequest())
	if err := h.sayYes(authReqID, ada); err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]int{}
	for _, a := range race(func() answer { return h.pollBackchannel(authReqID) }) {
		outcomes[a.errorCode()]++
	}
	if outcomes[""] != 1 || outcomes["invalid_grant"] != racers-1 {
		t.Errorf("outcomes %v", outcomes)
	}
	var grants int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.grants WHERE client_id = 'phone' AND revoked_at IS NULL`).Scan(&grants); err != nil || grants != 1 {
		t.Errorf("%d grants, %v", grants, err)
	}
}

// OpenID CIBA Core §7.1.1, FAPI-CIBA §5.2.2: a signed request stands alone, and
// those of the fapi2 profile are all signed.
func TestSignedBackchannelRequests(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	private, keys := keyPair(t)
	stranger, _ := keyPair(t)
	h.addPhoneLine(func(m *oidc.Metadata) { m.JWKS, m.BackchannelRequestAlg = keys, "ES256" })
	h.addClient("bank", "", oidc.Metadata{
		GrantTypes: []string{oidc.CIBA}, Scope: "openid", Profile: oidc.ProfileFAPI2, TokenEndpointAuthMethod: oidc.PrivateKeyJWT, JWKS: keys,
	})
	signed := func(change map[string]any) url.Values {
		claims := h.object(backchannelRequest("client_id", "phone", "requested_expiry", "60"), change)
		return url.Values{"request": {signedBy(t, private, "", claims)}}
	}
	h.ask(signed(nil))
	h.ask(signed(map[string]any{"requested_expiry": 45}))
	for name, form := range map[string]url.Values{
		"unsigned":          backchannelRequest(),
		"beside":            with(signed(nil), "scope", "openid"),
		"by somebody else":  {"request": {signedBy(t, stranger, "", h.object(backchannelRequest("client_id", "phone"), nil))}},
		"without jti":       signed(map[string]any{"jti": nil}),
		"without iat":       signed(map[string]any{"iat": nil}),
		"without nbf":       signed(map[string]any{"nbf": nil}),
		"without exp":       signed(map[string]any{"exp": nil}),
		"of somebody else":  signed(map[string]any{"iss": "web"}),
		"for somebody else": signed(map[string]any{"aud": "https://x.test"}),
		"too late":          signed(map[string]any{"exp": h.clock.Now().Add(-time.Hour).Unix()}),
		"too early":         signed(map[string]any{"nbf": h.clock.Now().Add(time.Hour).Unix()}),
		"good for a day":    signed(map[string]any{"exp": h.clock.Now().Add(24 * time.Hour).Unix()}),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, h.post(backchannelPath, form, "phone", phoneSecret), 400, "invalid_request")
		})
	}
	asBank := func(form url.Values) answer {
		assertion := signedBy(t, private, "", map[string]any{
			"iss": "bank", "sub": "bank", "aud": h.issuer, "jti": secret.New().Reveal(), "iat": h.clock.Now().Unix(), "exp": h.clock.Now().Add(time.Minute).Unix(),
		})
		return h.post(backchannelPath, with(form, "client_assertion_type", assertionType, "client_assertion", assertion))
	}
	refused(t, asBank(backchannelRequest("scope", "openid")), 400, "invalid_request")
	object := func(message any) url.Values {
		claims := h.object(backchannelRequest("client_id", "bank", "scope", "openid"), map[string]any{"binding_message": message})
		return url.Values{"request": {signedBy(t, private, "", claims)}}
	}
	refused(t, asBank(object(nil)), 400, "invalid_binding_message")
	if a := asBank(object("Order 4711")); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}
