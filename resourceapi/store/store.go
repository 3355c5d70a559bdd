package store

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/kitchen"
	"larder/resourceapi/tenant"
)

const (
	maxStores = 50  // of one family
	maxAisles = 100 // of one store
)

// Stores answers for stores and prices.
type Stores struct {
	kitchen.Shelf[Store, change, *Store]
}

// Store is a place to shop. Aisles are categories in the order of the way
// through it; OnlyAisles says that nothing else is bought there.
type Store struct {
	kitchen.Entry
	Aisles     []string `json:"aisles"`
	OnlyAisles bool     `json:"only_aisles"`
}

// New returns the stores of db's families.
func New(db *tenant.DB) *Stores {
	return &Stores{kitchen.Shelf[Store, change, *Store]{
		DB: db, Noun: "store", Path: "stores", Param: "store_id",
		Events: kitchen.Events{Added: "store.created", Changed: "store.updated", Removed: "store.deleted"},
		SQL: kitchen.SQL{
			All: selectStores, Some: selectSome, Count: countStores, Insert: insertStore, Update: updateStore, Delete: deleteStore,
		},
		Most: maxStores, Full: "The family has too many stores. Delete some first.",
	}}
}

// Mount adds the routes.
func (h *Stores) Mount(rt *web.Router) {
	const prices = "/v1/families/{family_id}/stores/{store_id}/prices"
	h.Shelf.Mount(rt)
	rt.Handle(http.MethodGet, prices, h.prices)
	rt.Handle(http.MethodPost, prices, h.notePrice)
}

const (
	selectStores = `
SELECT id, name, aisles, only_aisles, version, created_by, created_at, updated_at
  FROM grocery.stores WHERE family_id = $1 ORDER BY lower(name), id LIMIT 50`

	selectSome = `
SELECT id, name, aisles, only_aisles, version, created_by, created_at, updated_at
  FROM grocery.stores WHERE family_id = $1 AND id = ANY ($2)`

	countStores = `SELECT count(*) FROM grocery.stores WHERE family_id = $1`

	insertStore = `
INSERT INTO grocery.stores (family_id, id, name, aisles, aisle_keys, only_aisles, created_by)
VALUES ($1, $2, $3, $4::text[], ARRAY(SELECT lower(a) FROM unnest($4::text[]) WITH ORDINALITY u(a, n) ORDER BY n), $5, $6)
RETURNING id, name, aisles, only_aisles, version, created_by, created_at, updated_at`

	updateStore = `
UPDATE grocery.stores
   SET name = $3, aisles = $4::text[], aisle_keys = ARRAY(SELECT lower(a) FROM unnest($4::text[]) WITH ORDINALITY u(a, n) ORDER BY n),
       only_aisles = $5, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, name, aisles, only_aisles, version, created_by, created_at, updated_at`

	deleteStore = `DELETE FROM grocery.stores WHERE family_id = $1 AND id = $2`
)

// Scan reads a row.
func (s *Store) Scan(row pgx.Row) error {
	return row.Scan(&s.ID, &s.Name, &s.Aisles, &s.OnlyAisles, &s.Version, &s.CreatedBy, &s.CreatedAt, &s.UpdatedAt)
}

// Values are those that are written.
func (s *Store) Values() []any { return []any{s.Name, s.Aisles, s.OnlyAisles} }

type change struct {
	Name       valid.Field[string]   `json:"name"`
	Aisles     valid.Field[[]string] `json:"aisles"`
	OnlyAisles valid.Field[bool]     `json:"only_aisles"`
}

// Apply makes of a store what is asked for.
func (c change) Apply(to *Store) error {
	var f valid.Form
	to.Name = f.Text("/name", c.Name.Or(&f, "/name", to.Name), 1, 200)
	to.Aisles = aisles(&f, c.Aisles.Or(&f, "/aisles", to.Aisles))
	to.OnlyAisles = c.OnlyAisles.Or(&f, "/only_aisles", to.OnlyAisles)
	return f.Err()
}

// aisles holds that there are not too many, and none twice.
func aisles(f *valid.Form, names []string) []string {
	if len(names) > maxAisles {
		f.Fault("/aisles", "must be at most "+strconv.Itoa(maxAisles))
		return names
	}
	kept, seen := make([]string, 0, len(names)), make([]string, 0, len(names))
	for i, name := range names {
		pointer := "/aisles/" + strconv.Itoa(i)
		name = f.Text(pointer, name, 1, 64)
		if key := shopping.Key(name); slices.Contains(seen, key) {
			f.Fault(pointer, "is there twice")
		} else {
			kept, seen = append(kept, name), append(seen, key)
		}
	}
	return kept
}
