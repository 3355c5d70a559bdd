package suggest

import (
	"github.com/jackc/pgx/v5"

	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/resourceapi/kitchen"
	"larder/resourceapi/tenant"
)

const maxFavourites = 200 // of one family

// Favourites answers for what a family always likes to see suggested.
type Favourites = kitchen.Shelf[Favourite, change, *Favourite]

// Favourite is something that the family always likes to see suggested. There is
// one of a name.
type Favourite struct {
	kitchen.Entry
	Quantity *float64 `json:"quantity"`
	Unit     string   `json:"unit"`
	Category string   `json:"category"`
}

// NewFavourites returns the favourites of db's families.
func NewFavourites(db *tenant.DB) *Favourites {
	return &Favourites{
		DB: db, Noun: "favourite", Path: "favourites", Param: "favourite_id",
		Events: kitchen.Events{Added: "favourite.created", Changed: "favourite.updated", Removed: "favourite.deleted"},
		SQL: kitchen.SQL{
			All: selectFavourites, Some: selectSome, Namesake: selectNamesake,
			Count: countFavourites, Insert: insertFavourite, Update: updateFavourite, Delete: deleteFavourite,
		},
		Most: maxFavourites, Full: "The family has too many favourites. Delete some first.",
	}
}

const (
	selectFavourites = `
SELECT id, name, quantity::float8, unit, category, version, created_by, created_at, updated_at
  FROM grocery.favourites WHERE family_id = $1 ORDER BY name_key LIMIT 200`

	selectSome = `
SELECT id, name, quantity::float8, unit, category, version, created_by, created_at, updated_at
  FROM grocery.favourites WHERE family_id = $1 AND id = ANY ($2)`

	selectNamesake = `
SELECT id, name, quantity::float8, unit, category, version, created_by, created_at, updated_at
  FROM grocery.favourites WHERE family_id = $1 AND name_key = $2`

	countFavourites = `SELECT count(*) FROM grocery.favourites WHERE family_id = $1`

	insertFavourite = `
INSERT INTO grocery.favourites (family_id, id, name, name_key, quantity, unit, category, created_by)
VALUES ($1, $2, $3, $4, $5::float8, $6, $7, $8)
RETURNING id, name, quantity::float8, unit, category, version, created_by, created_at, updated_at`

	updateFavourite = `
UPDATE grocery.favourites
   SET name = $3, name_key = $4, quantity = $5::float8, unit = $6, category = $7, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, name, quantity::float8, unit, category, version, created_by, created_at, updated_at`

	deleteFavourite = `DELETE FROM grocery.favourites WHERE family_id = $1 AND id = $2`
)

// Scan reads a row.
func (t *Favourite) Scan(row pgx.Row) error {
	return row.Scan(&t.ID, &t.Name, &t.Quantity, &t.Unit, &t.Category, &t.Version, &t.CreatedBy, &t.CreatedAt, &t.UpdatedAt)
}

// Values are those that are written.
func (t *Favourite) Values() []any {
	return []any{t.Name, shopping.Key(t.Name), t.Quantity, t.Unit, t.Category}
}

type change struct {
	Name     valid.Field[string]  `json:"name"`
	Quantity valid.Field[float64] `json:"quantity"`
	Unit     valid.Field[string]  `json:"unit"`
	Category valid.Field[string]  `json:"category"`
}

// Apply makes of a favourite what is asked for.
func (c change) Apply(to *Favourite) error {
	var f valid.Form
	to.Name = f.Text("/name", c.Name.Or(&f, "/name", to.Name), 1, 200)
	to.Quantity = c.Quantity.OrNull(to.Quantity)
	to.Unit = f.Text("/unit", c.Unit.Or(&f, "/unit", to.Unit), 0, 32)
	to.Category = f.Text("/category", c.Category.Or(&f, "/category", to.Category), 0, 64)
	if to.Quantity != nil && !shopping.ValidQuantity(*to.Quantity) {
		f.Fault("/quantity", "must be more than 0, with at most three decimals")
	}
	return f.Err()
}
