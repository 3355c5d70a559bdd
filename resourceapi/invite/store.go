package invite

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	// deleteStale makes room: what nobody can use any more counts for nothing.
	deleteStale = `DELETE FROM grocery.invitations WHERE family_id = $1 AND (expires_at < now() OR uses_left = 0)`

	countOpen = `
SELECT count(*) FROM grocery.invitations WHERE family_id = $1 AND expires_at > now() AND uses_left > 0`

	insertInvitation = `
INSERT INTO grocery.invitations (family_id, id, token_hash, role, grants, expires_at, uses_left, access_expires_at, created_by, email)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING id, role, grants, expires_at, uses_left, access_expires_at, created_by, created_at, email`

	insertMail = `INSERT INTO grocery.invitation_mails (family_id, invitation_id, letter) VALUES ($1, $2, $3)`

	selectInvitations = `
SELECT id, role, grants, expires_at, uses_left, access_expires_at, created_by, created_at, email
  FROM grocery.invitations WHERE family_id = $1 AND expires_at > now() AND uses_left > 0 AND ($2::uuid IS NULL OR id = $2) ORDER BY created_at, id LIMIT 200`

	selectInvitation = `
SELECT id FROM grocery.invitations WHERE family_id = $1 AND id = $2`

	deleteInvitation = `DELETE FROM grocery.invitations WHERE family_id = $1 AND id = $2`
)

func (i *Invitation) scan(row pgx.Row) error {
	return row.Scan(&i.ID, &i.Role, &i.Grants, &i.ExpiresAt, &i.UsesLeft, &i.AccessExpiresAt, &i.CreatedBy, &i.CreatedAt, &i.sealedEmail)
}

func (h *Invitations) insert(ctx context.Context, family id.ID, d draft) (*Invitation, error) {
	made := &Invitation{ID: id.New()}
	token, hash := newToken(family)
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var open int
		tx.Row(func(row pgx.Row) error { return row.Scan(&open) }, countOpen, family)
		there := tx.Lists(lists(d.Grants))
		if err := tx.Send(ctx); err != nil {
			return err
		}
		asked := tx.Resource(policy.InvitationResource, made.ID)
		if asked.TargetRole = policy.Guest; d.Role == "admin" || d.Role == "member" { // any other is the body's fault
			asked.TargetRole = policy.Role(d.Role)
		}
		if err := tx.May(ctx, policy.InvitationCreate, asked); err != nil {
			return err
		}
		if err := d.check(h.DB.Now()); err != nil {
			return err
		}
		if open >= maxOpen {
			return fault.New(fault.Conflict, "The family has too many open invitations. Revoke some first.").WithCode("too_many")
		}
		if err := mayShare(ctx, tx, d.Grants, there); err != nil {
			return err
		}
		var address []byte
		if d.Email != nil {
			if err := h.Mails.admit(ctx, tx.Principal(), *d.Email); err != nil {
				return err
			}
			address = h.Mails.Keys.Seal(place(family, made.ID), []byte(*d.Email))
		}
		if d.Grants == nil {
			d.Grants = []Grant{}
		}
		made.Permissions = permitted(ctx, tx)
		tx.Queue(deleteStale, family)
		tx.Row(made.scan, insertInvitation, family, made.ID, hash, d.Role, d.Grants, d.ExpiresAt, d.Uses, d.AccessExpiresAt, tx.Principal(), address)
		if d.Email != nil {
			letter, err := h.Mails.seal(family, made.ID, token, d)
			if err != nil {
				return err
			}
			tx.Queue(insertMail, family, made.ID, letter)
		}
		tx.Record(ctx, tenant.Change{
			Event: "invitation.created", Entity: made.ID.String(),
			Details: map[string]any{"role": d.Role, "uses": *d.Uses, "expires_at": *d.ExpiresAt, "mailed": d.Email != nil},
		})
		return nil
	})
	if d.Email != nil {
		made.Email = *d.Email
		h.Mails.wake()
		return made, err
	}
	made.Token, made.Link = token.Reveal(), h.Mails.link(token)
	return made, err
}

func lists(grants []Grant) []id.ID {
	ids := make([]id.ID, 0, len(grants))
	for _, g := range grants {
		ids = append(ids, g.ListID)
	}
	return ids
}

// mayShare asks whether the caller may share each of the lists that a guest is
// to be granted something on.
func mayShare(ctx context.Context, tx *tenant.Tx, grants []Grant, there map[id.ID]*tenant.List) error {
	var f valid.Form
	for _, g := range grants {
		if l := there[g.ListID]; l == nil || l.Kind != policy.Shared {
			f.Fault("/grants", "names "+g.ListID.String()+", which is no shared list of this family")
		}
	}
	if err := f.Err(); err != nil {
		return err
	}
	for _, g := range grants {
		if err := tx.May(ctx, policy.ListShare, there[g.ListID].Resource()); err != nil {
			return err
		}
	}
	return nil
}

// permitted lists what the caller may do to an invitation: to one as to the other.
func permitted(ctx context.Context, tx *tenant.Tx) []string {
	return tx.Permitted(ctx, tx.Resource(policy.InvitationResource, id.ID{}), policy.InvitationRevoke)
}

// selectOpen reads what is open; of that, only one if it is named.
func (h *Invitations) selectOpen(ctx context.Context, family id.ID, only *id.ID) ([]Invitation, error) {
	open := []Invitation{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tenant.Rows(tx, &open, (*Invitation).scan, selectInvitations, family, only)
		if err := tx.SendFor(ctx, policy.InvitationList); err != nil {
			return err
		}
		may := permitted(ctx, tx)
		for i := range open {
			open[i].Permissions = may
		}
		return nil
	})
	for i := range open {
		if box := open[i].sealedEmail; box != nil && err == nil {
			var address []byte
			address, err = h.Mails.Keys.Open(place(family, open[i].ID), box)
			open[i].Email = string(address)
		}
	}
	return open, err
}

func (h *Invitations) delete(ctx context.Context, family, invitation id.ID) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var found bool
		tx.Queue(selectInvitation, family, invitation).Query(func(rows pgx.Rows) error {
			found = rows.Next()
			rows.Close()
			return rows.Err()
		})
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.InvitationRevoke, tx.Resource(policy.InvitationResource, invitation)); err != nil {
			return err
		}
		if !found {
			return noSuchInvitation()
		}
		tx.Queue(deleteInvitation, family, invitation)
		tx.Record(ctx, tenant.Change{Event: "invitation.revoked", Entity: invitation.String()})
		return nil
	})
}
