package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/revocation"
)

func (h *harness) addFridge() *oidc.Client {
	h.t.Helper()
	return h.addClient("fridge", "", oidc.Metadata{
		GrantTypes: []string{oidc.DeviceCode, oidc.RefreshToken}, Scope: "openid offline_access lists:read admin", Resources: []string{testAPI},
	})
}

// askForCode is a device that begins.
func (h *harness) askForCode() deviceResponse {
	h.t.Helper()
	a := h.post("/device_authorization", url.Values{"client_id": {"fridge"}, "scope": {"openid offline_access lists:read"}})
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" {
		h.t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	body := a.json(h.t)
	text := func(name string) string { s, _ := body[name].(string); return s }
	number := func(name string) int64 { n, _ := body[name].(float64); return int64(n) }
	return deviceResponse{
		DeviceCode: text("device_code"), UserCode: text("user_code"), VerificationURI: text("verification_uri"),
		VerificationURIComplete: text("verification_uri_complete"), ExpiresIn: number("expires_in"), Interval: number("interval"),
	}
}

func (h *harness) poll(deviceCode string, namesAndValues ...string) answer {
	h.t.Helper()
	return h.post("/token", with(url.Values{"grant_type": {oidc.DeviceCode}, "client_id": {"fridge"}, "device_code": {deviceCode}}, namesAndValues...))
}

// approve is what the page does when the person presses the button.
func (h *harness) approve(userCode string, user oidc.User) {
	h.t.Helper()
	login := oidc.Login{Subject: user.ID, SID: "browser", AuthTime: h.clock.Now(), ACR: oidc.ACRPassword, AMR: []string{"pwd"}}
	h.agrees(user.ID, "fridge")
	settle, err := h.devices.Approve(h.t.Context(), strings.ReplaceAll(userCode, "-", ""), login)
	if err == nil {
		err = settle(h.t.Context())
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestDeviceAuthorizationResponse(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addFridge()
	got := h.askForCode()
	if len(got.DeviceCode) < 43 || len(got.UserCode) != 9 || got.UserCode[4] != '-' || got.ExpiresIn != 600 || got.Interval != 5 ||
		got.VerificationURI != h.issuer+"/device" || got.VerificationURIComplete != h.issuer+"/device?user_code="+got.UserCode {
		t.Errorf("%+v", got)
	}
	if again := h.askForCode(); again.DeviceCode == got.DeviceCode || again.UserCode == got.UserCode {
		t.Error("two devices have one code")
	}
}

func TestDeviceAuthorizationRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addFridge()
	h.addSPA()
	h.addClient("secretive", "its-secret", oidc.Metadata{GrantTypes: []string{oidc.DeviceCode}, Scope: "openid"})
	for name, c := range map[string]struct {
		form   url.Values
		status int
		code   string
	}{
		"not registered for it": {url.Values{"client_id": {"spa"}, "scope": {"openid"}}, 400, "unauthorized_client"},
		"unknown client":        {url.Values{"client_id": {"nobody"}, "scope": {"openid"}}, 401, "invalid_client"},
		"no authentication":     {url.Values{"client_id": {"secretive"}, "scope": {"openid"}}, 401, "invalid_client"},
		"no scope":              {url.Values{"client_id": {"fridge"}}, 400, "invalid_scope"},
		"too much scope":        {url.Values{"client_id": {"fridge"}, "scope": {"lists:write"}}, 400, "invalid_scope"},
		"an operator's scope":   {url.Values{"client_id": {"fridge"}, "scope": {"openid admin"}}, 400, "invalid_scope"},
		"another's resource":    {url.Values{"client_id": {"fridge"}, "scope": {"openid"}, "resource": {"https://x.test"}}, 400, "invalid_target"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, h.post("/device_authorization", c.form), c.status, c.code) })
	}
}

func TestDeviceGrantWaitsAndThenGivesTokens(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addFridge()
	ada := h.addUser("Ada")
	codes := h.askForCode()
	refused(t, h.poll(codes.DeviceCode), 400, "authorization_pending")
	h.clock.Advance(5 * time.Second)
	refused(t, h.poll(codes.DeviceCode), 400, "authorization_pending")
	h.approve(codes.UserCode, ada)
	tokens := h.tokens(h.poll(codes.DeviceCode)) // at once: nobody has to wait for an answer that is there
	if tokens.Scope != "openid offline_access lists:read" || tokens.RefreshToken == "" || tokens.IDToken == "" || !h.live(tokens.AccessToken) {
		t.Fatalf("%+v", tokens)
	}
	_, claims := unpack(t, tokens.AccessToken)
	if claims["sub"] != ada.ID.String() || claims["aud"] != testAPI || claims["sid"] == "browser" || claims["sid"] == "" {
		t.Errorf("claims %v", claims)
	}
	refreshed := h.tokens(h.post("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"fridge"}, "refresh_token": {tokens.RefreshToken}}))
	if refreshed.RefreshToken == tokens.RefreshToken || !h.live(refreshed.AccessToken) {
		t.Error("the refresh token does not work")
	}
	t.Run("the code is spent", func(t *testing.T) { refused(t, h.poll(codes.DeviceCode), 400, "invalid_grant") })
}

// O28: a device that polls too fast is slowed down, and stays slowed down.
func TestDeviceGrantSlowsDown(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addFridge()
	codes := h.askForCode()
	refused(t, h.poll(codes.DeviceCode), 400, "authorization_pending")
	refused(t, h.poll(codes.DeviceCode), 400, "slow_down")
	h.clock.Advance(6 * time.Second)
	refused(t, h.poll(codes.DeviceCode), 400, "slow_down") // five seconds do not suffice any more
	h.clock.Advance(15 * time.Second)
	refused(t, h.poll(codes.DeviceCode), 400, "authorization_pending")
}

func TestDeviceGrantRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addFridge()
	h.addClient("toaster", "", oidc.Metadata{GrantTypes: []string{oidc.DeviceCode}, Scope: "openid"})
	h.addSPA()
	ada := h.addUser("Ada")

	denied := h.askForCode()
	if err := h.devices.Deny(t.Context(), strings.ReplaceAll(denied.UserCode, "-", "")); err != nil {
		t.Fatal(err)
	}
	refused(t, h.poll(denied.DeviceCode), 400, "access_denied")

	approved := h.askForCode()
	h.approve(approved.UserCode, ada)
	refused(t, h.poll(approved.DeviceCode, "client_id", "toaster"), 400, "invalid_grant") // and it is not spent by that
	refused(t, h.poll(approved.DeviceCode, "client_id", "spa"), 400, "unauthorized_client")
	refused(t, h.poll(approved.DeviceCode, "resource", "https://x.test"), 400, "invalid_target")
	refused(t, h.poll("", "device_code", ""), 400, "invalid_request")
	refused(t, h.poll(strings.Repeat("x", longestDecoupledCode+1)), 400, "invalid_request")
	refused(t, h.poll("never made"), 400, "invalid_grant")
	h.tokens(h.poll(approved.DeviceCode))

	late := h.askForCode()
	h.clock.Advance(10 * time.Minute)
	refused(t, h.poll(late.DeviceCode), 400, "expired_token")
	if _, err := h.devices.Approve(t.Context(), strings.ReplaceAll(late.UserCode, "-", ""), oidc.Login{Subject: ada.ID}); !fault.Is(err, fault.NotFound) {
		t.Errorf("approving it now: %v", err)
	}
}

func TestDeviceGrantChecksThePersonAgain(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addFridge()
	ada := h.addUser("Ada")
	shutOut := h.askForCode()
	h.approve(shutOut.UserCode, ada)
	h.p.Revocations.Add(h.clock.Now(), revocation.Entry{
		Kind: revocation.Subject, Value: ada.ID.String(), RevokedAt: h.clock.Now().Add(time.Second), ExpiresAt: h.clock.Now().Add(time.Hour),
	})
	refused(t, h.poll(shutOut.DeviceCode), 400, "invalid_grant")

	bob := h.addUser("Bob")
	closed := h.askForCode()
	h.approve(closed.UserCode, bob)
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE auth.users SET disabled_at = now() WHERE id = $1`, bob.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, h.poll(closed.DeviceCode), 400, "invalid_grant")
}

// 32 polls at once bring one grant.
func TestDeviceCodeIsSpentOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addFridge()
	ada := h.addUser("Ada")
	codes := h.askForCode()
	h.approve(codes.UserCode, ada)
	const devices = 32
	var all sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]int{}
	for range devices {
		all.Go(func() {
			a := h.poll(codes.DeviceCode)
			mu.Lock()
			defer mu.Unlock()
			outcomes[a.errorCode()]++
		})
	}
	all.Wait()
	if outcomes[""] != 1 || outcomes["invalid_grant"] != devices-1 {
		t.Errorf("outcomes %v", outcomes)
	}
	var grants int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.grants WHERE client_id = 'fridge'`).Scan(&grants); err != nil || grants != 1 {
		t.Errorf("%d grants, %v", grants, err)
	}
}

func TestDeviceFloodIsBounded(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	bucket, rate := deviceRates(h.addFridge(), &http.Request{RemoteAddr: "127.0.0.1:1"})
	h.drain(bucket, rate)
	a := h.post("/device_authorization", url.Values{"client_id": {"fridge"}, "scope": {"openid"}})
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

// The dispatcher sends a browser in which a code was typed to sign in first.
func TestDeviceFlowPassesTheDispatcher(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addFridge()
	flowID, err := h.flows.Begin(t.Context(), nil, nil, oidc.AuthRequest{ClientID: "fridge", UserCode: "WDJBMJHT"})
	if err != nil {
		t.Fatal(err)
	}
	browser := h.browser()
	if got := flowOf(t, h.get(browser, "/authorize/continue?flow="+flowID), "/login"); got != flowID {
		t.Errorf("flow %s", got)
	}
	h.signIn(browser, h.addUser("Ada").ID)
	if got := flowOf(t, h.get(browser, "/authorize/continue?flow="+flowID), "/device"); got != flowID {
		t.Errorf("flow %s", got)
	}
}

// RFC 9396: what a device asks for in details is what its tokens are held to, and
// less if it likes; a device and a backchannel request are one in this.
func TestDecoupledGrantsCarryAuthorizationDetails(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	fridge := *h.addFridge()
	fridge.Metadata.AuthorizationDetailsTypes = []string{oidc.ListDetailType}
	h.clients.set(&fridge)
	h.addPhoneLine(func(m *oidc.Metadata) { m.AuthorizationDetailsTypes = fridge.Metadata.AuthorizationDetailsTypes })
	ada := h.addUser("Ada")
	asked := detailsOf(`["check"]`, "")
	a := h.post("/device_authorization", url.Values{"client_id": {"fridge"}, "scope": {"openid lists:read"}, detailsParameter: {asked}})
	deviceCode, _ := a.json(t)["device_code"].(string)
	userCode, _ := a.json(t)["user_code"].(string)
	h.approve(userCode, ada)
	refused(t, h.poll(deviceCode, detailsParameter, detailsOf(`["manage"]`, "")), 400, invalidAuthorizationDetails)
	authReqID := h.ask(backchannelRequest("scope", "openid lists:read", detailsParameter, asked))
	if err := h.sayYes(authReqID, ada); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]answer{"device": h.poll(deviceCode), "backchannel": h.pollBackchannel(authReqID)} {
		_, claims := unpack(t, h.tokens(got).AccessToken)
		if details := mustJSON(t, claims[detailsParameter]); !strings.Contains(details, `"actions":["check"]`) || !strings.Contains(details, testList) {
			t.Errorf("%s: %s", name, details)
		}
	}
}
