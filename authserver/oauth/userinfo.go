package oauth

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
)

// handleUserinfo answers GET and POST /userinfo (OpenID Connect Core §5.3):
// the claims about the person whose access token is shown, as far as its
// scopes reach.
func (p *Provider) handleUserinfo(w http.ResponseWriter, r *http.Request) error {
	shown, err := readAccessToken(w, r)
	if err != nil {
		return err
	}
	client, claims, err := p.userinfo(r, shown)
	if err != nil {
		return err
	}
	noStore(w.Header())
	how := userinfoProtection(&client.Metadata)
	if how.signed == "" && how.encrypted == "" {
		return web.JSON(w, http.StatusOK, claims)
	}
	return p.writeUserinfoJWT(w, r, client, how, claims)
}

// writeUserinfoJWT answers a client that wants userinfo signed, encrypted or
// both (§5.3.2): then it says who speaks to whom. It has no exp, by which an ID
// token is known.
func (p *Provider) writeUserinfoJWT(w http.ResponseWriter, r *http.Request, client *oidc.Client, how protection, claims map[string]any) error {
	claims["iss"], claims["aud"] = p.Config.Issuer, client.ID
	payload, err := json.Marshal(claims)
	if err != nil {
		return err
	}
	token, err := p.protect(r.Context(), client, how, payload)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jwt")
	_, err = io.WriteString(w, token)
	return err
}

// userinfo returns whom the token was issued to, and the claims.
func (p *Provider) userinfo(r *http.Request, shown shownToken) (*oidc.Client, map[string]any, error) {
	ctx := r.Context()
	at, err := p.VerifyAccessToken(ctx, shown.token, "")
	if err != nil {
		if fault.Is(err, fault.Unauthenticated) {
			return nil, nil, invalidToken("The access token is not valid here, has expired or was revoked.")
		}
		return nil, nil, err
	}
	if err := p.checkPossession(r, shown, at); err != nil {
		return nil, nil, err
	}
	if !slices.Contains(at.Scopes, oidc.ScopeOpenID) {
		return nil, nil, insufficientScope(oidc.ScopeOpenID)
	}
	subject, err := id.Parse(at.Subject)
	if err != nil {
		return nil, nil, invalidToken("The access token speaks for no person.")
	}
	user, err := p.Users.User(ctx, subject)
	if fault.Is(err, fault.NotFound) || err == nil && user.Disabled {
		return nil, nil, invalidToken("The person that the access token speaks for has no account any more.")
	}
	if err != nil {
		return nil, nil, err
	}
	client, err := p.Clients.Client(ctx, at.ClientID)
	if fault.Is(err, fault.NotFound) {
		return nil, nil, invalidToken("The client that the access token was issued to is gone.")
	}
	if err != nil {
		return nil, nil, err
	}
	claims := personClaims(user, slices.Concat(claimsOf(at.Scopes), at.Claims))
	claims["sub"], err = p.subjectFor(client, subject)
	return client, claims, err
}
