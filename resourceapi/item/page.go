package item

import (
	"context"
	"math"
	"net/http"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const selectItems = `
SELECT id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at
  FROM grocery.items WHERE family_id = $1 AND list_id = $2 AND (position, id) > ($3, $4) ORDER BY position, id LIMIT $5`

// place is where a page begins: after the item at this position.
type place struct {
	Position float64 `json:"p"`
	ID       id.ID   `json:"i"`
}

// start lies before every item; the nil UUID would be NULL to the database.
func start() place { return place{-math.MaxFloat64, id.ID{15: 1}} }

func (h *Items) list(w http.ResponseWriter, r *http.Request) error {
	at, err := path(r)
	if err != nil {
		return err
	}
	if store := r.URL.Query().Get("store"); store != "" {
		return h.listByAisle(w, r, at, store)
	}
	after, collection := start(), "items/"+at.family.String()+"/"+at.list.String()
	limit, err := h.Cursors.Page(r, collection, &after)
	if err != nil {
		return err
	}
	items, err := h.selectPage(r.Context(), at, after, limit+1)
	if err != nil {
		return err
	}
	var next string
	if len(items) > limit {
		items = items[:limit]
		last := items[limit-1]
		if next, err = h.Cursors.Next(r, collection, place{last.Position, last.ID}); err != nil {
			return err
		}
	}
	return h.writePage(w, items, next)
}

// mayRead asks whether the caller may read the list, and tells him of each of
// its items what he may do to it: to the policy they are all alike.
func mayRead(ctx context.Context, tx *tenant.Tx, facts *tenant.List, items []Item) error {
	if err := tx.May(ctx, policy.ListRead, facts.Resource()); err != nil {
		return err
	}
	may := permitted(ctx, tx, facts)
	for i := range items {
		items[i].Permissions = may
	}
	return nil
}

// permitted lists what the caller may do to an item of the list.
func permitted(ctx context.Context, tx *tenant.Tx, facts *tenant.List) []string {
	return tx.Permitted(ctx, facts.Item(), policy.ItemEdit, policy.ItemCheck, policy.ItemRemove, policy.ItemReorder)
}

func (h *Items) selectPage(ctx context.Context, at where, after place, limit int) ([]Item, error) {
	items := make([]Item, 0, limit)
	err := h.DB.Read(ctx, at.family, func(tx *tenant.Tx) error {
		facts := tx.List(at.list)
		tx.Queue(selectItems, at.family, at.list, after.Position, after.ID, limit).Query(func(rows pgx.Rows) (err error) {
			items, err = collect(items, rows)
			return err
		})
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return mayRead(ctx, tx, facts, items)
	})
	return items, err
}

// collect appends the items of the rows. All are read into one place, so that
// the pointers to its columns are made once.
func collect(items []Item, rows pgx.Rows) ([]Item, error) {
	var i Item
	columns := i.columns()
	for rows.Next() {
		if err := rows.Scan(columns...); err != nil {
			return nil, err
		}
		i.Checked = i.CheckedAt != nil
		items = append(items, i)
	}
	return items, rows.Err()
}
