package oidc

import (
	"time"

	"larder/internal/id"
	"larder/internal/secret"
)

// DecoupledRequest is what a client asks for whose person answers elsewhere: a
// device without a browser (RFC 8628 §3.1), or a backchannel request (OpenID
// CIBA Core §7.1).
type DecoupledRequest struct {
	ClientID  string                `json:"client_id"`
	Scopes    []string              `json:"scopes"`
	Resources []string              `json:"resources"`
	Details   []AuthorizationDetail `json:"authorization_details,omitempty"` // nil when the request has none
	AskedAt   time.Time             `json:"asked_at"`
	AskedFrom string                `json:"asked_from"` // network address of the client
}

// BackchannelRequest names the person whom it asks, in one of two ways.
type BackchannelRequest struct {
	DecoupledRequest
	LoginHint string // an e-mail address, "" when Person is known
	Person    id.ID  // whom an ID token names

	BindingMessage    string        // shown on both sides, "" for none
	Factor            bool          // acr_values asks for more than a password
	Lifetime          time.Duration // how long the person has
	NotificationToken secret.String // with which the client is pinged, "" for one that polls
}

// DecoupledState is how far such a request has come.
type DecoupledState string

// The states. All but DecoupledApproved are answered with an error (RFC 8628
// §3.5, OpenID CIBA Core §11).
const (
	DecoupledPending  DecoupledState = "pending"
	DecoupledTooFast  DecoupledState = "slow_down" // pending, and asked again before the interval was over
	DecoupledApproved DecoupledState = "approved"
	DecoupledDenied   DecoupledState = "denied"
	DecoupledExpired  DecoupledState = "expired"
	DecoupledUnknown  DecoupledState = "unknown" // never made, another client's, or used
)

// DecoupledAnswer is what a client that polls is told. All but State is there
// when a person has approved.
type DecoupledAnswer struct {
	State      DecoupledState
	Request    DecoupledRequest
	Login      Login // of the person; its SID is the client's own, not that of the browser
	ApprovedAt time.Time
	ExpiresAt  time.Time // of the code by which the client asks
}

// Poll times (RFC 8628 §3.5, OpenID CIBA Core §7.3, §11).
const (
	// PollInterval is how long a client waits between two polls.
	PollInterval = 5 * time.Second
	// PollForgiven is how much too early a poll may be, for networks are not even.
	PollForgiven = 250 * time.Millisecond
	// LongestPollInterval is how long it has to wait however often it came too soon.
	LongestPollInterval = time.Minute
)
