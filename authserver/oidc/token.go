package oidc

import (
	"time"

	"larder/internal/id"
	"larder/internal/risk"
)

// AccessToken is what a verified access token says (RFC 9068 §2.2). Subject is
// a user's id, or the client_id where the client acts for itself; never a
// pairwise subject.
type AccessToken struct {
	Subject   string
	ClientID  string
	Scopes    []string
	Audience  []string
	JTI       string
	GrantID   string // the grant it came from (Grant Management for OAuth 2.0); "" without one
	SID       string
	IssuedAt  time.Time
	ExpiresAt time.Time
	AuthTime  time.Time
	ACR       string
	AMR       []string
	Risk      risk.Level            // of the sign-in; "" when nobody looked
	Claims    []string              // about the person, beyond Scopes, that userinfo gives for it
	Details   []AuthorizationDetail // what the scopes are limited to (RFC 9396 §9.1); nil for no limit
	Actors    []string              // clients that act for the subject, the present one first (RFC 8693 §4.1)
	FamilyID  string                // of a token that an API key was exchanged for
	APIKeyID  string                // that key
	Personal  bool                  // that key is the person's own
	JKT       string                // thumbprint of the key that it is bound to (cnf.jkt, RFC 9449 §6.1); "" for none
	X5T       string                // thumbprint of the certificate that it is bound to (cnf.x5t#S256, RFC 8705 §3.1); "" for none
}

// APIKey is a key as introspection tells it: a service account's, or a person's
// own.
type APIKey struct {
	ID               id.ID
	ServiceAccountID id.ID // zero for a person's own
	UserID           id.ID // zero for a service account's
	Name             string
	FamilyID         id.ID
	Scopes           []string
	CreatedAt        time.Time
	ExpiresAt        time.Time // zero when it does not expire
}

// Subject is whom the key acts as.
func (k *APIKey) Subject() id.ID {
	if k.Personal() {
		return k.UserID
	}
	return k.ServiceAccountID
}

// Personal reports whether the key is a person's own.
func (k *APIKey) Personal() bool { return !k.UserID.IsZero() }

// User is a person with the standard claims of OpenID Connect Core §5.1;
// Profile holds those without a field of their own, by claim name.
type User struct {
	ID            id.ID
	Name          string
	Email         string
	EmailVerified bool
	Profile       map[string]any
	Operator      bool
	Disabled      bool
	HasPassword   bool
	PasswordSet   time.Time // zero without one
	UpdatedAt     time.Time
}

// Locale is the tag (BCP 47) of the language that the person prefers, "" if they
// did not say.
func (u *User) Locale() string {
	locale, _ := u.Profile["locale"].(string)
	return locale
}
