package recurring

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectOrders = `
SELECT id, list_id, name, quantity::float8, unit, note, category, every, period, next_on::text, version, created_by, created_at, updated_at
  FROM grocery.recurring WHERE family_id = $1 ORDER BY next_on, lower(name), id LIMIT 200`

	selectOrder = `
SELECT id, list_id, name, quantity::float8, unit, note, category, every, period, next_on::text, version, created_by, created_at, updated_at
  FROM grocery.recurring WHERE family_id = $1 AND id = $2`

	lockOrder = selectOrder + ` FOR UPDATE`

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

func (o *Order) scan(row pgx.Row) error {
	return row.Scan(&o.ID, &o.ListID, &o.Name, &o.Quantity, &o.Unit, &o.Note, &o.Category, &o.Every, &o.Period, &o.NextOn,
		&o.Version, &o.CreatedBy, &o.CreatedAt, &o.UpdatedAt)
}

func queueOrders(tx *tenant.Tx, all *[]Order, sql string, args ...any) {
	tx.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var o Order
			if err := o.scan(rows); err != nil {
				return err
			}
			*all = append(*all, o)
		}
		return rows.Err()
	})
}

func (h *Recurring) selectAll(ctx context.Context, family id.ID) ([]Order, error) {
	orders := []Order{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		queueOrders(tx, &orders, selectOrders, family)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.KitchenRead, tx.FamilyResource())
	})
	return orders, err
}

func (h *Recurring) selectOne(ctx context.Context, family, order id.ID) (*Order, error) {
	var o Order
	return &o, h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(o.scan, selectOrder, family, order)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.KitchenRead, tx.FamilyResource())
	})
}

func (h *Recurring) insert(ctx context.Context, family id.ID, d *Order) (*Order, error) {
	var o Order
	return &o, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var (
			there []Order
			count int
		)
		zone := tx.Zone()
		queueOrders(tx, &there, selectOrder, family, d.ID)
		tx.Row(func(row pgx.Row) error { return row.Scan(&count) }, countOrders, family)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		switch {
		case len(there) > 0 && (there[0].Name != d.Name || there[0].CreatedBy != tx.Principal()):
			return fault.New(fault.Conflict, "Something with this name or id exists already.").WithCode("id_taken")
		case len(there) > 0:
			o = there[0]
			return nil
		case count >= maxRecurring:
			return fault.New(fault.Conflict, "There are too many recurring items. Remove one first.").WithCode("too_many")
		}
		at, err := h.settle(ctx, tx, d, zone, true)
		if err != nil {
			return err
		}
		tx.Row(o.scan, insertOrder, family, d.ID, d.ListID, d.Name, d.Quantity, d.Unit, d.Note, d.Category, d.Every, d.Period, d.NextOn, at, tx.Principal())
		tx.Record(ctx, tenant.Change{Event: "recurring.added", Entity: d.ID.String(), Version: 1})
		return nil
	})
}

func (h *Recurring) update(ctx context.Context, family, order id.ID, apply func(*Order) error) (*Order, error) {
	var o Order
	return &o, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		zone := tx.Zone()
		tx.Row(o.scan, lockOrder, family, order)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		before := o.NextOn
		if err := apply(&o); err != nil {
			return err
		}
		at, err := h.settle(ctx, tx, &o, zone, o.NextOn != before)
		if err != nil {
			return err
		}
		version := o.Version + 1
		tx.Row(o.scan, updateOrder, family, order, o.ListID, o.Name, o.Quantity, o.Unit, o.Note, o.Category, o.Every, o.Period, o.NextOn, at)
		tx.Record(ctx, tenant.Change{Event: "recurring.updated", Entity: order.String(), Version: version})
		return nil
	})
}

// settle checks the day, where it is new, and that the list is a shared one to
// which the caller may add; it returns the moment at which the order is due.
func (h *Recurring) settle(ctx context.Context, tx *tenant.Tx, o *Order, zone *time.Location, newDay bool) (time.Time, error) {
	facts := tx.List(o.ListID)
	if err := tx.Send(ctx); err != nil {
		return time.Time{}, err
	}
	var f valid.Form
	if facts.Kind != policy.Shared {
		f.Fault("/list_id", "must be a shared list")
	}
	if newDay {
		o.plan(&f, today(h.DB.Now(), zone))
	}
	if err := f.Err(); err != nil {
		return time.Time{}, err
	}
	if err := tx.May(ctx, policy.ItemAdd, facts.Item()); err != nil {
		return time.Time{}, err
	}
	return due(o.NextOn, zone)
}

func (h *Recurring) delete(ctx context.Context, family, order id.ID, guard func(version int64) error) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var o Order
		tx.Row(o.scan, lockOrder, family, order)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		if err := guard(o.Version); err != nil {
			return err
		}
		tx.Queue(deleteOrder, family, order)
		tx.Record(ctx, tenant.Change{Event: "recurring.removed", Entity: order.String()})
		return nil
	})
}
