package pantry

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/resourceapi/kitchen"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const maxStocks = 500 // of one family

// Items puts things on a list, after leave to add there.
type Items interface {
	Put(ctx context.Context, tx *tenant.Tx, facts *tenant.List, things []shopping.Thing) ([]id.ID, error)
}

// Pantry answers for what is in the house.
type Pantry = kitchen.Shelf[Stock, change, *Stock]

// Stock is how much there is of something. ListID is the list that is fed when
// there is less than Minimum.
type Stock struct {
	kitchen.Entry
	Quantity float64  `json:"quantity"`
	Unit     string   `json:"unit"`
	Category string   `json:"category"`
	Minimum  *float64 `json:"minimum"`
	ListID   *id.ID   `json:"list_id"`
	// NotFed says why a change that was to feed the list did not; only in the answer
	// to that change.
	NotFed string `json:"not_fed,omitempty"`
}

// Why a list took nothing.
const (
	listFull     = "list_full"
	listArchived = "list_archived"
)

// New returns the pantries of db's families, which feed lists by items.
func New(db *tenant.DB, items Items) *Pantry {
	return &Pantry{
		DB: db, Noun: "pantry", Path: "pantry", Param: "stock_id",
		Events: kitchen.Events{Added: "pantry.added", Changed: "pantry.updated", Removed: "pantry.removed"},
		SQL: kitchen.SQL{
			All: selectStocks, Some: selectSome, Count: countStocks, Insert: insertStock, Update: updateStock, Delete: deleteStock,
		},
		Most: maxStocks, Full: "The pantry is full. Remove something first.",
		Settle: feeder{items}.feed,
	}
}

const (
	selectStocks = `
SELECT id, name, quantity::float8, unit, category, minimum::float8, list_id, version, created_by, created_at, updated_at
  FROM grocery.pantry WHERE family_id = $1 ORDER BY lower(name), id LIMIT 500`

	selectSome = `
SELECT id, name, quantity::float8, unit, category, minimum::float8, list_id, version, created_by, created_at, updated_at
  FROM grocery.pantry WHERE family_id = $1 AND id = ANY ($2)`

	countStocks = `SELECT count(*) FROM grocery.pantry WHERE family_id = $1`

	insertStock = `
INSERT INTO grocery.pantry (family_id, id, name, quantity, unit, category, minimum, list_id, created_by)
VALUES ($1, $2, $3, $4::float8, $5, $6, $7::float8, $8, $9)
RETURNING id, name, quantity::float8, unit, category, minimum::float8, list_id, version, created_by, created_at, updated_at`

	updateStock = `
UPDATE grocery.pantry
   SET name = $3, quantity = $4::float8, unit = $5, category = $6, minimum = $7::float8, list_id = $8, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, name, quantity::float8, unit, category, minimum::float8, list_id, version, created_by, created_at, updated_at`

	deleteStock = `DELETE FROM grocery.pantry WHERE family_id = $1 AND id = $2`
)

// Scan reads a row.
func (s *Stock) Scan(row pgx.Row) error {
	return row.Scan(&s.ID, &s.Name, &s.Quantity, &s.Unit, &s.Category, &s.Minimum, &s.ListID, &s.Version, &s.CreatedBy, &s.CreatedAt, &s.UpdatedAt)
}

// Values are those that are written.
func (s *Stock) Values() []any {
	return []any{s.Name, s.Quantity, s.Unit, s.Category, s.Minimum, s.ListID}
}

type change struct {
	Name     valid.Field[string]  `json:"name"`
	Quantity valid.Field[float64] `json:"quantity"`
	Unit     valid.Field[string]  `json:"unit"`
	Category valid.Field[string]  `json:"category"`
	Minimum  valid.Field[float64] `json:"minimum"`
	ListID   valid.Field[id.ID]   `json:"list_id"`
}

// Apply makes of a stock what is asked for.
func (c change) Apply(to *Stock) error {
	var f valid.Form
	to.Name = f.Text("/name", c.Name.Or(&f, "/name", to.Name), 1, 200)
	to.Quantity = c.Quantity.Or(&f, "/quantity", to.Quantity)
	to.Unit = f.Text("/unit", c.Unit.Or(&f, "/unit", to.Unit), 0, 32)
	to.Category = f.Text("/category", c.Category.Or(&f, "/category", to.Category), 0, 64)
	to.Minimum, to.ListID = c.Minimum.OrNull(to.Minimum), c.ListID.OrNull(to.ListID)
	if to.Quantity != 0 && !shopping.ValidQuantity(to.Quantity) {
		f.Fault("/quantity", "must be 0 or more, with at most three decimals")
	}
	if to.Minimum != nil && !shopping.ValidQuantity(*to.Minimum) {
		f.Fault("/minimum", "must be more than 0, with at most three decimals")
	}
	return f.Err()
}

// missing is how much there is less than there should be, where a list is fed.
func (s *Stock) missing() float64 {
	if s == nil || s.Minimum == nil || s.ListID == nil {
		return 0
	}
	return max(0, *s.Minimum-s.Quantity)
}

type feeder struct{ items Items }

// feed puts on the list what is missing now and was not before. A list that is
// archived or full takes nothing; that is told, and no reason not to count what is
// in the house.
func (h feeder) feed(ctx context.Context, tx *tenant.Tx, before, s *Stock) error {
	if s.ListID == nil {
		return nil
	}
	facts := tx.List(*s.ListID)
	if err := tx.Send(ctx); err != nil {
		return err
	}
	if facts.Kind != policy.Shared {
		var f valid.Form
		f.Fault("/list_id", "must be a shared list")
		return f.Err()
	}
	more := math.Round((s.missing()-before.missing())*1000) / 1000
	switch {
	case more <= 0:
		return nil
	case facts.ArchivedAt != nil:
		s.NotFed = listArchived
		return nil
	}
	if err := tx.May(ctx, policy.ItemAdd, facts.Item()); err != nil {
		return err
	}
	_, err := h.items.Put(ctx, tx, facts, []shopping.Thing{{Name: s.Name, Quantity: &more, Unit: s.Unit, Category: s.Category}})
	if fault.Is(err, fault.Conflict) { // nothing was written that could be one in the database
		s.NotFed = listFull
		return nil
	}
	return err
}
