package list

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

// Permission is what one guest may do on one list.
type Permission struct {
	UserID    string     `json:"user_id"`
	Verbs     []string   `json:"verbs"`
	ExpiresAt *time.Time `json:"expires_at"`
	GrantedBy string     `json:"granted_by"`
	GrantedAt time.Time  `json:"granted_at"`
}

const (
	selectPermissions = `
SELECT user_id, verbs, expires_at, granted_by, granted_at
  FROM grocery.list_permissions WHERE family_id = $1 AND list_id = $2 ORDER BY user_id LIMIT 200`

	selectRole = `SELECT role FROM grocery.family_members WHERE family_id = $1 AND user_id = $2`

	upsertPermission = `
INSERT INTO grocery.list_permissions (family_id, list_id, user_id, verbs, expires_at, granted_by) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (family_id, user_id, list_id)
DO UPDATE SET verbs = excluded.verbs, expires_at = excluded.expires_at, granted_by = excluded.granted_by, granted_at = now()
RETURNING user_id, verbs, expires_at, granted_by, granted_at`

	deletePermission = `DELETE FROM grocery.list_permissions WHERE family_id = $1 AND list_id = $2 AND user_id = $3`
)

func (p *Permission) scan(row pgx.Row) error {
	return row.Scan(&p.UserID, &p.Verbs, &p.ExpiresAt, &p.GrantedBy, &p.GrantedAt)
}

func (h *Lists) permissions(w http.ResponseWriter, r *http.Request) error {
	family, list, err := path(r)
	if err != nil {
		return err
	}
	granted, err := h.selectPermissions(r.Context(), family, list)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"permissions": granted})
}

func (h *Lists) selectPermissions(ctx context.Context, family, list id.ID) ([]Permission, error) {
	granted := []Permission{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		facts := tx.List(list)
		tenant.Rows(tx, &granted, (*Permission).scan, selectPermissions, family, list)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.ListShare, facts.Resource())
	})
	return granted, err
}

type grant struct {
	Verbs     []string   `json:"verbs"`
	ExpiresAt *time.Time `json:"expires_at"`
}

func (g grant) check(now time.Time) error {
	var f valid.Form
	if !policy.Grantable(g.Verbs) {
		f.Fault("/verbs", "must be some of view, check, add, edit, manage")
	}
	if g.ExpiresAt != nil && !g.ExpiresAt.After(now) {
		f.Fault("/expires_at", "must be in the future")
	}
	return f.Err()
}

func (h *Lists) grant(w http.ResponseWriter, r *http.Request) error {
	family, list, err := path(r)
	if err != nil {
		return err
	}
	user, err := web.Name(r, "user_id")
	if err != nil {
		return err
	}
	var g grant
	if err := web.DecodeJSON(r, &g); err != nil {
		return err
	}
	if err := g.check(h.DB.Now()); err != nil {
		return err
	}
	p, err := h.upsertPermission(r.Context(), family, list, user, g)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, p)
}

func (h *Lists) upsertPermission(ctx context.Context, family, list id.ID, user string, g grant) (*Permission, error) {
	var p Permission
	return &p, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var role string
		facts := tx.List(list)
		tx.Queue(selectRole, family, user).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := rows.Scan(&role); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ListShare, facts.Resource()); err != nil {
			return err
		}
		if role != string(policy.Guest) {
			return fault.New(fault.Conflict, "Permissions are for guests of the family; members reach every shared list.").WithCode("not_a_guest")
		}
		tx.Row(p.scan, upsertPermission, family, list, user, g.Verbs, g.ExpiresAt, tx.Principal())
		tx.Record(ctx, tenant.Change{
			Event: "list.shared", List: list, Entity: list.String(),
			Details: map[string]any{"user_id": user, "verbs": g.Verbs},
		})
		return nil
	})
}

func (h *Lists) withdraw(w http.ResponseWriter, r *http.Request) error {
	family, list, err := path(r)
	if err != nil {
		return err
	}
	user, err := web.Name(r, "user_id")
	if err != nil {
		return err
	}
	if err := h.deletePermission(r.Context(), family, list, user); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Lists) deletePermission(ctx context.Context, family, list id.ID, user string) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		facts := tx.List(list)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ListShare, facts.Resource()); err != nil {
			return err
		}
		there, err := tx.Exec(ctx, deletePermission, family, list, user)
		if err != nil {
			return err
		}
		if !there {
			return fault.New(fault.NotFound, "This list is not shared with that person.")
		}
		tx.Record(ctx, tenant.Change{Event: "list.unshared", List: list, Entity: list.String(), Details: map[string]any{"user_id": user}})
		return nil
	})
}
