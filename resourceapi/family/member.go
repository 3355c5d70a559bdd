package family

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/precondition"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// Member is a person in a family. UserID is the sub of the identity provider;
// Permissions are the actions that the policy lets the caller do to him, absent
// from the answer to a change of what the caller himself is.
type Member struct {
	UserID      string     `json:"user_id"`
	Role        string     `json:"role"`
	DisplayName string     `json:"display_name"`
	JoinedAt    time.Time  `json:"joined_at"`
	ExpiresAt   *time.Time `json:"expires_at"`
	Version     int64      `json:"version"`
	Permissions []string   `json:"permissions,omitzero"`
}

const (
	selectMembers = `
SELECT user_id, role, display_name, joined_at, expires_at, version
  FROM grocery.family_members WHERE family_id = $1 ORDER BY joined_at, user_id LIMIT 200`

	lockMember = `
SELECT user_id, role, display_name, joined_at, expires_at, version
  FROM grocery.family_members WHERE family_id = $1 AND user_id = $2 FOR UPDATE`

	// An admin whose access ends some day does not count: the family would be left without.
	countOtherAdmins = `
SELECT count(*) FROM grocery.family_members WHERE family_id = $1 AND role = 'admin' AND user_id <> $2 AND expires_at IS NULL`

	updateMember = `
UPDATE grocery.family_members SET role = $3, display_name = $4, expires_at = $5, version = version + 1
 WHERE family_id = $1 AND user_id = $2 RETURNING version`

	deleteMember = `DELETE FROM grocery.family_members WHERE family_id = $1 AND user_id = $2`
	deleteGrants = `DELETE FROM grocery.list_permissions WHERE family_id = $1 AND user_id = $2`
)

func (m *Member) scan(row pgx.Row) error {
	return row.Scan(&m.UserID, &m.Role, &m.DisplayName, &m.JoinedAt, &m.ExpiresAt, &m.Version)
}

// resource is the member for the policy, with the role he holds or is to get.
func (m *Member) resource(tx *tenant.Tx, role string) policy.Resource {
	r := tx.Resource(policy.MemberResource, id.ID{})
	r.Owner, r.TargetRole = m.UserID, policy.Role(role)
	return r
}

func (h *Families) members(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	members := []Member{}
	ctx := r.Context()
	err = h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tenant.Rows(tx, &members, (*Member).scan, selectMembers, family)
		if err := tx.SendFor(ctx, policy.MemberList); err != nil {
			return err
		}
		for i := range members {
			members[i].Permissions = members[i].permitted(ctx, tx)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"members": members})
}

type memberChange struct {
	Role        valid.Field[string]    `json:"role"`
	DisplayName valid.Field[string]    `json:"display_name"`
	ExpiresAt   valid.Field[time.Time] `json:"expires_at"`
}

func (c memberChange) apply(to *Member, now time.Time) error {
	var f valid.Form
	to.Role = c.Role.Or(&f, "/role", to.Role)
	f.OneOf("/role", to.Role, "admin", "member", "guest")
	to.DisplayName = f.Text("/display_name", c.DisplayName.Or(&f, "/display_name", to.DisplayName), 1, 200)
	to.ExpiresAt = c.ExpiresAt.OrNull(to.ExpiresAt)
	if to.ExpiresAt != nil && to.Role != "guest" {
		f.Fault("/expires_at", "is for guests")
	}
	if c.ExpiresAt.Value != nil && !c.ExpiresAt.Value.After(now) {
		f.Fault("/expires_at", "must be in the future")
	}
	return f.Err()
}

func (h *Families) patchMember(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	user, err := web.Name(r, "user_id")
	if err != nil {
		return err
	}
	var c memberChange
	if err := web.DecodeJSON(r, &c); err != nil {
		return err
	}
	m, err := h.updateMember(r.Context(), family, user, c, func(version int64) error { return precondition.Check(r, version) })
	if err != nil {
		return err
	}
	precondition.SetETag(w, m.Version, m.Permissions...)
	return web.JSON(w, http.StatusOK, m)
}

func (h *Families) updateMember(ctx context.Context, family id.ID, user string, c memberChange, guard func(version int64) error) (*Member, error) {
	var m Member
	return &m, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		otherAdmins, err := h.lock(ctx, tx, user, &m)
		if err != nil {
			return err
		}
		before := m
		target := m.Role
		if c.Role.Value != nil {
			target = *c.Role.Value
		}
		if target != "admin" && target != "member" && target != "guest" {
			target = m.Role // refused below, as a fault of the body and not of the caller's rights
		}
		if err := tx.May(ctx, policy.MemberChangeRole, m.resource(tx, target)); err != nil {
			return err
		}
		if err := guard(m.Version); err != nil {
			return err
		}
		if err := c.apply(&m, h.DB.Now()); err != nil {
			return err
		}
		if before.Role == "admin" && m.Role != "admin" && otherAdmins == 0 {
			return lastAdmin()
		}
		if user != tx.Caller.Subject {
			m.Permissions = m.permitted(ctx, tx)
		}
		if m.Role != "guest" { // else he would have it all again if he became one once more
			tx.Queue(deleteGrants, family, user)
		}
		tx.Row(func(row pgx.Row) error { return row.Scan(&m.Version) }, updateMember, family, user, m.Role, m.DisplayName, m.ExpiresAt)
		tx.Record(ctx, tenant.Change{
			Event: "member.changed", Entity: user, Version: before.Version + 1,
			Details: map[string]any{"role_before": before.Role, "role": m.Role},
		})
		return nil
	})
}

func (h *Families) removeMember(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	user, err := web.Name(r, "user_id")
	if err != nil {
		return err
	}
	if err := h.deleteMember(r.Context(), family, user, func(version int64) error { return precondition.Check(r, version) }); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Families) deleteMember(ctx context.Context, family id.ID, user string, guard func(version int64) error) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var m Member
		otherAdmins, err := h.lock(ctx, tx, user, &m)
		if err != nil {
			return err
		}
		action, event := policy.MemberRemove, "member.removed"
		if user == tx.Caller.Subject {
			action, event = policy.MemberLeave, "member.left"
		}
		if err := tx.May(ctx, action, m.resource(tx, m.Role)); err != nil {
			return err
		}
		if err := guard(m.Version); err != nil {
			return err
		}
		if m.Role == "admin" && otherAdmins == 0 {
			return lastAdmin()
		}
		// Leaving ends the standing under which the record is written, so that one goes first.
		tx.Record(ctx, tenant.Change{Event: event, Entity: user, Details: map[string]any{"role": m.Role}})
		tx.Queue(deleteMember, family, user)
		return nil
	})
}

// lock takes the family's row, then reads the member and how many admins there
// are besides him.
func (h *Families) lock(ctx context.Context, tx *tenant.Tx, user string, m *Member) (otherAdmins int, err error) {
	var f Family
	tx.Row(f.scan, lockFamily, tx.Family)
	tx.Renew()
	tx.Row(m.scan, lockMember, tx.Family, user)
	tx.Row(func(row pgx.Row) error { return row.Scan(&otherAdmins) }, countOtherAdmins, tx.Family, user)
	return otherAdmins, tx.Send(ctx)
}

func lastAdmin() error {
	return fault.New(fault.Conflict, "A family needs an admin. Make somebody else admin first.").WithCode("last_admin")
}
