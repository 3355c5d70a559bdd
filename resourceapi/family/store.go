package family

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/valid"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	insertFamily = `
INSERT INTO grocery.families (id, name, timezone, currency, history_days, created_by) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id, name, timezone, currency, history_days, default_list_id, 'admin', version, created_at, updated_at`

	insertFounder = `INSERT INTO grocery.family_members (family_id, user_id, role, display_name) VALUES ($1, $2, 'admin', $3)`

	selectFamily = `
SELECT f.id, f.name, f.timezone, f.currency, f.history_days, CASE WHEN m.role = 'guest' THEN NULL ELSE f.default_list_id END,
       coalesce(m.role, ''), f.version, f.created_at, f.updated_at
  FROM grocery.families f
  LEFT JOIN grocery.family_members m ON m.family_id = f.id AND m.user_id = $2
 WHERE f.id = $1`

	selectFamilies = `
SELECT f.id, f.name, f.timezone, f.currency, f.history_days, CASE WHEN m.role = 'guest' THEN NULL ELSE f.default_list_id END,
       coalesce(m.role, ''), f.version, f.created_at, f.updated_at, f.rules, i.scopes
  FROM grocery.families f
  LEFT JOIN grocery.family_members m ON m.family_id = f.id AND m.user_id = $1
  LEFT JOIN grocery.app_installations i ON i.family_id = f.id AND i.client_id = $2
 WHERE f.id = ANY (grocery.families())
 ORDER BY f.created_at, f.id LIMIT 200`

	// lockFamily lets others make things that belong to the family: who does may
	// hold what recurs, for which moveRecurring waits.
	lockFamily = `
SELECT id, name, timezone, currency, history_days, default_list_id, '', version, created_at, updated_at FROM grocery.families WHERE id = $1 FOR NO KEY UPDATE`

	updateFamily = `
UPDATE grocery.families
   SET name = $2, timezone = $3, currency = $4, history_days = $5, default_list_id = $6, version = version + 1, updated_at = now() WHERE id = $1
RETURNING version, updated_at`

	// moveRecurring has what recurs begin its day where the family lives now.
	moveRecurring = `UPDATE grocery.recurring SET next_at = (next_on + time '04:00') AT TIME ZONE $2 WHERE family_id = $1`

	deleteFeed       = `DELETE FROM grocery.change_feed WHERE family_id = $1`
	deleteOperations = `DELETE FROM grocery.operations WHERE family_id = $1`
	deleteFamily     = `DELETE FROM grocery.families WHERE id = $1`
)

func (f *Family) scan(row pgx.Row) error {
	return row.Scan(&f.ID, &f.Name, &f.Timezone, &f.Currency, &f.HistoryDays, &f.DefaultListID, &f.Role, &f.Version, &f.CreatedAt, &f.UpdatedAt)
}

// settings are what the audit log tells of a change.
func (f *Family) settings() map[string]any {
	return map[string]any{"timezone": f.Timezone, "currency": f.Currency, "history_days": f.HistoryDays, "default_list_id": f.DefaultListID}
}

// Found makes a family, as New and what was asked for have it, with the caller as
// its admin.
func (h *Families) Found(ctx context.Context, made *Family, displayName string) error {
	return h.DB.Found(ctx, made.ID, func(tx *tenant.Tx) error {
		if err := tx.SendFor(ctx, policy.FamilyCreate); err != nil {
			return err
		}
		admin, err := tx.Within(tenant.Membership{Family: made.ID, Role: string(policy.Admin), Timezone: made.Timezone})
		if err != nil {
			return err
		}
		made.Permissions = permitted(ctx, admin)
		tx.Row(made.scan, insertFamily, made.ID, made.Name, made.Timezone, made.Currency, made.HistoryDays, tx.Principal())
		tx.Queue(insertFounder, made.ID, tx.Caller.Subject, displayName)
		tx.Record(ctx, tenant.Change{Event: "family.created", Entity: made.ID.String(), Version: 1, Details: made.settings()})
		return nil
	})
}

func (h *Families) selectMine(ctx context.Context) ([]Family, error) {
	families := []Family{}
	err := h.DB.Mine(ctx, func(tx *tenant.Tx) error {
		tx.Queue(selectFamilies, tx.Caller.Subject, tx.Caller.ClientID).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var f Family
				var m tenant.Membership
				if err := f.scan(beside{rows, []any{&m.Rules, &m.Granted}}); err != nil {
					return err
				}
				m.Family, m.Role, m.Timezone = f.ID, f.Role, f.Timezone
				inside, err := tx.Within(m)
				if err != nil {
					return err
				}
				f.Permissions = permitted(ctx, inside)
				families = append(families, f)
			}
			return rows.Err()
		})
		return tx.Send(ctx)
	})
	return families, err
}

// beside is a row with more columns than one family has.
type beside struct {
	pgx.Row
	more []any
}

// Scan reads the others behind the family.
func (r beside) Scan(dest ...any) error { return r.Row.Scan(append(dest, r.more...)...) }

func (h *Families) selectOne(ctx context.Context, family id.ID) (*Family, error) {
	var found Family
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(found.scan, selectFamily, family, tx.Caller.Subject)
		if err := tx.SendFor(ctx, policy.FamilyRead); err != nil {
			return err
		}
		found.Permissions = permitted(ctx, tx)
		return nil
	})
	return &found, err
}

// update changes a family by what apply makes of it; list is the one that is to
// be its default, nil if that stays.
func (h *Families) update(ctx context.Context, family id.ID, list *id.ID, apply func(*Family) error) (*Family, error) {
	var f Family
	return &f, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(f.scan, lockFamily, family)
		var named map[id.ID]*tenant.List
		if list != nil {
			named = tx.Lists([]id.ID{*list})
		}
		if err := tx.SendFor(ctx, policy.FamilyUpdate); err != nil {
			return err
		}
		f.Role = tx.Role()
		before := f
		if err := apply(&f); err != nil {
			return err
		}
		if list != nil && (named[*list] == nil || named[*list].Kind != policy.Shared) {
			var form valid.Form
			form.Fault("/default_list_id", "must be a shared list of the family")
			return form.Err()
		}
		f.Permissions = permitted(ctx, tx)
		if f.Timezone != before.Timezone {
			tx.Queue(moveRecurring, family, f.Timezone)
		}
		tx.Row(func(row pgx.Row) error { return row.Scan(&f.Version, &f.UpdatedAt) }, updateFamily, family, f.Name, f.Timezone, f.Currency, f.HistoryDays, f.DefaultListID)
		tx.Record(ctx, tenant.Change{
			Event: "family.updated", Entity: family.String(), Version: f.Version + 1,
			Details: map[string]any{"before": before.settings(), "after": f.settings()},
		})
		return nil
	})
}

func (h *Families) delete(ctx context.Context, family id.ID, guard func(version int64) error) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var f Family
		tx.Row(f.scan, lockFamily, family)
		if err := tx.SendFor(ctx, policy.FamilyDelete); err != nil {
			return err
		}
		if err := guard(f.Version); err != nil {
			return err
		}
		// The record stands first: afterwards there is no family to append it to.
		tx.Record(ctx, tenant.Change{Event: "family.deleted", Entity: family.String()})
		tx.Queue(deleteFeed, family)
		tx.Queue(deleteOperations, family)
		tx.Queue(deleteFamily, family)
		return nil
	})
}
