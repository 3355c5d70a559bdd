package oidc

import "time"

// DeviceRequest is what a device asks for that has no browser (RFC 8628 §3.1).
type DeviceRequest struct {
	ClientID  string                `json:"client_id"`
	Scopes    []string              `json:"scopes"`
	Resources []string              `json:"resources"`
	Details   []AuthorizationDetail `json:"authorization_details,omitempty"` // nil when the request has none
	AskedAt   time.Time             `json:"asked_at"`
	AskedFrom string                `json:"asked_from"` // network address of the device
}

// DeviceState is how far a device authorization has come.
type DeviceState string

// The states. All but DeviceApproved are answered with an error (RFC 8628 §3.5).
const (
	DevicePending  DeviceState = "pending"
	DeviceTooFast  DeviceState = "slow_down" // pending, and asked again before the interval was over
	DeviceApproved DeviceState = "approved"
	DeviceDenied   DeviceState = "denied"
	DeviceExpired  DeviceState = "expired"
	DeviceUnknown  DeviceState = "unknown" // never made, another client's, or used
)

// DeviceAnswer is what a device is told. Request and Login are there when a
// person has approved.
type DeviceAnswer struct {
	State      DeviceState
	Request    DeviceRequest
	Login      Login // of the person; its SID is the device's own, not that of the browser
	ApprovedAt time.Time
}
