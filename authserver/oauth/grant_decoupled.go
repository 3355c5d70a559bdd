package oauth

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/ory/fosite"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
)

// Error codes of clients that poll (RFC 8628 §3.5, OpenID CIBA Core §11).
const (
	authorizationPending = "authorization_pending"
	slowDown             = "slow_down"
	expiredToken         = "expired_token"
)

// longestDecoupledCode keeps nonsense away from the stores.
const longestDecoupledCode = 128

// Decoupled keeps what clients ask for whose person answers elsewhere. Poll
// gives an approval out once, until Restore.
type Decoupled interface {
	Poll(ctx context.Context, code, clientID string) (oidc.DecoupledAnswer, error)
	Restore(ctx context.Context, code string) error
}

// decoupledGrant is a grant whose client polls: the device grant (RFC 8628 §3.4)
// and CIBA (OpenID CIBA Core §10.1).
type decoupledGrant struct {
	p         *Provider
	requests  Decoupled
	parameter string // that holds the code by which the client asks
}

func (p *Provider) deviceGrant() *decoupledGrant {
	return &decoupledGrant{p: p, requests: p.Devices, parameter: "device_code"}
}

func (p *Provider) backchannelGrant() *decoupledGrant {
	return &decoupledGrant{p: p, requests: p.Backchannel, parameter: "auth_req_id"}
}

// run answers a client that asks whether its person has agreed. An approval is
// worth one grant, as an authorization code is.
func (g *decoupledGrant) run(ctx context.Context, r *http.Request, f form) (*tokenResponse, error) {
	p, code := g.p, f.get(g.parameter)
	if code == "" || len(code) > longestDecoupledCode {
		return nil, newError(invalidRequest, "The parameter '"+g.parameter+"' is missing or too long.")
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
		return nil, errors.Join(newError(invalidTarget, "The approval does not reach this resource."), g.requests.Restore(ctx, code))
	case p.overSince(w.code):
		return nil, newError(invalidGrant, "The approval is over.")
	}
	if w.details, err = p.narrowedDetails(f, w.client, w.code.Details); err != nil {
		return nil, errors.Join(err, g.requests.Restore(ctx, code))
	}
	answer, err := p.engine.respond(ctx, requester)
	if err == nil {
		err = p.writeGrant(ctx, r, w)
	}
	if fault.Is(err, fault.Unavailable) {
		// The approval need not be lost with the database: the client asks again.
		err = errors.Join(err, g.requests.Restore(ctx, code))
	}
	if err != nil {
		return nil, err
	}
	answer.Scope = strings.Join(w.code.Scopes, " ")
	return answer, nil
}

// The grant as fosite runs it; v0.49 has none of its kind.
var _ fosite.TokenEndpointHandler = (*decoupledGrant)(nil)

// CanSkipClientAuth implements fosite.TokenEndpointHandler.
func (g *decoupledGrant) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}

// CanHandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (g *decoupledGrant) CanHandleTokenEndpointRequest(context.Context, fosite.AccessRequester) bool {
	return true // engineConfig asks it for its own grant only
}

// HandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (g *decoupledGrant) HandleTokenEndpointRequest(ctx context.Context, requester fosite.AccessRequester) error {
	w := workFrom(ctx)
	code := requester.GetRequestForm().Get(g.parameter)
	answer, err := g.requests.Poll(ctx, code, w.client.ID)
	if err != nil {
		return err
	}
	switch answer.State {
	case oidc.DecoupledApproved:
	case oidc.DecoupledPending:
		return newError(authorizationPending, "The person has not answered yet.")
	case oidc.DecoupledTooFast:
		return newError(slowDown, "Wait five seconds longer between two requests.")
	case oidc.DecoupledDenied:
		return newError(accessDenied, "The person did not agree.")
	case oidc.DecoupledExpired:
		return newError(expiredToken, "The code is too old. Start again.")
	case oidc.DecoupledUnknown:
		return newError(invalidGrant, "The "+g.parameter+" is not one of this client's, or was used.")
	}
	login := answer.Login
	w.codeHash = hashCode(code)
	w.code = &authorizationCode{
		GrantID: id.New(), ClientID: w.client.ID, Subject: login.Subject, SID: login.SID,
		Scopes: answer.Request.Scopes, Resources: answer.Request.Resources, Details: answer.Request.Details,
		Login:    grantSession{AuthTime: login.AuthTime, ACR: login.ACR, AMR: login.AMR, Risk: login.Risk.Level()},
		IssuedAt: answer.ApprovedAt, ExpiresAt: answer.ExpiresAt,
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

// PopulateTokenEndpointResponse implements fosite.TokenEndpointHandler.
func (g *decoupledGrant) PopulateTokenEndpointResponse(ctx context.Context, requester fosite.AccessRequester, responder fosite.AccessResponder) error {
	tokens := &strategy{g.p}
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

// addressOf is where a client asks from, as the person is told.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
