package oauth

import (
	"slices"

	"larder/authserver/oidc"
)

// claimScopes are the scopes that ask for claims (OpenID Connect Core §5.4).
func claimScopes() []string {
	return []string{oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeAddress, oidc.ScopePhone}
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

// scopeOfClaim is the scope that gives a claim, "" for one that is not about
// the person.
func scopeOfClaim(name string) string {
	for _, scope := range claimScopes() {
		if slices.Contains(scopeClaims(scope), name) {
			return scope
		}
	}
	return ""
}

// claimsOf lists the claims of scopes.
func claimsOf(scopes []string) []string {
	var names []string
	for _, scope := range scopes {
		names = append(names, scopeClaims(scope)...)
	}
	return names
}

// personClaims gives what is known of the person under these names; an unknown
// claim is left out, never null or empty (§5.3.2).
func personClaims(user *oidc.User, names []string) map[string]any {
	known := map[string]any{
		"name":           user.Name,
		"updated_at":     user.UpdatedAt.Unix(), // a number (§5.1)
		"email":          user.Email,
		"email_verified": nil,
	}
	if user.Email != "" {
		known["email_verified"] = user.EmailVerified
	}
	claims := map[string]any{}
	for _, name := range names {
		value, ok := known[name]
		if !ok {
			value = user.Profile[name]
		}
		if hasClaimType(name, value) {
			claims[name] = value
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
