package invite

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	// lockInvitation waits for whoever is using the invitation right now, and
	// tells the time after that. The lists that it names come into view.
	lockInvitation = `
SELECT id, role, access_expires_at, uses_left > 0 AND expires_at > clock_timestamp(),
       set_config('app.lists', coalesce((SELECT string_agg(g->>'list_id', ',') FROM jsonb_array_elements(grants) g), ''), true)
  FROM grocery.invitations WHERE family_id = $1 AND token_hash = $2 FOR UPDATE`

	selectSelf = `
SELECT role, expires_at IS NOT NULL AND expires_at <= now() FROM grocery.family_members WHERE family_id = $1 AND user_id = $2`

	countMembers = `SELECT count(*) FROM grocery.family_members WHERE family_id = $1`

	// useInvitation forgets whom an invitation was mailed to with its last use.
	useInvitation = `
UPDATE grocery.invitations SET uses_left = uses_left - 1, email = CASE WHEN uses_left > 1 THEN email END WHERE family_id = $1 AND id = $2`

	// deleteLapsed clears the way for a guest who comes back.
	deleteLapsed = `DELETE FROM grocery.family_members WHERE family_id = $1 AND user_id = $2 AND expires_at <= now()`

	insertMember = `
INSERT INTO grocery.family_members (family_id, user_id, role, display_name, invitation_id, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)`

	// insertGrants leaves out lists that have gone since the invitation was made.
	insertGrants = `
INSERT INTO grocery.list_permissions (family_id, list_id, user_id, verbs, expires_at, granted_by)
SELECT i.family_id, g.list_id, $3, g.verbs, i.access_expires_at, i.created_by
  FROM grocery.invitations i
 CROSS JOIN LATERAL jsonb_to_recordset(i.grants) AS g (list_id uuid, verbs text[])
  JOIN grocery.lists l ON l.family_id = i.family_id AND l.id = g.list_id AND l.kind = 'shared'
 WHERE i.family_id = $1 AND i.id = $2`
)

// Accepted tells the invitee where he is now.
type Accepted struct {
	FamilyID id.ID  `json:"family_id"`
	Role     string `json:"role"`
}

func (h *Invitations) accept(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Token       string `json:"token"`
		DisplayName string `json:"display_name"`
	}
	if err := web.DecodeJSON(r, &body); err != nil {
		return err
	}
	var f valid.Form
	name := f.Text("/display_name", body.DisplayName, 1, 200)
	if body.Token == "" {
		f.Fault("/token", "is required")
	}
	if err := f.Err(); err != nil {
		return err
	}
	accepted, err := h.join(r.Context(), body.Token, name)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, accepted)
}

// noGood is the one answer to a token that was guessed, used up, revoked or is
// too old.
func noGood() error {
	return fault.New(fault.NotFound, "This invitation is not valid, or not any more. Ask for a new one.").WithCode("invitation_invalid")
}

func (h *Invitations) join(ctx context.Context, token, name string) (*Accepted, error) {
	family, hash, ok := parseToken(token)
	if !ok {
		return nil, noGood()
	}
	accepted := &Accepted{FamilyID: family}
	err := h.DB.Join(ctx, family, hash, func(tx *tenant.Tx) error {
		held, err := h.look(ctx, tx, hash)
		if err != nil {
			return err
		}
		if err := tx.May(ctx, policy.InvitationAccept, tx.Resource(policy.InvitationResource, held.id)); err != nil {
			return err
		}
		if accepted.Role = held.memberAs; accepted.Role != "" {
			return nil
		}
		accepted.Role = held.role
		if !held.usable {
			tx.Refused(ctx, "invitation.accept", held.id, "The invitation is used up or too old.")
			return noGood()
		}
		if held.members >= maxMembers {
			return fault.New(fault.Conflict, "The family is full.").WithCode("too_many")
		}
		user := tx.Caller.Subject
		tx.Queue(useInvitation, family, held.id)
		tx.Queue(deleteLapsed, family, user)
		tx.Queue(insertMember, family, user, held.role, name, held.id, held.accessExpiresAt)
		tx.Queue(insertGrants, family, held.id, user)
		tx.Record(ctx, tenant.Change{
			Event: "member.joined", Entity: user, Version: 1,
			Details: map[string]any{"role": held.role, "invitation": held.id.String()},
		})
		return nil
	})
	return accepted, err
}

// held is the invitation in hand, and how its holder stands already.
type held struct {
	id              id.ID
	role            string
	accessExpiresAt *time.Time
	usable          bool
	members         int
	memberAs        string // "" if he is not in, or not any more
}

func (h *Invitations) look(ctx context.Context, tx *tenant.Tx, hash []byte) (held, error) {
	var found held
	tx.Row(func(row pgx.Row) error {
		return row.Scan(&found.id, &found.role, &found.accessExpiresAt, &found.usable, nil)
	}, lockInvitation, tx.Family, hash)
	tx.Row(func(row pgx.Row) error {
		var lapsed bool
		err := row.Scan(&found.memberAs, &lapsed)
		if lapsed || errors.Is(err, pgx.ErrNoRows) {
			found.memberAs = ""
			return nil
		}
		return err
	}, selectSelf, tx.Family, tx.Caller.Subject)
	tx.Row(func(row pgx.Row) error { return row.Scan(&found.members) }, countMembers, tx.Family)
	err := tx.Send(ctx)
	if fault.Is(err, fault.NotFound) {
		tx.Refused(ctx, "invitation.accept", id.ID{}, "There is no such invitation.")
		return found, noGood()
	}
	return found, err
}
