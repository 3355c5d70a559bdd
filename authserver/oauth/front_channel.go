package oauth

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"larder/authserver/oidc"
	"larder/internal/id"
)

// responseTypesSupported are the values of response_type; others than code only
// where an operator wants the implicit and the hybrid flow.
func (p *Provider) responseTypesSupported() []string {
	if p.Config.FrontChannel {
		return append([]string{"code"}, oidc.FrontChannelTypes()...)
	}
	return []string{"code"}
}

// gives reports whether a part of the response type is in the answer.
func (a *authorization) gives(part string) bool {
	return slices.Contains(strings.Fields(a.form.get("response_type")), part)
}

// frontChannel reports whether tokens themselves pass through the browser.
func (a *authorization) frontChannel() bool { return a.gives("id_token") || a.gives("token") }

// checkFrontChannel demands what guards tokens that pass through the browser:
// a nonce in each ID token, no query, no client that was promised better.
func (p *Provider) checkFrontChannel(a *authorization) error {
	switch a.form.get("response_mode") {
	case "", "fragment", "form_post", "jwt", "fragment.jwt", "form_post.jwt":
	default:
		return newError(invalidRequest, "The response_mode must be 'fragment' or 'form_post', or either signed, for this response_type.")
	}
	switch {
	case a.gives("id_token") && !a.form.has("nonce"):
		return newError(invalidRequest, "The parameter 'nonce' is missing.") // OpenID Connect Core §3.2.2.1
	case a.gives("id_token") && !slices.Contains(oidc.SplitScope(a.form.get("scope")), oidc.ScopeOpenID):
		return newError(invalidScope, "An ID token needs the scope 'openid'.")
	case a.gives("token") && a.client.DPoPRequired():
		return newError(unauthorizedClient, "The client gets only tokens that are bound to a key.")
	}
	return nil
}

// respondWith makes everything that the response type asks for.
func (p *Provider) respondWith(r *http.Request, a *authorization, login *oidc.Login) (url.Values, error) {
	ctx, parameters, beside := r.Context(), url.Values{}, issued{}
	var err error
	if a.gives("code") {
		if beside.code, err = p.issueCode(ctx, a, login); err != nil {
			return nil, err
		}
		parameters.Set("code", beside.code)
	}
	if a.gives("token") {
		if beside.accessToken, err = p.issueAccessToken(r, a, login); err != nil {
			return nil, err
		}
		parameters.Set("access_token", beside.accessToken)
		parameters.Set("token_type", "Bearer")
		parameters.Set("expires_in", strconv.Itoa(int(p.Config.AccessTokenLifespan.Seconds())))
		parameters.Set("scope", strings.Join(online(a.scopes), " "))
	}
	if a.gives("id_token") {
		token, err := p.issueIDToken(ctx, a, login, beside)
		if err != nil {
			return nil, err
		}
		parameters.Set("id_token", token)
	}
	return parameters, nil
}

// issueIDToken makes an ID token that comes with at_hash and c_hash of what
// comes with it (OpenID Connect Core §3.2.2.10, §3.3.2.11). Where nothing comes
// by which userinfo could be asked, it holds the claims of the scopes (§5.4).
func (p *Provider) issueIDToken(ctx context.Context, a *authorization, login *oidc.Login, beside issued) (string, error) {
	names := a.claims.names.IDToken
	if beside == (issued{}) {
		names = slices.Concat(claimsOf(a.scopes), names)
	}
	return p.idToken(ctx, a.client, &session{
		subject: login.Subject, sid: login.SID, nonce: a.form.get("nonce"), authTime: login.AuthTime, acr: login.ACR, amr: login.AMR,
	}, beside, names)
}

// issueAccessToken makes an access token with a grant of its own, which lives
// as long, so that whatever ends grants ends it too.
func (p *Provider) issueAccessToken(r *http.Request, a *authorization, login *oidc.Login) (string, error) {
	w := &work{at: a.at, client: a.client, details: a.details, code: &authorizationCode{
		GrantID: id.New(), ClientID: a.client.ID, Subject: login.Subject, SID: login.SID,
		Scopes: online(a.scopes), Resources: a.resources, Details: a.details,
		Login:    grantSession{AuthTime: login.AuthTime, ACR: login.ACR, AMR: login.AMR, Risk: login.Risk.Level(), Claims: a.claims.names},
		IssuedAt: a.at, ExpiresAt: a.at.Add(p.Config.AccessTokenLifespan),
	}}
	ctx := withWork(r.Context(), w)
	token, _, err := (&strategy{p}).GenerateAccessToken(ctx, w.code.requester(w))
	if err != nil {
		return "", err
	}
	return token, p.writeGrant(ctx, r, w)
}

// online leaves offline_access out: nothing that comes this way lasts (OpenID
// Connect Core §11).
func online(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return scope == oidc.ScopeOfflineAccess })
}
