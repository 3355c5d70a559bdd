package oauth

import (
	"context"
	"net/http"
	"strings"

	"github.com/ory/fosite"

	"larder/internal/audit"
	"larder/internal/fault"
)

// grantRefreshToken gives the next tokens of a family (RFC 6749 §6). One
// statement decides everything (store_rotation.go); what comes after it may
// fail, because the same token presented again finds the same successor.
func (p *Provider) grantRefreshToken(ctx context.Context, r *http.Request, f form) (*tokenResponse, error) {
	if !f.has("refresh_token") {
		return nil, newError(invalidRequest, "The parameter 'refresh_token' is missing.")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	if err := p.checkRefreshDetails(ctx, f); err != nil {
		return nil, err
	}
	requester, err := p.engine.request(ctx, f)
	if w := workFrom(ctx); w.rotated != nil && w.rotated.outcome == rotationReused {
		p.auditReuse(r, w)
	}
	if err != nil {
		return nil, err
	}
	w := workFrom(ctx)
	if w.details, err = p.narrowedDetails(f, w.client, w.rotated.grant.Details); err != nil {
		return nil, err
	}
	answer, err := p.engine.respond(ctx, requester)
	if err != nil {
		return nil, err
	}
	answer.Scope = strings.Join(requester.GetGrantedScopes(), " ")
	return answer, nil
}

// checkRefreshDetails refuses a request for more than the grant has, before it
// spends the token. What a grant is limited to never changes.
func (p *Provider) checkRefreshDetails(ctx context.Context, f form) error {
	if !f.has(detailsParameter) {
		return nil
	}
	client := workFrom(ctx).client
	g, _, err := p.grants.find(ctx, f.get("refresh_token"))
	if fault.Is(err, fault.NotFound) || err == nil && g.ClientID != client.ID {
		return nil // the token is refused anyhow
	}
	if err != nil {
		return err
	}
	_, err = p.narrowedDetails(f, client, g.Details)
	return err
}

// refreshHandler is in the place of fosite's handler of this grant, which
// ignores the scope parameter, reads before it locks, and spends a token at
// the first of two requests that carry it.
type refreshHandler struct{ p *Provider }

var _ fosite.TokenEndpointHandler = (*refreshHandler)(nil)

func (h *refreshHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}

func (h *refreshHandler) CanHandleTokenEndpointRequest(context.Context, fosite.AccessRequester) bool {
	return true // engineConfig asks it for its own grant only
}

func (h *refreshHandler) HandleTokenEndpointRequest(ctx context.Context, requester fosite.AccessRequester) error {
	w := workFrom(ctx)
	token, ok := readRefreshToken(requester.GetRequestForm().Get("refresh_token"), h.p.Keys.MACKeys(refreshPurpose))
	if !ok {
		return newError(invalidGrant, "This is not a refresh token of ours.")
	}
	scopes := []string(requester.GetRequestedScopes())
	rotated, err := h.p.grants.rotate(ctx, token, w, scopes)
	if err != nil {
		return err
	}
	w.rotated = rotated
	if err := rotated.refusal(); err != nil {
		return err
	}
	g := &rotated.grant
	if len(scopes) == 0 {
		scopes = g.Scopes
	}
	for _, s := range scopes {
		requester.GrantScope(s)
	}
	for _, resource := range w.narrowed(g.Resources) {
		requester.GrantAudience(resource)
	}
	requester.SetSession(&session{
		subject: g.UserID, sid: g.SID, grantID: g.ID.String(),
		authTime: g.Session.AuthTime, acr: g.Session.ACR, amr: g.Session.AMR, risk: g.Session.Risk, claims: g.Session.Claims,
	})
	return nil
}

func (h *refreshHandler) PopulateTokenEndpointResponse(ctx context.Context, requester fosite.AccessRequester, responder fosite.AccessResponder) error {
	g := &workFrom(ctx).rotated.grant
	access, _, err := (&strategy{h.p}).GenerateAccessToken(ctx, requester)
	if err != nil {
		return err
	}
	successor, err := h.p.encodeRefreshToken(g.ID, g.Generation, g.Salt)
	if err != nil {
		return err
	}
	responder.SetAccessToken(access)
	responder.SetTokenType(tokenType(workFrom(ctx).jkt))
	responder.SetExtra("refresh_token", successor)
	return nil
}

// refusal is the answer to a token that was not rotated, nil for one that was.
// A token that never was, is over, or is somebody else's looks the same.
func (r *rotation) refusal() error {
	switch r.outcome {
	case rotationDone, rotationRepeated:
		return nil
	case rotationScope:
		return newError(invalidScope, "The refresh token does not reach this scope.")
	case rotationTarget:
		return newError(invalidTarget, "The refresh token does not reach this resource.")
	case rotationReused, rotationRefused:
		return newError(invalidGrant, "The refresh token is no longer valid.")
	}
	return fault.New(fault.Internal, "unknown outcome of a rotation: "+string(r.outcome))
}

func (p *Provider) auditReuse(r *http.Request, w *work) {
	g := &w.rotated.grant
	e := p.event(r, "refresh_token.reused", audit.Failure)
	e.Actor = audit.Person(g.UserID)
	e.ClientID, e.Target = g.ClientID, g.ID.String()
	e.Reason = "a refresh token came again after the grace; its family is revoked"
	p.Audit.Put(e)
}
