package item

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectItem = `
SELECT id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at
  FROM grocery.items WHERE family_id = $1 AND list_id = $2 AND id = $3`

	lockItem = selectItem + ` FOR UPDATE`

	insertItem = `
INSERT INTO grocery.items (family_id, list_id, id, private_to, name, quantity, unit, note, category, barcode, photo, position, added_by)
VALUES ($1, $2, $3, nullif($4, ''), $5, $6::float8, $7, $8, $9, $10, $11, $12, $13)
RETURNING id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at`

	updateItem = `
UPDATE grocery.items
   SET name = $4, quantity = $5::float8, unit = $6, note = $7, category = $8, barcode = $9, photo = $10, position = $11, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND list_id = $2 AND id = $3
RETURNING id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at`

	updateChecked = `
UPDATE grocery.items
   SET checked_at = CASE WHEN $4 THEN now() END, checked_by = CASE WHEN $4 THEN $5 END, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND list_id = $2 AND id = $3
RETURNING id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at`

	// alterChecked is updateChecked on a presumption; what is as it shall be
	// already is left to the usual way.
	alterChecked = `
UPDATE grocery.items
   SET checked_at = CASE WHEN $24 THEN now() END, checked_by = CASE WHEN $24 THEN $20 END, version = version + 1, updated_at = now()
 WHERE family_id = $16 AND list_id = $17 AND id = $19::text::uuid AND (checked_at IS NULL) = $24 AND EXISTS (SELECT FROM presumed)
RETURNING id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at`

	deleteItem = `DELETE FROM grocery.items WHERE family_id = $1 AND list_id = $2 AND id = $3`

	countItems = `SELECT count(*) FROM grocery.items WHERE family_id = $1 AND list_id = $2`
)

func (i *Item) scan(row pgx.Row) error {
	err := row.Scan(i.columns()...)
	i.Checked = i.CheckedAt != nil
	return err
}

func (i *Item) columns() []any {
	return []any{
		&i.ID, &i.ListID, &i.Name, &i.Quantity, &i.Unit, &i.Note, &i.Category, &i.Barcode, &i.Photo, &i.CheckedAt,
		&i.CheckedBy, &i.Position, &i.Version, &i.AddedBy, &i.CreatedAt, &i.UpdatedAt,
	}
}

func (h *Items) selectOne(ctx context.Context, at where) (*Item, error) {
	var i Item
	err := h.DB.Read(ctx, at.family, func(tx *tenant.Tx) error {
		facts := tx.List(at.list)
		tx.Row(i.scan, selectItem, at.family, at.list, at.item)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ListRead, facts.Resource()); err != nil {
			return err
		}
		i.Permissions = permitted(ctx, tx, facts)
		return nil
	})
	return &i, err
}

func (h *Items) insert(ctx context.Context, at where, d draft) (*Item, error) {
	var i Item
	at.item = d.ID
	return &i, h.DB.Write(ctx, at.family, func(tx *tenant.Tx) error {
		var there *Item
		var count int
		facts := tx.List(at.list)
		tenant.Maybe(tx, &there, (*Item).scan, selectItem, at.family, at.list, d.ID)
		tx.Row(func(row pgx.Row) error { return row.Scan(&count) }, countItems, at.family, at.list)
		spot := queueSpot(tx, at, d.After, d.After == nil)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ItemAdd, facts.Item()); err != nil {
			return err
		}
		if there != nil {
			if !d.same(there, tx.Principal()) {
				return tenant.Taken()
			}
			i = *there
			i.Permissions = permitted(ctx, tx, facts)
			return nil
		}
		if err := open(facts); err != nil {
			return err
		}
		if count >= maxItems {
			return full()
		}
		position, err := h.position(ctx, tx, at, spot)
		if err != nil {
			return err
		}
		i.Permissions = permitted(ctx, tx, facts)
		tx.Row(i.scan, insertItem, at.family, at.list, d.ID, facts.Owner, d.Name, d.Quantity, d.Unit, d.Note, d.Category, d.Barcode, d.Photo, position, tx.Principal())
		tx.Record(ctx, itemChange("item.added", at, facts, 1))
		return nil
	})
}

func (h *Items) update(ctx context.Context, at where, c change, guard func(version int64) error) (*Item, error) {
	var i Item
	return &i, h.DB.Write(ctx, at.family, func(tx *tenant.Tx) error {
		facts := tx.List(at.list)
		tx.Row(i.scan, lockItem, at.family, at.list, at.item)
		var spot *spot
		if c.After.Present {
			spot = queueSpot(tx, at, c.After.Value, false)
		}
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := mayChange(ctx, tx, facts, c); err != nil {
			return err
		}
		if err := guard(i.Version); err != nil {
			return err
		}
		if err := open(facts); err != nil {
			return err
		}
		if err := c.apply(&i); err != nil {
			return err
		}
		event := "item.updated"
		if spot != nil {
			if !c.edits() {
				event = "item.moved"
			}
			position, err := h.position(ctx, tx, at, spot)
			if err != nil {
				return err
			}
			i.Position = position
		}
		i.Permissions = permitted(ctx, tx, facts)
		tx.Row(i.scan, updateItem, at.family, at.list, at.item, i.Name, i.Quantity, i.Unit, i.Note, i.Category, i.Barcode, i.Photo, i.Position)
		tx.Record(ctx, itemChange(event, at, facts, i.Version+1))
		return nil
	})
}

// mayChange asks for what the change does: editing, moving, or both. One that
// does nothing counts as editing.
func mayChange(ctx context.Context, tx *tenant.Tx, facts *tenant.List, c change) error {
	if c.After.Present {
		if err := tx.May(ctx, policy.ItemReorder, facts.Item()); err != nil || !c.edits() {
			return err
		}
	}
	return tx.May(ctx, policy.ItemEdit, facts.Item())
}

func (h *Items) delete(ctx context.Context, at where, guard func(version int64) error) error {
	return h.DB.Write(ctx, at.family, func(tx *tenant.Tx) error {
		var i Item
		facts := tx.List(at.list)
		tx.Row(i.scan, lockItem, at.family, at.list, at.item)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ItemRemove, facts.Item()); err != nil {
			return err
		}
		if err := guard(i.Version); err != nil {
			return err
		}
		if err := open(facts); err != nil {
			return err
		}
		tx.Queue(deleteItem, at.family, at.list, at.item)
		tx.Record(ctx, itemChange("item.removed", at, facts, 0))
		return nil
	})
}

// setChecked is what is done most of all, and mostly by somebody who did it a
// moment ago: hence the presumption.
func (h *Items) setChecked(ctx context.Context, at where, checked bool) (*Item, error) {
	var i Item
	event := "item.checked"
	if !checked {
		event = "item.unchecked"
	}
	held, err := h.DB.Presume(ctx, at.family, at.list, policy.ItemCheck, func(tx *tenant.Tx, facts *tenant.List) tenant.Alteration {
		i.Permissions = permitted(ctx, tx, facts)
		return tenant.Alteration{Change: itemChange(event, at, facts, 0), SQL: alterChecked, Args: []any{checked}, Scan: i.scan}
	})
	if held || err != nil {
		return &i, err
	}
	return &i, h.DB.Write(ctx, at.family, func(tx *tenant.Tx) error {
		facts := tx.List(at.list)
		tx.Row(i.scan, lockItem, at.family, at.list, at.item)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ItemCheck, facts.Item()); err != nil {
			return err
		}
		if err := open(facts); err != nil {
			return err
		}
		tx.Remember(facts)
		i.Permissions = permitted(ctx, tx, facts)
		if i.Checked == checked {
			return nil
		}
		version := i.Version + 1
		tx.Row(i.scan, updateChecked, at.family, at.list, at.item, checked, tx.Principal())
		tx.Record(ctx, itemChange(event, at, facts, version))
		return nil
	})
}

// open refuses changes on a list that was put away.
func open(facts *tenant.List) error {
	if facts.ArchivedAt == nil {
		return nil
	}
	return fault.New(fault.Conflict, "The list is archived. Bring it back first.").WithCode("archived")
}

func full() error {
	return fault.New(fault.Conflict, "The list is full. Remove some items first.").WithCode("too_many")
}

func itemChange(event string, at where, facts *tenant.List, version int64) tenant.Change {
	return tenant.Change{Event: event, List: at.list, PrivateTo: facts.Owner, Entity: at.item.String(), Version: version}
}
