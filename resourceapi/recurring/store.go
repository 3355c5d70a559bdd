package recurring

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/valid"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectOrders = `
SELECT id, list_id, name, quantity::float8, unit, note, category, every, period, next_on::text, version, created_by, created_at, updated_at
  FROM grocery.recurring WHERE family_id = $1 ORDER BY next_on, lower(name), id LIMIT 200`

	selectSome = `
SELECT id, list_id, name, quantity::float8, unit, note, category, every, period, next_on::text, version, created_by, created_at, updated_at
  FROM grocery.recurring WHERE family_id = $1 AND id = ANY ($2)`

	lockDue = `
SELECT id, list_id, name, quantity::float8, unit, note, category, every, period, next_on::text, version, created_by, created_at, updated_at
  FROM grocery.recurring WHERE family_id = $1 AND next_at <= now() ORDER BY next_at, id LIMIT $2 FOR UPDATE SKIP LOCKED`

	countOrders = `SELECT count(*) FROM grocery.recurring WHERE family_id = $1`

	insertOrder = `
INSERT INTO grocery.recurring (family_id, id, list_id, name, quantity, unit, note, category, every, period, next_on, next_at, created_by)
VALUES ($1, $2, $3, $4, $5::float8, $6, $7, $8, $9, $10, $11::text::date, $12, $13)
RETURNING id, list_id, name, quantity::float8, unit, note, category, every, period, next_on::text, version, created_by, created_at, updated_at`

	updateOrder = `
UPDATE grocery.recurring
   SET list_id = $3, name = $4, quantity = $5::float8, unit = $6, note = $7, category = $8, every = $9, period = $10,
       next_on = $11::text::date, next_at = $12, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, list_id, name, quantity::float8, unit, note, category, every, period, next_on::text, version, created_by, created_at, updated_at`

	moveOn = `UPDATE grocery.recurring SET next_on = $3::text::date, next_at = $4, version = version + 1, updated_at = now() WHERE family_id = $1 AND id = $2`

	deleteOrder = `DELETE FROM grocery.recurring WHERE family_id = $1 AND id = $2`
)

// Scan reads a row.
func (o *Order) Scan(row pgx.Row) error {
	return row.Scan(&o.ID, &o.ListID, &o.Name, &o.Quantity, &o.Unit, &o.Note, &o.Category, &o.Every, &o.Period, &o.NextOn,
		&o.Version, &o.CreatedBy, &o.CreatedAt, &o.UpdatedAt)
}

// Values are those that are written.
func (o *Order) Values() []any {
	return []any{o.ListID, o.Name, o.Quantity, o.Unit, o.Note, o.Category, o.Every, o.Period, o.NextOn, o.nextAt}
}

// settle checks the day, where it is new, and that the list is a shared one to
// which the caller may add; it finds the moment at which the order is due.
func (h *Recurring) settle(ctx context.Context, tx *tenant.Tx, before, o *Order) error {
	facts := tx.List(o.ListID)
	if err := tx.Send(ctx); err != nil {
		return err
	}
	var f valid.Form
	if facts.Kind != policy.Shared {
		f.Fault("/list_id", "must be a shared list")
	}
	if before == nil || o.NextOn != before.NextOn {
		o.plan(&f, today(h.DB.Now(), tx.Zone()))
	}
	if err := f.Err(); err != nil {
		return err
	}
	if err := tx.May(ctx, policy.ItemAdd, facts.Item()); err != nil {
		return err
	}
	var err error
	o.nextAt, err = due(o.NextOn, tx.Zone())
	return err
}
