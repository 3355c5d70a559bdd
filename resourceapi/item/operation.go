package item

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// operation is what a client did to an item while it was offline.
type operation struct {
	OperationID id.ID  `json:"operation_id"`
	Op          string `json:"op"`
	ListID      id.ID  `json:"list_id"`
	ItemID      id.ID  `json:"item_id"`
	// Version is that of the item which the client acted upon; 0 when it does
	// not say.
	Version int64              `json:"version"`
	Fields  edits              `json:"fields"`
	After   valid.Field[id.ID] `json:"after"`
}

// edit changes one member from what the client knew to what it wants.
type edit[T any] struct {
	Base  T `json:"base"`
	Value T `json:"value"`
}

type edits struct {
	Name     *edit[string]   `json:"name"`
	Quantity *edit[*float64] `json:"quantity"`
	Unit     *edit[string]   `json:"unit"`
	Note     *edit[string]   `json:"note"`
	Category *edit[string]   `json:"category"`
	Barcode  *edit[string]   `json:"barcode"`
	Photo    *edit[string]   `json:"photo"`
}

// The kinds of operation.
const (
	opAdd     = "item.add"
	opEdit    = "item.edit"
	opMove    = "item.move"
	opCheck   = "item.check"
	opUncheck = "item.uncheck"
	opRemove  = "item.remove"
)

func readOperation(op tenant.Operation) (*operation, error) {
	var o operation
	if err := web.ReadJSON(op.Body, &o); err != nil {
		return nil, err
	}
	var f valid.Form
	f.OneOf("/op", o.Op, opAdd, opEdit, opMove, opCheck, opUncheck, opRemove)
	if o.ListID.IsZero() {
		f.Fault("/list_id", "is required")
	}
	if o.ItemID.IsZero() {
		f.Fault("/item_id", "is required")
	}
	if o.Op == opMove && !o.After.Present {
		f.Fault("/after", "is required")
	}
	o.Fields.check(&f, o.Op == opAdd)
	return &o, f.Err()
}

func (e *edits) check(f *valid.Form, adding bool) {
	text := func(pointer string, t *edit[string], least, most int) {
		if t != nil {
			t.Value = f.Text("/fields/"+pointer+"/value", t.Value, least, most)
			t.Base = strings.TrimSpace(t.Base)
		}
	}
	text("name", e.Name, 1, 200)
	text("unit", e.Unit, 0, 32)
	text("note", e.Note, 0, 1000)
	text("category", e.Category, 0, 64)
	if e.Barcode != nil {
		checkBarcode(f, "/fields/barcode/value", e.Barcode.Value)
	}
	if e.Photo != nil {
		checkPhoto(f, "/fields/photo/value", e.Photo.Value)
	}
	if e.Quantity != nil {
		checkQuantity(f, e.Quantity.Value)
	}
	if adding && e.Name == nil {
		f.Fault("/fields/name", "is required")
	}
}

// merge changes i as the edits say, save where it is neither what the client
// knew nor what it wants: those members it returns.
func (e *edits) merge(i *Item) (changed bool, conflicts []string) {
	text := func(name string, t *edit[string], now *string) {
		switch {
		case t == nil || t.Value == *now:
		case t.Base == *now:
			*now, changed = t.Value, true
		default:
			conflicts = append(conflicts, name)
		}
	}
	text("name", e.Name, &i.Name)
	text("unit", e.Unit, &i.Unit)
	text("note", e.Note, &i.Note)
	text("category", e.Category, &i.Category)
	text("barcode", e.Barcode, &i.Barcode)
	text("photo", e.Photo, &i.Photo)
	switch q := e.Quantity; {
	case q == nil || equal(q.Value, i.Quantity):
	case equal(q.Base, i.Quantity):
		i.Quantity, changed = q.Value, true
	default:
		conflicts = append(conflicts, "quantity")
	}
	return changed, conflicts
}

func equal(a, b *float64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// Apply carries out an operation, once however often it is sent. A member that
// somebody else has changed meanwhile stays as it is and is reported; the
// others change. An operation that cannot be carried out is an error.
func (h *Items) Apply(ctx context.Context, family id.ID, op tenant.Operation) (tenant.Outcome, error) {
	o, err := readOperation(op)
	if err != nil {
		return tenant.Outcome{}, err
	}
	return h.apply(ctx, family, op, o)
}

// deed is an operation under way.
type deed struct {
	*operation
	tx    *tenant.Tx
	at    where
	facts *tenant.List
	there *Item // nil when it is gone
	after Item  // what it became
	count int   // items on the list
	spot  *spot
}

func (h *Items) apply(ctx context.Context, family id.ID, op tenant.Operation, o *operation) (out tenant.Outcome, err error) {
	d := &deed{operation: o, at: where{family, o.ListID, o.ItemID}}
	err = h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		d.tx, d.facts = tx, tx.List(o.ListID)
		once := tx.Once(op)
		d.look()
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, o.action(), d.facts.Item()); err != nil {
			return err
		}
		if err := once.Check(); err != nil {
			return err
		}
		if once.Before != nil {
			out = *once.Before
			d.keep()
			return nil
		}
		if err := open(d.facts); err != nil {
			return err
		}
		out, err = h.carryOut(ctx, d)
		if err == nil {
			once.Done(out)
		}
		return err
	})
	if d.after.ID == o.ItemID {
		out.Current = d.after
	}
	return out, err
}

func (o *operation) action() policy.Action {
	switch o.Op {
	case opAdd:
		return policy.ItemAdd
	case opMove:
		return policy.ItemReorder
	case opCheck, opUncheck:
		return policy.ItemCheck
	case opRemove:
		return policy.ItemRemove
	}
	return policy.ItemEdit
}

// look queues the reading of what the operation is about.
func (d *deed) look() {
	tenant.Maybe(d.tx, &d.there, (*Item).scan, lockItem, d.at.family, d.at.list, d.at.item)
	switch d.Op {
	case opAdd:
		d.tx.Row(func(row pgx.Row) error { return row.Scan(&d.count) }, countItems, d.at.family, d.at.list)
		d.spot = queueSpot(d.tx, d.at, d.After.Value, !d.After.Present)
	case opMove:
		d.spot = queueSpot(d.tx, d.at, d.After.Value, false)
	}
}

// keep has the item stay as it is.
func (d *deed) keep() {
	if d.there != nil {
		d.after = *d.there
	}
}

// outcome is that of an operation which met nobody else's change of the same
// thing.
func (d *deed) outcome() tenant.Outcome {
	if d.Version != 0 && d.there != nil && d.there.Version != d.Version {
		return tenant.Outcome{Status: tenant.Merged}
	}
	return tenant.Outcome{Status: tenant.Applied}
}

func (h *Items) carryOut(ctx context.Context, d *deed) (tenant.Outcome, error) {
	switch {
	case d.Op == opAdd:
		return h.add(ctx, d)
	case d.Op == opRemove:
		return d.remove(ctx), nil
	case d.there == nil: // somebody removed it
		return tenant.Outcome{Status: tenant.Conflict}, nil
	}
	d.keep()
	switch d.Op {
	case opCheck, opUncheck:
		d.check(ctx)
		return d.outcome(), nil
	case opMove:
		return h.move(ctx, d)
	}
	changed, conflicts := d.Fields.merge(&d.after)
	if changed {
		d.update(ctx, "item.updated")
	}
	if len(conflicts) > 0 {
		return tenant.Outcome{Status: tenant.Conflict, Conflicts: conflicts}, nil
	}
	return d.outcome(), nil
}

func (d *deed) update(ctx context.Context, event string) {
	i := &d.after
	version := i.Version + 1
	d.tx.Row(i.scan, updateItem, d.at.family, d.at.list, d.at.item, i.Name, i.Quantity, i.Unit, i.Note, i.Category, i.Barcode, i.Photo, i.Position)
	d.tx.Record(ctx, itemChange(event, d.at, d.facts, version))
}

func (h *Items) add(ctx context.Context, d *deed) (tenant.Outcome, error) {
	var made Item
	d.Fields.zeroBases()
	_, _ = d.Fields.merge(&made)
	switch {
	case d.there != nil && d.there.AddedBy != d.tx.Principal():
		return tenant.Outcome{}, tenant.Taken()
	case d.there != nil: // it came by another way, or so long ago that it is forgotten
		d.keep()
		return d.outcome(), nil
	case d.count >= maxItems:
		return tenant.Outcome{}, full()
	}
	if d.spot.after != nil && !d.spot.known { // what it was to come behind is gone: the end will do
		d.spot = queueSpot(d.tx, d.at, nil, true)
		if err := d.tx.Send(ctx); err != nil {
			return tenant.Outcome{}, err
		}
	}
	position, err := h.position(ctx, d.tx, d.at, d.spot)
	if err != nil {
		return tenant.Outcome{}, err
	}
	d.tx.Row(d.after.scan, insertItem, d.at.family, d.at.list, d.at.item, d.facts.Owner,
		made.Name, made.Quantity, made.Unit, made.Note, made.Category, made.Barcode, made.Photo, position, d.tx.Principal())
	d.tx.Record(ctx, itemChange("item.added", d.at, d.facts, 1))
	return d.outcome(), nil
}

// zeroBases has every edit begin at nothing, as an item does that is new.
func (e *edits) zeroBases() {
	for _, t := range []*edit[string]{e.Name, e.Unit, e.Note, e.Category, e.Barcode, e.Photo} {
		if t != nil {
			t.Base = ""
		}
	}
	if e.Quantity != nil {
		e.Quantity.Base = nil
	}
}

func (h *Items) move(ctx context.Context, d *deed) (tenant.Outcome, error) {
	if d.spot.after != nil && !d.spot.known {
		return tenant.Outcome{Status: tenant.Conflict, Conflicts: []string{"after"}}, nil
	}
	position, err := h.position(ctx, d.tx, d.at, d.spot)
	if err != nil {
		return tenant.Outcome{}, err
	}
	d.after.Position = position
	d.update(ctx, "item.moved")
	return d.outcome(), nil
}

func (d *deed) check(ctx context.Context) {
	checked, event := d.Op == opCheck, "item.checked"
	if d.after.Checked == checked {
		return
	}
	if !checked {
		event = "item.unchecked"
	}
	version := d.after.Version + 1
	d.tx.Row(d.after.scan, updateChecked, d.at.family, d.at.list, d.at.item, checked, d.tx.Principal())
	d.tx.Record(ctx, itemChange(event, d.at, d.facts, version))
}

// remove keeps what somebody changed since the client last saw it: that change
// would be lost.
func (d *deed) remove(ctx context.Context) tenant.Outcome {
	switch {
	case d.there == nil:
		return tenant.Outcome{Status: tenant.Applied}
	case d.Version != 0 && d.Version != d.there.Version:
		d.keep()
		return tenant.Outcome{Status: tenant.Conflict}
	}
	d.tx.Queue(deleteItem, d.at.family, d.at.list, d.at.item)
	d.tx.Record(ctx, itemChange("item.removed", d.at, d.facts, 0))
	return tenant.Outcome{Status: tenant.Applied}
}

const (
	selectCurrent = `
SELECT id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at
  FROM grocery.items WHERE family_id = $1 AND id = ANY ($2)`

	// selectWhole is a statement of its own: with an OR between them, neither
	// would go by its index alone.
	selectWhole = `
SELECT id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at
  FROM grocery.items WHERE family_id = $1 AND list_id = ANY ($2)`
)

// Current reads items, and all those of whole lists, as the caller may see
// them; what is gone is not among them.
func (h *Items) Current(ctx context.Context, family id.ID, items, whole []id.ID) (map[id.ID]any, error) {
	found := make(map[id.ID]any, len(items))
	return found, h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		for _, asked := range []struct {
			sql string
			ids []id.ID
		}{{selectCurrent, items}, {selectWhole, whole}} {
			if len(asked.ids) > 0 {
				tx.Queue(asked.sql, family, asked.ids).Query(func(rows pgx.Rows) error { return scanInto(found, rows) })
			}
		}
		return tx.SendFor(ctx, policy.FeedRead)
	})
}

func scanInto(found map[id.ID]any, rows pgx.Rows) error {
	for rows.Next() {
		var i Item
		if err := i.scan(rows); err != nil {
			return err
		}
		found[i.ID] = i
	}
	return rows.Err()
}
