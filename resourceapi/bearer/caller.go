package bearer

import (
	"context"
	"slices"
	"time"

	"larder/internal/id"
	"larder/internal/revocation"
)

// Kind is what sort of caller it is.
type Kind string

// The kinds.
const (
	User   Kind = "user"    // a person, through a client
	App    Kind = "app"     // a client that acts for itself: its token's sub is its client_id (RFC 9068 §2.2)
	APIKey Kind = "api_key" // a service account's key
)

// Caller is who calls, as the issuer vouches for it. It is shared between
// requests and must not be changed.
type Caller struct {
	Kind      Kind
	Subject   string // the user, the client, or the key's service account
	ClientID  string // "" for an API key, unless a client exchanged it for a token
	Scopes    []string
	Family    id.ID     // the one that an API key reaches, a person's own key too; zero for the others
	Limit     *Limit    // what the scopes are limited to (RFC 9396); nil for no limit
	AuthTime  time.Time // when the person last authenticated; zero for a machine
	ACR       string    // how; "" when the token does not say
	Risk      string    // of the sign-in: low, medium or high; "" when the token does not say
	Device    string    // known or new; "" when the token does not say
	JTI       string    // the token's id; of an API key the key's id
	APIKeyID  string    // of an API key, also where it was exchanged for a token; of a User it is that person's own
	GrantID   string
	SID       string
	IssuedAt  time.Time
	ExpiresAt time.Time // zero for an API key that does not expire
}

// Has reports whether the credential carries the scope.
func (c *Caller) Has(scope string) bool {
	return slices.Contains(c.Scopes, scope)
}

// revoked reports whether anything that the caller's credential stems from was
// revoked since it was issued.
func (c *Caller) revoked(set *revocation.Set) bool {
	return set.Revoked(revocation.JTI, c.JTI, c.IssuedAt) ||
		set.Revoked(revocation.APIKey, c.APIKeyID, c.IssuedAt) ||
		set.Revoked(revocation.Grant, c.GrantID, c.IssuedAt) ||
		set.Revoked(revocation.Session, c.SID, c.IssuedAt) ||
		set.Revoked(revocation.Subject, c.Subject, c.IssuedAt) ||
		set.Revoked(revocation.Client, c.ClientID, c.IssuedAt)
}

// callerKey is the context key of With and From.
type callerKey struct{}

// With returns ctx with c as the caller. Gate.Handler does it for requests.
func With(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the caller of the request that ctx belongs to, nil for a
// request that came through no gate.
func From(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}
