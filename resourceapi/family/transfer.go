package family

import (
	"context"
	"net/http"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

func (h *Families) transfer(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	user, err := web.Name(r, "user_id")
	if err != nil {
		return err
	}
	m, err := h.handOver(r.Context(), family, user)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, m)
}

// handOver makes a member admin and the caller, who was one, a member: both or
// neither, so that no moment has two who could undo it, or none.
func (h *Families) handOver(ctx context.Context, family id.ID, user string) (*Member, error) {
	var heir, own Member
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		if _, err := h.lock(ctx, tx, user, &heir); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.MemberChangeRole, heir.resource(tx, string(policy.Admin))); err != nil {
			return err
		}
		if user == tx.Caller.Subject || heir.Role != string(policy.Member) {
			return fault.New(fault.Conflict, "The family can be handed over to another of its members.").WithCode("not_a_member")
		}
		tx.Row(own.scan, lockMember, family, tx.Caller.Subject)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.MemberChangeRole, own.resource(tx, string(policy.Member))); err != nil {
			return err
		}
		// The caller's own role goes last: it is what lets him change the other's.
		h.setRole(ctx, tx, &heir, policy.Admin)
		h.setRole(ctx, tx, &own, policy.Member)
		return nil
	})
	return &heir, err
}

func (h *Families) setRole(ctx context.Context, tx *tenant.Tx, m *Member, role policy.Role) {
	before := m.Role
	m.Role = string(role)
	m.Version++
	tx.Queue(updateMember, tx.Family, m.UserID, m.Role, m.DisplayName, m.ExpiresAt)
	tx.Record(ctx, tenant.Change{
		Event: "member.changed", Entity: m.UserID, Version: m.Version,
		Details: map[string]any{"role_before": before, "role": m.Role},
	})
}
