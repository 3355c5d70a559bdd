package oidc

import (
	"slices"
	"time"

	"larder/internal/id"
	"larder/internal/risk"
)

// Login is a person signed in at this browser: what a session remembers and
// what tokens say of it.
type Login struct {
	Subject  id.ID     // the user
	SID      string    // names the browser session in tokens (sid); never the cookie's value
	AuthTime time.Time // when the person last proved who they are
	ACR      string    // authentication context class, see the ACR constants
	AMR      []string  // RFC 8176, such as "pwd"
	// What was shown to sign in: the passkey, and the account elsewhere, zero
	// without; and when the password was set that was given, or that the account had
	// when another way was taken. A session begins only while each of them is the
	// person's still.
	PasswordSet time.Time
	Passkey     id.ID `json:",omitzero"`
	Identity    id.ID `json:",omitzero"`
	// Risk is how unlike its owner the sign-in looked; nil when nobody looked.
	Risk *risk.Assessment
}

// OneFactor is the login without what was shown beside the first factor, as a
// session of its own.
func (l Login) OneFactor() Login {
	l.SID, l.ACR = "", ACRPassword
	switch {
	case slices.Contains(l.AMR, AMRPassword):
		l.AMR = []string{AMRPassword}
	case slices.Contains(l.AMR, AMRFederated):
		l.ACR, l.AMR = ACRFederated, []string{AMRFederated}
	default: // a passkey, which was two by itself
		l.AMR = slices.DeleteFunc(slices.Clone(l.AMR), func(method string) bool { return method == AMRMFA })
	}
	return l
}

// Authentication context classes.
const (
	ACRPassword = "urn:larder:acr:pwd" //nolint:gosec // a name, not a credential
	ACRMFA      = "urn:larder:acr:mfa"
	// ACRFederated is one factor that another provider vouches for.
	ACRFederated = "urn:larder:acr:fed"
)

// Authentication methods (RFC 8176 §2).
const (
	AMRPassword = "pwd"
	AMROTP      = "otp" // a one-time password of RFC 6238
	AMRMFA      = "mfa" // more than one factor

	AMRPossession = "pop"  // of a key, proven by a signature
	AMRUser       = "user" // somebody was there and said yes
	// AMRFederated is a sign-in at another provider. RFC 8176 registers no name
	// for it; this is the one that others use.
	AMRFederated = "fed"

	// A code that was sent is a second channel and no second factor.
	AMRChannels = "mca"
	AMRSMS      = "sms"
)
