package item

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/shopping"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	lockOpen = `
SELECT id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at
  FROM grocery.items WHERE family_id = $1 AND list_id = $2 AND checked_at IS NULL ORDER BY position, id FOR UPDATE`

	// lockSame looks only at what could be the same: its words are compared as shopping.Key does.
	lockSame = `
SELECT id, list_id, name, quantity::float8, unit, note, category, barcode, photo, checked_at, checked_by, position, version, added_by, created_at, updated_at
  FROM grocery.items
 WHERE family_id = $1 AND list_id = $2 AND checked_at IS NULL AND lower(regexp_replace(normalize(name), '\s+', ' ', 'g')) = ANY ($3)
 ORDER BY position, id FOR UPDATE`
)

func (i *Item) thing() shopping.Thing {
	return shopping.Thing{Name: i.Name, Quantity: i.Quantity, Unit: i.Unit, Note: i.Note, Category: i.Category, Barcode: i.Barcode, Photo: i.Photo}
}

// become takes over what two things made.
func (i *Item) become(t shopping.Thing) {
	i.Quantity, i.Unit, i.Note, i.Category, i.Barcode, i.Photo = t.Quantity, t.Unit, t.Note, t.Category, t.Barcode, t.Photo
}

func (h *Items) merge(w http.ResponseWriter, r *http.Request) error {
	at, err := path(r)
	if err != nil {
		return err
	}
	kept, removed, err := h.mergeAll(r.Context(), at)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"items": kept, "removed": removed})
}

func (h *Items) mergeAll(ctx context.Context, at where) (kept []*Item, removed []id.ID, err error) {
	kept, removed = []*Item{}, []id.ID{}
	err = h.DB.Write(ctx, at.family, func(tx *tenant.Tx) error {
		facts := tx.List(at.list)
		var all []*Item
		queueItems(tx, &all, lockOpen, at.family, at.list)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		for _, action := range []policy.Action{policy.ItemEdit, policy.ItemRemove} {
			if err := tx.May(ctx, action, facts.Item()); err != nil {
				return err
			}
		}
		if err := open(facts); err != nil {
			return err
		}
		var grown []*Item
		grown, removed = duplicates(all)
		for _, one := range removed {
			at.item = one
			tx.Queue(deleteItem, at.family, at.list, one)
			tx.Record(ctx, itemChange("item.removed", at, facts, 0))
		}
		for _, i := range grown {
			at.item = i.ID
			queueUpdate(ctx, tx, at, facts, i)
		}
		kept = append(kept, grown...)
		return nil
	})
	return kept, removed, err
}

func queueItems(tx *tenant.Tx, all *[]*Item, sql string, args ...any) {
	tx.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			i := &Item{}
			if err := i.scan(rows); err != nil {
				return err
			}
			*all = append(*all, i)
		}
		return rows.Err()
	})
}

func queueUpdate(ctx context.Context, tx *tenant.Tx, at where, facts *tenant.List, i *Item) {
	version := i.Version + 1
	tx.Row(i.scan, updateItem, at.family, at.list, at.item, i.Name, i.Quantity, i.Unit, i.Note, i.Category, i.Barcode, i.Photo, i.Position)
	tx.Record(ctx, itemChange("item.updated", at, facts, version))
}

// duplicates merges each item into the first one that is the same, and returns
// those that grew and the ids of those that are in others now.
func duplicates(all []*Item) (grown []*Item, removed []id.ID) {
	removed = []id.ID{}
	first := map[string][]*Item{}
	for _, i := range all {
		key := shopping.Key(i.Name)
		into := slices.IndexFunc(first[key], func(other *Item) bool {
			merged, same := shopping.Merge(other.thing(), i.thing())
			if same {
				other.become(merged)
			}
			return same
		})
		if into < 0 {
			first[key] = append(first[key], i)
			continue
		}
		removed = append(removed, i.ID)
		if other := first[key][into]; !slices.Contains(grown, other) {
			grown = append(grown, other)
		}
	}
	return grown, removed
}

// Put sees to it that things are on a list, after the caller's transaction asked
// for leave: each is added to the open item that is the same, else to the end.
// It sends what is queued, and returns the items in which the things are.
func (h *Items) Put(ctx context.Context, tx *tenant.Tx, facts *tenant.List, things []shopping.Thing) ([]id.ID, error) {
	if err := open(facts); err != nil {
		return nil, err
	}
	at := where{family: tx.Family, list: facts.ID}
	keys := make([]string, 0, len(things))
	for _, t := range things {
		keys = append(keys, shopping.Key(t.Name))
	}
	var (
		same  []*Item
		count int
	)
	queueItems(tx, &same, lockSame, at.family, at.list, keys)
	tx.Row(func(row pgx.Row) error { return row.Scan(&count) }, countItems, at.family, at.list)
	end := queueSpot(tx, at, nil, true)
	if err := tx.Send(ctx); err != nil {
		return nil, err
	}
	position, _ := end.between() // there is always room behind the last one
	there := len(same)
	for n, t := range things {
		same = append(same, &Item{ID: id.New(), Position: position + float64(n)*gap, Name: t.Name, Quantity: t.Quantity, Unit: t.Unit, Note: t.Note, Category: t.Category, Barcode: t.Barcode, Photo: t.Photo})
	}
	touched, merged := putTogether(same[:there], same[there:])
	ids := make([]id.ID, 0, len(touched))
	// In the order of names, so that two who put the same things take turns.
	slices.SortStableFunc(touched, func(a, b *Item) int { return strings.Compare(shopping.Key(a.Name), shopping.Key(b.Name)) })
	for _, i := range touched {
		at.item = i.ID
		ids = append(ids, i.ID)
		if merged[i] {
			queueUpdate(ctx, tx, at, facts, i)
			continue
		}
		if count++; count > maxItems {
			return nil, full()
		}
		tx.Row(i.scan, insertItem, at.family, at.list, i.ID, facts.Owner, i.Name, i.Quantity, i.Unit, i.Note, i.Category, i.Barcode, i.Photo,
			i.Position, tx.Principal())
		tx.Record(ctx, itemChange("item.added", at, facts, 1))
	}
	return ids, nil
}

// Replace is Put for what is wanted once at a time: a thing of which something
// is on the list still is left as it is.
func (h *Items) Replace(ctx context.Context, tx *tenant.Tx, facts *tenant.List, things []shopping.Thing) ([]id.ID, error) {
	keys := make([]string, 0, len(things))
	for _, t := range things {
		keys = append(keys, shopping.Key(t.Name))
	}
	var there []*Item
	queueItems(tx, &there, lockSame, tx.Family, facts.ID, keys)
	if err := tx.Send(ctx); err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(things), func(t shopping.Thing) bool {
		return slices.ContainsFunc(there, func(i *Item) bool { return shopping.Key(i.Name) == shopping.Key(t.Name) })
	})
	if len(missing) == 0 {
		return nil, nil
	}
	return h.Put(ctx, tx, facts, missing)
}

// putTogether merges what is to come into what is there, and into each other.
func putTogether(there, coming []*Item) (touched []*Item, merged map[*Item]bool) {
	merged = map[*Item]bool{}
	all := slices.Clone(there)
	for _, c := range coming {
		into := slices.IndexFunc(all, func(other *Item) bool {
			sum, same := shopping.Merge(other.thing(), c.thing())
			if same {
				other.become(sum)
			}
			return same
		})
		switch {
		case into < 0:
			all, touched = append(all, c), append(touched, c)
		case into < len(there) && !merged[all[into]]:
			merged[all[into]], touched = true, append(touched, all[into])
		}
	}
	return touched, merged
}
