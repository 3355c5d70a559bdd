package oidc

import (
	"net/url"
	"slices"
	"time"

	"larder/internal/id"
)

// Factors are a person's second factors, as the security page shows them.
type Factors struct {
	TOTPSince     time.Time // when the authenticator app was set up; zero without one
	RecoveryCodes int       // how many are left
	Trusted       []TrustedDevice
	Passkeys      []Passkey
	Messages      []MessageWay
	SMS           bool // text messages can be sent
}

// Messaged reports whether codes are sent by a channel.
func (f Factors) Messaged(channel string) bool {
	return slices.ContainsFunc(f.Messages, func(w MessageWay) bool { return w.Channel == channel })
}

// MessageWay is a way by which a person gets one-time codes.
type MessageWay struct {
	Channel string // email or sms
	Target  string // of the address or number, what may be shown
	Since   time.Time
}

// Strong reports whether there is a factor that makes a sign-in one of two.
func (f Factors) Strong() bool { return !f.TOTPSince.IsZero() || len(f.Passkeys) > 0 }

// Passkey is a passkey as the security page shows it.
type Passkey struct {
	ID         id.ID
	Name       string // what the person calls it
	Synced     bool   // the maker of the device keeps copies of it
	CreatedAt  time.Time
	LastUsedAt *time.Time // nil before its first sign-in
}

// TrustedDevice is a browser that is not asked for a second factor.
type TrustedDevice struct {
	ID        id.ID
	Name      string // such as "Firefox on Linux"
	This      bool   // the browser that asks
	TrustedAt time.Time
	ExpiresAt time.Time
}

// Onward is where a sign-in leads once it is complete: back to the
// authorization request that waits for it, or to one of our own pages. It comes
// with the request, so it can name nothing but these.
type Onward struct {
	Flow string // of a parked authorization request
	Page string // below /account, when there is no flow
}

// OnwardFrom reads flow and next from a query or a form.
func OnwardFrom(values url.Values) Onward {
	o := Onward{Flow: values.Get("flow")}
	if next := values.Get("next"); o.Flow == "" && slices.Contains([]string{"security", "sessions", "apps", "identities", "keys", "privacy", "requests"}, next) {
		o.Page = next
	}
	return o
}

// BackFrom is OnwardFrom for what the security page leads to.
func BackFrom(values url.Values) Onward {
	o := OnwardFrom(values)
	if o.Flow == "" {
		o.Page = "security"
	}
	return o
}

// Path is the address to go to.
func (o Onward) Path() string {
	switch {
	case o.Flow != "":
		return "/authorize/continue?flow=" + url.QueryEscape(o.Flow)
	case o.Page != "":
		return "/account/" + o.Page
	}
	return "/account"
}

// Via is the address of a page that has to be passed first and then leads on.
func (o Onward) Via(path string) string {
	switch {
	case o.Flow != "":
		return path + "?flow=" + url.QueryEscape(o.Flow)
	case o.Page != "":
		return path + "?next=" + o.Page
	}
	return path
}
