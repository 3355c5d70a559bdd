package item

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/valid"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// selectByAisle sorts a list by the way through a store. What belongs to no
// aisle comes last; where only aisles count it is left out, unless nobody said
// what it is.
const (
	selectByAisle = `
SELECT id, list_id, name, quantity, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at, aisle
  FROM (SELECT i.id, i.list_id, i.name, i.quantity::float8, i.unit, i.note, i.category, i.barcode, i.photo, i.checked_at, i.checked_by, i.position,
               i.version, i.added_by, i.created_at, i.updated_at, coalesce(array_position(s.aisle_keys, lower(i.category)), $4) AS aisle
          FROM grocery.items i JOIN grocery.stores s ON s.family_id = i.family_id AND s.id = $3
         WHERE i.family_id = $1 AND i.list_id = $2
           AND (NOT s.only_aisles OR i.category = '' OR lower(i.category) = ANY (s.aisle_keys))) sorted
 WHERE (aisle, position, id) > ($5, $6, $7) ORDER BY aisle, position, id LIMIT $8`

	selectStoreName = `SELECT name FROM grocery.stores WHERE family_id = $1 AND id = $2`

	noAisle = 1000
)

// station is where a page by aisle begins.
type station struct {
	Aisle int `json:"a"`
	place
}

type withAisle struct {
	pgx.Rows
	aisle *int
}

// Scan reads the aisle behind the item.
func (r withAisle) Scan(dest ...any) error { return r.Rows.Scan(append(dest, r.aisle)...) }

// listByAisle is list, in the order of a store.
func (h *Items) listByAisle(w http.ResponseWriter, r *http.Request, at where, store string) error {
	asked, err := id.Parse(store)
	if err != nil {
		return valid.Parameter("store", "must be the id of a store")
	}
	after, collection := station{place: start()}, "items/"+at.family.String()+"/"+at.list.String()+"/"+asked.String()
	limit, err := h.Cursors.Page(r, collection, &after)
	if err != nil {
		return err
	}
	items, aisles, err := h.selectByAisle(r.Context(), at, asked, after, limit+1)
	if err != nil {
		return err
	}
	var next string
	if len(items) > limit {
		items = items[:limit]
		last := items[limit-1]
		if next, err = h.Cursors.Next(r, collection, station{aisles[limit-1], place{last.Position, last.ID}}); err != nil {
			return err
		}
	}
	return h.writePage(w, items, next)
}

func (h *Items) selectByAisle(ctx context.Context, at where, store id.ID, after station, limit int) (items []Item, aisles []int, err error) {
	err = h.DB.Read(ctx, at.family, func(tx *tenant.Tx) error {
		var name string
		facts := tx.List(at.list)
		tx.Row(func(row pgx.Row) error { return row.Scan(&name) }, selectStoreName, at.family, store)
		tx.Queue(selectByAisle, at.family, at.list, store, noAisle, after.Aisle, after.Position, after.ID, limit).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var i Item
				var aisle int
				if err := i.scan(withAisle{rows, &aisle}); err != nil {
					return err
				}
				items, aisles = append(items, i), append(aisles, aisle)
			}
			return rows.Err()
		})
		if err := tx.SendFor(ctx, policy.KitchenRead); err != nil {
			return err
		}
		return mayRead(ctx, tx, facts, items)
	})
	return items, aisles, err
}
