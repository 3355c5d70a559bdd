package oauth

import (
	"context"
	"net/http"
	"strings"
)

// grantClientCredentials lets a client act for itself (RFC 6749 §4.4). There is
// no person, so scopes about one are refused and no refresh token is given.
// Without a scope parameter it gets every API scope that it is registered for
// (§3.3).
func (p *Provider) grantClientCredentials(ctx context.Context, _ *http.Request, f form) (*tokenResponse, error) {
	w := workFrom(ctx)
	requester, err := p.engine.request(ctx, f)
	if err != nil {
		return nil, err
	}
	scopes := []string(requester.GetRequestedScopes())
	if len(scopes) == 0 {
		scopes = apiScopes(strings.Fields(w.client.Metadata.Scope))
	}
	if len(apiScopes(scopes)) != len(scopes) {
		return nil, newError(invalidScope, "A client that acts for itself cannot ask for scopes about a person.")
	}
	for _, s := range scopes {
		requester.GrantScope(s)
	}
	for _, resource := range audienceFor(w.resources, w.client, scopes) {
		requester.GrantAudience(resource)
	}
	if w.details, err = p.askedDetails(f, w.client); err != nil {
		return nil, err
	}
	answer, err := p.engine.respond(ctx, requester)
	if err != nil {
		return nil, err
	}
	answer.Scope = strings.Join(scopes, " ")
	return answer, nil
}
