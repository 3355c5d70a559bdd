package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Grant lets a guest do something with a list.
type Grant struct {
	ListID string   `json:"list_id"`
	Verbs  []string `json:"verbs"` // view, check, add, edit, manage
}

// Invitation is open: somebody may still join by it. Token and Link are told when it is made, and only where it is not mailed.
type Invitation struct {
	ID              string     `json:"id"`
	Token           string     `json:"token"`
	Link            string     `json:"link"`
	Email           string     `json:"email"`
	Role            string     `json:"role"`
	Grants          []Grant    `json:"grants"`
	ExpiresAt       time.Time  `json:"expires_at"`
	UsesLeft        int        `json:"uses_left"`
	AccessExpiresAt *time.Time `json:"access_expires_at"` // when a guest who joins is shut out again
	CreatedBy       string     `json:"created_by"`
	CreatedAt       time.Time  `json:"created_at"`
	Permissions     []string   `json:"permissions"` // what the caller may do to it
}

// NewInvitation is one to make; Role is needed.
type NewInvitation struct {
	Role            string     `json:"role"`
	Grants          []Grant    `json:"grants,omitempty"`     // for guests
	ExpiresAt       *time.Time `json:"expires_at,omitempty"` // in a week if nil
	Uses            *int       `json:"uses,omitempty"`       // 1 if nil
	AccessExpiresAt *time.Time `json:"access_expires_at,omitempty"`
	Email           *string    `json:"email,omitempty"`    // where to mail it; it is good for one use then
	Language        *string    `json:"language,omitempty"` // of the mail, BCP 47
}

// InvitationPreview is what an invitation is to.
type InvitationPreview struct {
	FamilyID        string     `json:"family_id"`
	FamilyName      string     `json:"family_name"`
	Role            string     `json:"role"`
	Lists           []string   `json:"lists"` // names of those that a guest is granted something on
	InvitedBy       *string    `json:"invited_by"`
	ExpiresAt       time.Time  `json:"expires_at"`
	AccessExpiresAt *time.Time `json:"access_expires_at"`
	MemberAs        *string    `json:"member_as"` // what the caller is in the family already
}

// Invitations are those by which somebody may still join a family.
func (c *Client) Invitations(ctx context.Context, family string) ([]Invitation, error) {
	var answer struct{ Invitations []Invitation }
	return answer.Invitations, c.do(ctx, call{method: http.MethodGet, path: invitationsPath(family)}, &answer)
}

// Invite makes an invitation.
func (c *Client) Invite(ctx context.Context, family string, n NewInvitation) (*Invitation, error) {
	return get[Invitation](ctx, c, call{method: http.MethodPost, path: invitationsPath(family), body: n})
}

// Uninvite takes an invitation back.
func (c *Client) Uninvite(ctx context.Context, family, invitation string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: invitationsPath(family) + "/" + url.PathEscape(invitation)}, nil)
}

// PreviewInvitation tells what the invitation is to that has the token, and uses nothing up.
func (c *Client) PreviewInvitation(ctx context.Context, token string) (*InvitationPreview, error) {
	return get[InvitationPreview](ctx, c, call{method: http.MethodPost, path: "/v1/invitations/preview", body: map[string]string{"token": token}})
}

// Join makes the caller one of the family that the token is of, and returns its id and the role in it.
func (c *Client) Join(ctx context.Context, token, displayName string) (family, role string, err error) {
	var joined struct {
		FamilyID string `json:"family_id"`
		Role     string
	}
	asked := map[string]string{"token": token, "display_name": displayName}
	err = c.do(ctx, call{method: http.MethodPost, path: "/v1/invitations/accept", body: asked}, &joined)
	return joined.FamilyID, joined.Role, err
}

// Avoided is what somebody must not or does not want to eat: allergens by the EU's names for the fourteen, and other words
// as they stand on lists.
type Avoided struct {
	Avoid []string `json:"avoid"`
	Also  []string `json:"also"`
}

// Diet is what the caller wants avoided in a family.
type Diet struct {
	Avoid        []string   `json:"avoid"`
	Also         []string   `json:"also"`
	Version      int64      `json:"version"` // 0 when nothing was said
	UpdatedAt    *time.Time `json:"updated_at"`
	KeptByAdmins *Avoided   `json:"kept_by_admins"` // of the caller as a child of the family
}

// Diet returns the caller's.
func (c *Client) Diet(ctx context.Context, family string) (*Diet, error) {
	return get[Diet](ctx, c, call{method: http.MethodGet, path: dietPath(family)})
}

// SetDiet replaces the version of the caller's diet that was seen; 0 says that there was none. A 412, or a 428 for 0, means
// what a 412 means to SetRules.
func (c *Client) SetDiet(ctx context.Context, family string, version int64, a Avoided) (*Diet, error) {
	return get[Diet](ctx, c, call{method: http.MethodPut, path: dietPath(family), body: a, header: seen(version)})
}

// ForgetDiet removes the version of the caller's diet that was seen. For a 412 see SetRules.
func (c *Client) ForgetDiet(ctx context.Context, family string, version int64) error {
	return c.do(ctx, call{method: http.MethodDelete, path: dietPath(family), header: seen(version)}, nil)
}

// seen names no version where there was none to be seen.
func seen(version int64) http.Header {
	if version == 0 {
		return nil
	}
	return IfMatch(version)
}

// Child is what the admins of a family keep of a child.
type Child struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	UserID    *string   `json:"user_id"` // the account of a child that has one
	Avoid     []string  `json:"avoid"`
	Also      []string  `json:"also"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// ChildChange changes or makes the record of a child.
type ChildChange struct {
	Name   *string  `json:"name,omitempty"`
	UserID *string  `json:"user_id,omitempty"`
	Avoid  []string `json:"avoid,omitzero"`
	Also   []string `json:"also,omitzero"`
}

// Children are the records of a family's children, for its admins.
func (c *Client) Children(family string) *Collection[Child, ChildChange] {
	return collection[Child, ChildChange](c, family, "children")
}

func invitationsPath(family string) string { return familyPath(family) + "/invitations" }
func dietPath(family string) string        { return familyPath(family) + "/diet" }
