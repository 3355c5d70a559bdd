package oidc

import (
	"net/url"
	"time"
)

// AuthRequest is a validated authorization request (RFC 6749 §4.1.1, OpenID
// Connect Core §3.1.2.1) as it is parked while the person signs in and
// consents. Form is the request itself, to be validated again when it resumes.
type AuthRequest struct {
	ClientID    string                `json:"client_id"`
	UserCode    string                `json:"user_code,omitempty"` // of a device that asks in another way (RFC 8628); Form is empty then
	Form        url.Values            `json:"form"`
	Signed      bool                  `json:"signed,omitempty"` // Form came in a request object (RFC 9101)
	Scopes      []string              `json:"scopes"`
	Resources   []string              `json:"resources"`
	Details     []AuthorizationDetail `json:"authorization_details,omitempty"` // nil when the request has none
	Prompt      []string              `json:"prompt,omitempty"`
	MaxAge      *time.Duration        `json:"max_age,omitempty"` // nil when the request has none
	ACRValues   []string              `json:"acr_values,omitempty"`
	LoginHint   string                `json:"login_hint,omitempty"`
	UILocales   []string              `json:"ui_locales,omitempty"`
	RequestedAt time.Time             `json:"requested_at"`
}

// Step is what an authorization request waits for.
type Step int

// The steps, in their order.
const (
	StepLogin Step = iota
	StepFactor
	StepConsent
	StepDone
)
