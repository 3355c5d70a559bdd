package oauth

import (
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
	claims, err := p.userinfo(r, shown)
	if err != nil {
		return err
	}
	noStore(w.Header())
	return web.JSON(w, http.StatusOK, claims)
}

func (p *Provider) userinfo(r *http.Request, shown shownToken) (map[string]any, error) {
	ctx := r.Context()
	at, err := p.VerifyAccessToken(ctx, shown.token, "")
	if err != nil {
		if fault.Is(err, fault.Unauthenticated) {
			return nil, invalidToken("The access token is not valid here, has expired or was revoked.")
		}
		return nil, err
	}
	if err := p.checkPossession(r, shown, at); err != nil {
		return nil, err
	}
	if !slices.Contains(at.Scopes, oidc.ScopeOpenID) {
		return nil, insufficientScope(oidc.ScopeOpenID)
	}
	subject, err := id.Parse(at.Subject)
	if err != nil {
		return nil, invalidToken("The access token speaks for no person.")
	}
	user, err := p.Users.User(ctx, subject)
	if fault.Is(err, fault.NotFound) || err == nil && user.Disabled {
		return nil, invalidToken("The person that the access token speaks for has no account any more.")
	}
	if err != nil {
		return nil, err
	}
	return userClaims(user, at.Scopes), nil
}

// scopeClaims lists the claims that a scope asks for (OpenID Connect Core §5.4).
func scopeClaims(scope string) []string {
	switch scope {
	case oidc.ScopeProfile:
		return []string{
			"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
			"picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
		}
	case oidc.ScopeEmail:
		return []string{"email", "email_verified"}
	case oidc.ScopeAddress:
		return []string{"address"}
	case oidc.ScopePhone:
		return []string{"phone_number", "phone_number_verified"}
	}
	return nil
}

// userClaims gives what is known of the person; an unknown claim is left out,
// never null or empty (§5.3.2).
func userClaims(user *oidc.User, scopes []string) map[string]any {
	known := map[string]any{
		"name":           user.Name,
		"updated_at":     user.UpdatedAt.Unix(), // a number (§5.1)
		"email":          user.Email,
		"email_verified": nil,
	}
	if user.Email != "" {
		known["email_verified"] = user.EmailVerified
	}
	claims := map[string]any{"sub": user.ID.String()}
	for _, scope := range scopes {
		for _, name := range scopeClaims(scope) {
			value, ok := known[name]
			if !ok {
				value = user.Profile[name]
			}
			if hasClaimType(name, value) {
				claims[name] = value
			}
		}
	}
	return claims
}

// hasClaimType keeps a profile that was filled by hand from breaking relying
// parties: a claim of the wrong JSON type is left out (OpenID Connect Core §5.1).
func hasClaimType(name string, value any) bool {
	switch v := value.(type) {
	case string:
		return v != "" && name != "address" && name != "phone_number_verified"
	case bool:
		return name == "email_verified" || name == "phone_number_verified"
	case map[string]any:
		return name == "address" && len(v) > 0
	case int64:
		return name == "updated_at"
	}
	return false
}
