package item

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/precondition"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// The database itself remembers what an item was before each change, whichever
// way that came: see the triggers of migration 0020. What is older than the family
// keeps it is gone for everybody, though its rows may take a while to go.
const (
	selectHistory = `
SELECT version, removed, changed_by, changed_at, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by,
       position, added_by, created_at
  FROM grocery.item_history WHERE family_id = $1 AND list_id = $2 AND item_id = $3
   AND changed_at > now() - make_interval(days => (SELECT f.history_days FROM grocery.families f WHERE f.id = $1))
 ORDER BY seq DESC LIMIT $4`

	revertItem = `
UPDATE grocery.items
   SET name = $4, quantity = $5::float8, unit = $6, note = $7, category = $8, barcode = $9, photo = $10, checked_at = $11, checked_by = $12,
       version = version + 1, updated_at = now()
 WHERE family_id = $1 AND list_id = $2 AND id = $3
RETURNING id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at`

	restoreItem = `
INSERT INTO grocery.items (family_id, list_id, id, private_to, name, quantity, unit, note, category, barcode, photo, checked_at, checked_by,
                           position, version, added_by, created_at)
VALUES ($1, $2, $3, nullif($4, ''), $5, $6::float8, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
RETURNING id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at`

	maxHistory = 50
)

// Past is what an item was until somebody changed it. Removed says that this
// change took it away.
type Past struct {
	Version   int64      `json:"version"`
	Removed   bool       `json:"removed"`
	ChangedBy string     `json:"changed_by"`
	ChangedAt time.Time  `json:"changed_at"`
	Name      string     `json:"name"`
	Quantity  *float64   `json:"quantity"`
	Unit      string     `json:"unit"`
	Note      string     `json:"note"`
	Category  string     `json:"category"`
	Barcode   string     `json:"barcode"`
	Photo     string     `json:"photo"`
	CheckedAt *time.Time `json:"checked_at"`
	CheckedBy *string    `json:"checked_by"`

	position  float64
	addedBy   string
	createdAt time.Time
}

func (p *Past) scan(row pgx.Row) error {
	return row.Scan(&p.Version, &p.Removed, &p.ChangedBy, &p.ChangedAt, &p.Name, &p.Quantity, &p.Unit, &p.Note, &p.Category, &p.Barcode,
		&p.Photo, &p.CheckedAt, &p.CheckedBy, &p.position, &p.addedBy, &p.createdAt)
}

// is reports whether the item, which is checked off, is again what it was before
// it was put back.
func (p *Past) is(i *Item) bool {
	return !p.Removed && p.CheckedAt != nil && p.CheckedAt.Equal(*i.CheckedAt) && equal(p.Quantity, i.Quantity) && p.Name == i.Name && p.Unit == i.Unit &&
		p.Note == i.Note && p.Category == i.Category && p.Barcode == i.Barcode && p.Photo == i.Photo
}

func (h *Items) history(w http.ResponseWriter, r *http.Request) error {
	at, err := path(r)
	if err != nil {
		return err
	}
	ctx, past := r.Context(), []Past{}
	err = h.DB.Read(ctx, at.family, func(tx *tenant.Tx) error {
		facts := tx.List(at.list)
		tenant.Rows(tx, &past, (*Past).scan, selectHistory, at.family, at.list, at.item, maxHistory)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.ListRead, facts.Resource())
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"history": past})
}

func (h *Items) undo(w http.ResponseWriter, r *http.Request) error {
	at, err := path(r)
	if err != nil {
		return err
	}
	i, err := h.revert(r.Context(), at, func(version int64) error { return precondition.Check(r, version) })
	if err != nil {
		return err
	}
	precondition.SetETag(w, i.Version, i.Permissions...)
	return write(w, http.StatusOK, i)
}

// undoing is an item about to be taken back to what it was.
type undoing struct {
	tx    *tenant.Tx
	at    where
	facts *tenant.List
	there *Item // nil when it was removed
	last  *Past // nil when nothing is remembered
	count int   // items on the list
}

// revert takes the last change of an item back, whoever made it; that of its
// place does not count. Who may make the opposite change may do that. Undone
// twice, it is as it was.
func (h *Items) revert(ctx context.Context, at where, guard func(version int64) error) (*Item, error) {
	var i Item
	return &i, h.DB.Write(ctx, at.family, func(tx *tenant.Tx) error {
		u := &undoing{tx: tx, at: at, facts: tx.List(at.list)}
		tenant.Maybe(tx, &u.there, (*Item).scan, lockItem, at.family, at.list, at.item)
		var past []Past
		tenant.Rows(tx, &past, (*Past).scan, selectHistory, at.family, at.list, at.item, 1)
		tx.Row(func(row pgx.Row) error { return row.Scan(&u.count) }, countItems, at.family, at.list)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if len(past) > 0 {
			u.last = &past[0]
		}
		return u.revert(ctx, &i, guard)
	})
}

func (u *undoing) revert(ctx context.Context, to *Item, guard func(version int64) error) error {
	gone := u.there == nil && u.last != nil && u.last.Removed
	switch {
	case gone:
		return u.restore(ctx, to)
	case u.there == nil:
		if err := u.tx.May(ctx, policy.ListRead, u.facts.Resource()); err != nil {
			return err
		}
		return fault.New(fault.NotFound, "There is no such item here.")
	}
	// Being checked off is not remembered: it came last if it came after what is, or if an undoing put it back as it was.
	checked := u.there.CheckedAt != nil && (u.last == nil || u.there.CheckedAt.After(u.last.ChangedAt) || u.last.is(u.there))
	action, event := policy.ItemEdit, "item.updated"
	if checked || u.last != nil && u.last.CheckedAt != nil && u.there.CheckedAt == nil {
		action, event = policy.ItemCheck, "item.checked"
	}
	if checked {
		event = "item.unchecked"
	}
	if err := u.tx.May(ctx, action, u.facts.Item()); err != nil {
		return err
	}
	if err := guard(u.there.Version); err != nil {
		return err
	}
	if err := open(u.facts); err != nil {
		return err
	}
	p := u.last
	switch {
	case checked:
		u.tx.Row(to.scan, updateChecked, u.at.family, u.at.list, u.at.item, false, u.tx.Principal())
	case p == nil || p.Removed:
		return nothingToUndo()
	default:
		u.tx.Row(to.scan, revertItem, u.at.family, u.at.list, u.at.item, p.Name, p.Quantity, p.Unit, p.Note, p.Category, p.Barcode, p.Photo,
			p.CheckedAt, p.CheckedBy)
	}
	to.Permissions = permitted(ctx, u.tx, u.facts)
	u.tx.Record(ctx, itemChange(event, u.at, u.facts, u.there.Version+1))
	return nil
}

// restore puts an item back that was removed, where it was.
func (u *undoing) restore(ctx context.Context, to *Item) error {
	if err := u.tx.May(ctx, policy.ItemAdd, u.facts.Item()); err != nil {
		return err
	}
	if err := open(u.facts); err != nil {
		return err
	}
	if u.count >= maxItems {
		return full()
	}
	p := u.last
	u.tx.Row(to.scan, restoreItem, u.at.family, u.at.list, u.at.item, u.facts.Owner, p.Name, p.Quantity, p.Unit, p.Note, p.Category, p.Barcode,
		p.Photo, p.CheckedAt, p.CheckedBy, p.position, p.Version+1, p.addedBy, p.createdAt)
	to.Permissions = permitted(ctx, u.tx, u.facts)
	u.tx.Record(ctx, itemChange("item.restored", u.at, u.facts, p.Version+1))
	return nil
}

func nothingToUndo() error {
	return fault.New(fault.Conflict, "There is nothing to undo.").WithCode("nothing_to_undo")
}
