package invite

import (
	"context"
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
	// selectPreview brings into view the lists that the invitation names.
	selectPreview = `
SELECT i.id, f.name, i.role, i.expires_at, i.access_expires_at, i.uses_left > 0 AND i.expires_at > now(),
       (SELECT m.display_name FROM grocery.family_members m WHERE m.family_id = i.family_id AND 'user:' || m.user_id = i.created_by),
       set_config('app.lists', coalesce((SELECT string_agg(g->>'list_id', ',') FROM jsonb_array_elements(i.grants) g), ''), true)
  FROM grocery.invitations i JOIN grocery.families f ON f.id = i.family_id WHERE i.family_id = $1 AND i.token_hash = $2`

	selectNamedLists = `
SELECT l.name FROM grocery.invitations i
 CROSS JOIN LATERAL jsonb_to_recordset(i.grants) AS g (list_id uuid)
  JOIN grocery.lists l ON l.family_id = i.family_id AND l.id = g.list_id
 WHERE i.family_id = $1 AND i.token_hash = $2 ORDER BY l.name, l.id`
)

// Preview tells the holder of an invitation what it is to. MemberAs is the role
// that he has in the family already; nil for none.
type Preview struct {
	FamilyID        id.ID      `json:"family_id"`
	FamilyName      string     `json:"family_name"`
	Role            string     `json:"role"`
	Lists           []string   `json:"lists"`      // names of those that a guest is granted something on
	InvitedBy       *string    `json:"invited_by"` // as the family knows him; nil if he has left it
	ExpiresAt       time.Time  `json:"expires_at"`
	AccessExpiresAt *time.Time `json:"access_expires_at"`
	MemberAs        *string    `json:"member_as"`

	invitation id.ID
	usable     bool
}

func (p *Preview) scan(row pgx.Row) error {
	return row.Scan(&p.invitation, &p.FamilyName, &p.Role, &p.ExpiresAt, &p.AccessExpiresAt, &p.usable, &p.InvitedBy, nil)
}

func (h *Invitations) preview(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Token string `json:"token"`
	}
	if err := web.DecodeJSON(r, &body); err != nil {
		return err
	}
	if body.Token == "" {
		var f valid.Form
		f.Fault("/token", "is required")
		return f.Err()
	}
	found, err := h.selectPreview(r.Context(), body.Token)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusOK, found)
}

// selectPreview answers to a token that is no good as join does.
func (h *Invitations) selectPreview(ctx context.Context, token string) (*Preview, error) {
	family, hash, ok := parseToken(token)
	if !ok {
		return nil, noGood()
	}
	p := &Preview{FamilyID: family, Lists: []string{}}
	return p, h.DB.Join(ctx, family, hash, func(tx *tenant.Tx) error {
		tx.Row(p.scan, selectPreview, family, hash)
		tenant.Rows(tx, &p.Lists, func(name *string, row pgx.Row) error { return row.Scan(name) }, selectNamedLists, family, hash)
		p.queueSelf(tx)
		switch err := tx.Send(ctx); {
		case fault.Is(err, fault.NotFound):
			tx.Refused(ctx, "invitation.accept", id.ID{}, "There is no such invitation.")
			return noGood()
		case err != nil:
			return err
		}
		if err := tx.May(ctx, policy.InvitationAccept, tx.Resource(policy.InvitationResource, p.invitation)); err != nil {
			return err
		}
		if !p.usable && p.MemberAs == nil {
			tx.Refused(ctx, "invitation.accept", p.invitation, "The invitation is used up or too old.")
			return noGood()
		}
		return nil
	})
}

func (p *Preview) queueSelf(tx *tenant.Tx) {
	tx.Queue(selectSelf, tx.Family, tx.Caller.Subject).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var role string
			var lapsed bool
			if err := rows.Scan(&role, &lapsed); err != nil {
				return err
			}
			if !lapsed {
				p.MemberAs = &role
			}
		}
		return rows.Err()
	})
}
