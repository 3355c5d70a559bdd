package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/ory/fosite"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
)

// Error codes of the device grant (RFC 8628 §3.5).
const (
	authorizationPending = "authorization_pending"
	slowDown             = "slow_down"
	expiredToken         = "expired_token"
)

// longestDeviceCode keeps nonsense away from Redis.
const longestDeviceCode = 128

// grantDeviceCode answers a device that asks whether its person has agreed
// (RFC 8628 §3.4). An approval is worth one grant, as an authorization code is.
func (p *Provider) grantDeviceCode(ctx context.Context, r *http.Request, f form) (*tokenResponse, error) {
	deviceCode := f.get("device_code")
	if deviceCode == "" || len(deviceCode) > longestDeviceCode {
		return nil, newError(invalidRequest, "The parameter 'device_code' is missing or too long.")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	requester, err := p.engine.request(ctx, f)
	if err != nil {
		return nil, err
	}
	w := workFrom(ctx)
	switch {
	case !subset(w.resources, w.code.Resources):
		return nil, errors.Join(newError(invalidTarget, "The approval does not reach this resource."), p.Devices.Restore(ctx, deviceCode))
	case p.overSince(w.code):
		return nil, newError(invalidGrant, "The approval is over.")
	}
	if w.details, err = p.narrowedDetails(f, w.client, w.code.Details); err != nil {
		return nil, errors.Join(err, p.Devices.Restore(ctx, deviceCode))
	}
	answer, err := p.engine.respond(ctx, requester)
	if err == nil {
		err = p.writeGrant(ctx, r, w)
	}
	if fault.Is(err, fault.Unavailable) {
		// The approval need not be lost with the database: the device asks again.
		err = errors.Join(err, p.Devices.Restore(ctx, deviceCode))
	}
	if err != nil {
		return nil, err
	}
	answer.Scope = strings.Join(w.code.Scopes, " ")
	return answer, nil
}

// deviceHandler is the grant as fosite runs it; v0.49 has none.
type deviceHandler struct{ p *Provider }

var _ fosite.TokenEndpointHandler = (*deviceHandler)(nil)

func (h *deviceHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}

func (h *deviceHandler) CanHandleTokenEndpointRequest(context.Context, fosite.AccessRequester) bool {
	return true // engineConfig asks it for its own grant only
}

func (h *deviceHandler) HandleTokenEndpointRequest(ctx context.Context, requester fosite.AccessRequester) error {
	w := workFrom(ctx)
	deviceCode := requester.GetRequestForm().Get("device_code")
	answer, err := h.p.Devices.Poll(ctx, deviceCode, w.client.ID)
	if err != nil {
		return err
	}
	switch answer.State {
	case oidc.DeviceApproved:
	case oidc.DevicePending:
		return newError(authorizationPending, "Nobody has typed the code yet.")
	case oidc.DeviceTooFast:
		return newError(slowDown, "Wait five seconds longer between two requests.")
	case oidc.DeviceDenied:
		return newError(accessDenied, "The person did not agree.")
	case oidc.DeviceExpired:
		return newError(expiredToken, "The code is too old. Start again.")
	case oidc.DeviceUnknown:
		return newError(invalidGrant, "The device code is not one of this client's, or was used.")
	}
	login := answer.Login
	w.codeHash = hashCode(deviceCode)
	w.code = &authorizationCode{
		GrantID: id.New(), ClientID: w.client.ID, Subject: login.Subject, SID: login.SID,
		Scopes: answer.Request.Scopes, Resources: answer.Request.Resources, Details: answer.Request.Details,
		Login:    grantSession{AuthTime: login.AuthTime, ACR: login.ACR, AMR: login.AMR, Risk: login.Risk.Level()},
		IssuedAt: answer.ApprovedAt, ExpiresAt: answer.Request.AskedAt.Add(deviceLifespan),
	}
	for _, s := range w.code.Scopes {
		requester.GrantScope(s)
	}
	for _, resource := range w.narrowed(w.code.Resources) {
		requester.GrantAudience(resource)
	}
	requester.SetSession(&session{
		subject: login.Subject, sid: login.SID, grantID: w.code.GrantID.String(),
		authTime: login.AuthTime, acr: login.ACR, amr: login.AMR, risk: login.Risk.Level(),
	})
	return nil
}

func (h *deviceHandler) PopulateTokenEndpointResponse(ctx context.Context, requester fosite.AccessRequester, responder fosite.AccessResponder) error {
	tokens := &strategy{h.p}
	access, _, err := tokens.GenerateAccessToken(ctx, requester)
	if err != nil {
		return err
	}
	responder.SetAccessToken(access)
	responder.SetTokenType("Bearer") // engine.respond tells the client which it is
	if !workFrom(ctx).client.AllowsGrant(oidc.RefreshToken) {
		return nil
	}
	refresh, _, err := tokens.GenerateRefreshToken(ctx, requester)
	if err != nil {
		return err
	}
	responder.SetExtra("refresh_token", refresh)
	return nil
}
