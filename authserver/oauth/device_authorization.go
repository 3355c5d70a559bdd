package oauth

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"larder/authserver/oidc"
	"larder/internal/limit"
	"larder/internal/web"
)

// The device authorization grant is told of in package device; here are its two
// protocol endpoints.
const deviceLifespan = 10 * time.Minute

// DeviceAuthorizations keeps what devices ask for until a person has answered
// and the device has come for its tokens.
type DeviceAuthorizations interface {
	Begin(ctx context.Context, req oidc.DecoupledRequest) (deviceCode, userCode string, err error)
	Decoupled
}

// deviceResponse is RFC 8628 §3.2.
type deviceResponse struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int64  `json:"expires_in"` // seconds
	Interval                int64  `json:"interval"`   // seconds
}

func (p *Provider) mountDevice(rt *web.Router) {
	api := rt.With(writeError)
	api.Handle(http.MethodPost, "/device_authorization", allowAnyOrigin(p.handleDeviceAuthorization))
	api.Handle(http.MethodOptions, "/device_authorization", preflight("POST"))
}

// deviceRates bound how many codes one client may have made, see pushRates.
func deviceRates(client *oidc.Client, r *http.Request) (bucket string, rate limit.Rate) {
	if client.Public() {
		return "device_authorization:" + clientMark(client.ID) + ":" + limit.Source(r), limit.Rate{Burst: 20, Every: 5 * time.Second}
	}
	return "device_authorization:" + clientMark(client.ID), limit.Rate{Burst: 200, Every: 100 * time.Millisecond}
}

// handleDeviceAuthorization answers POST /device_authorization (RFC 8628 §3.1).
func (p *Provider) handleDeviceAuthorization(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	client, err := p.authenticateClient(r.Context(), r, f)
	if err != nil {
		return err
	}
	if !client.AllowsGrant(oidc.DeviceCode) {
		return newError(unauthorizedClient, "The client is not registered for the device grant.")
	}
	a := &authorization{client: client, form: f}
	if err := p.checkScope(r.Context(), a); err != nil {
		return err
	}
	if slices.Contains(a.scopes, oidc.ScopeAdmin) {
		return newError(invalidScope, "Operators do not work from devices.")
	}
	bucket, rate := deviceRates(client, r)
	if err := p.limits.Take(r.Context(), bucket, rate); err != nil {
		return err
	}
	deviceCode, userCode, err := p.Devices.Begin(r.Context(), oidc.DecoupledRequest{
		ClientID: client.ID, Scopes: a.scopes, Resources: a.resources, Details: a.details, AskedAt: p.Now(), AskedFrom: addressOf(r),
	})
	if err != nil {
		return err
	}
	page := p.endpoint("/device")
	noStore(w.Header())
	return web.JSON(w, http.StatusOK, deviceResponse{
		DeviceCode: deviceCode, UserCode: userCode, VerificationURI: page,
		VerificationURIComplete: page + "?" + url.Values{"user_code": {userCode}}.Encode(),
		ExpiresIn:               int64(deviceLifespan / time.Second), Interval: int64(oidc.PollInterval / time.Second),
	})
}

// continueDevice takes the browser of a person who typed a user code to the
// next page, by way of sign-in.
func (p *Provider) continueDevice(w http.ResponseWriter, r *http.Request, flowID string) error {
	login, err := p.Sessions.Current(r)
	if err != nil {
		return err
	}
	page := "/device"
	if login == nil {
		page = "/login"
	}
	noStore(w.Header())
	w.Header().Set("Location", page+"?"+url.Values{"flow": {flowID}}.Encode())
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
