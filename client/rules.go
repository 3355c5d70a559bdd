package client

import (
	"context"
	"net/http"
)

// Rules are the ready-made ones that a family switches on. Version and Permissions are the API's to say.
type Rules struct {
	HomeNetworks       []string `json:"home_networks"` // CIDR
	GuestsOnlyAtHome   bool     `json:"guests_only_at_home"`
	Hours              []Hours  `json:"hours"`
	ReadOnly           *Window  `json:"read_only"`
	FreshSignIn        []string `json:"fresh_sign_in"`     // actions, such as list.delete
	SecondFactor       []string `json:"second_factor"`     // actions
	SecondFactorFor    []string `json:"second_factor_for"` // roles
	MembersInvite      bool     `json:"members_invite"`
	NewDevicesReadOnly bool     `json:"new_devices_read_only"`
	HighRiskReadOnly   bool     `json:"high_risk_read_only"`
	Version            int64    `json:"version,omitempty"`
	Permissions        []string `json:"permissions,omitempty"`
}

// Window is a time of day, such as 16:00 to 24:00, on days such as mon; on every day if none is named.
type Window struct {
	Days  []string `json:"days,omitempty"`
	From  string   `json:"from,omitempty"`
	Until string   `json:"until,omitempty"`
}

// Hours are when the members, by their user ids, may use the family.
type Hours struct {
	Members []string `json:"members"`
	Window
}

// Rules returns those of a family.
func (c *Client) Rules(ctx context.Context, family string) (*Rules, error) {
	return get[Rules](ctx, c, call{method: http.MethodGet, path: familyPath(family) + "/rules"})
}

// SetRules replaces the version of the rules that the caller has seen. A 412 means that they have changed since, perhaps
// by an attempt of this call whose answer was lost: read them again.
func (c *Client) SetRules(ctx context.Context, family string, r Rules) (*Rules, error) {
	version := r.Version
	r.Version, r.Permissions = 0, nil
	return get[Rules](ctx, c, call{method: http.MethodPut, path: familyPath(family) + "/rules", body: r, header: IfMatch(version)})
}
