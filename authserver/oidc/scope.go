package oidc

import "strings"

// Scopes of OpenID Connect Core §5.4 and §11, and ours.
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopeAddress       = "address"
	ScopePhone         = "phone"
	ScopeOfflineAccess = "offline_access"
	ScopeAdmin         = "admin" // the admin API, for operators
)

// ResourceServer is an API that trusts our tokens: its resource indicator
// (RFC 8707) and the scopes that mean something there.
type ResourceServer struct {
	Resource string
	Scopes   []string
}

// SplitScope splits a scope parameter (RFC 6749 §3.3) at single spaces,
// dropping empty parts.
func SplitScope(s string) []string { return strings.Fields(s) }

// claimPrefix begins what stands among the scopes of a consent for one claim
// about the person. No client can be registered for such a scope.
const claimPrefix = "claim:"

// ClaimScope is how a consent remembers a claim that was asked for by itself
// (OpenID Connect Core §5.5).
func ClaimScope(claim string) string { return claimPrefix + claim }
