package recipe

import (
	"context"
	"net/http"
	"strconv"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/kitchen"
	"larder/resourceapi/tenant"
)

const (
	maxRecipes     = 200 // of one family
	maxIngredients = 100 // of one recipe
	maxServings    = 1000
)

// Items puts things on a list, after leave to add there.
type Items interface {
	Put(ctx context.Context, tx *tenant.Tx, facts *tenant.List, things []shopping.Thing) ([]id.ID, error)
}

// Recipes answers for recipes.
type Recipes struct {
	kitchen.Shelf[Recipe, change, *Recipe]
	Items Items
}

// Recipe is what it takes to cook something for so many servings. In a
// collection it comes without method and ingredients.
type Recipe struct {
	kitchen.Entry
	Servings    int              `json:"servings"`
	Method      string           `json:"method,omitempty"`
	Ingredients []shopping.Thing `json:"ingredients,omitempty"`
}

// New returns the recipes of db's families, which go on lists by items.
func New(db *tenant.DB, items Items) *Recipes {
	return &Recipes{Items: items, Shelf: kitchen.Shelf[Recipe, change, *Recipe]{
		DB: db, Noun: "recipe", Path: "recipes", Param: "recipe_id",
		Events: kitchen.Events{Added: "recipe.created", Changed: "recipe.updated", Removed: "recipe.deleted"},
		SQL: kitchen.SQL{
			All: selectRecipes, Some: selectSome, Count: countRecipes, Insert: insertRecipe, Update: updateRecipe, Delete: deleteRecipe,
		},
		Most: maxRecipes, Full: "The family has too many recipes. Delete some first.",
		New: Recipe{Ingredients: []shopping.Thing{}},
	}}
}

// Mount adds the routes.
func (h *Recipes) Mount(rt *web.Router) {
	h.Shelf.Mount(rt)
	rt.Handle(http.MethodPost, "/v1/families/{family_id}/recipes/{recipe_id}/shop", h.shop)
}

const (
	selectRecipes = `
SELECT id, name, servings, '', '[]'::jsonb, version, created_by, created_at, updated_at
  FROM grocery.recipes WHERE family_id = $1 ORDER BY lower(name), id LIMIT 200`

	selectSome = `
SELECT id, name, servings, method, ingredients, version, created_by, created_at, updated_at
  FROM grocery.recipes WHERE family_id = $1 AND id = ANY ($2)`

	countRecipes = `SELECT count(*) FROM grocery.recipes WHERE family_id = $1`

	insertRecipe = `
INSERT INTO grocery.recipes (family_id, id, name, servings, method, ingredients, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING id, name, servings, method, ingredients, version, created_by, created_at, updated_at`

	updateRecipe = `
UPDATE grocery.recipes SET name = $3, servings = $4, method = $5, ingredients = $6, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, name, servings, method, ingredients, version, created_by, created_at, updated_at`

	deleteRecipe = `DELETE FROM grocery.recipes WHERE family_id = $1 AND id = $2`
)

// Scan reads a row.
func (s *Recipe) Scan(row pgx.Row) error {
	return row.Scan(&s.ID, &s.Name, &s.Servings, &s.Method, &s.Ingredients, &s.Version, &s.CreatedBy, &s.CreatedAt, &s.UpdatedAt)
}

// Values are those that are written.
func (s *Recipe) Values() []any { return []any{s.Name, s.Servings, s.Method, s.Ingredients} }

type change struct {
	Name        valid.Field[string]       `json:"name"`
	Servings    valid.Field[int]          `json:"servings"`
	Method      valid.Field[string]       `json:"method"`
	Ingredients valid.Field[[]ingredient] `json:"ingredients"`
}

// Apply makes of a recipe what is asked for.
func (c change) Apply(to *Recipe) error {
	var f valid.Form
	to.Name = f.Text("/name", c.Name.Or(&f, "/name", to.Name), 1, 200)
	to.Method = f.Text("/method", c.Method.Or(&f, "/method", to.Method), 0, 20_000)
	to.Servings = c.Servings.Or(&f, "/servings", to.Servings)
	checkServings(&f, to.Servings)
	if c.Ingredients.Present {
		to.Ingredients = things(&f, c.Ingredients.Or(&f, "/ingredients", nil))
	}
	return f.Err()
}

func checkServings(f *valid.Form, servings int) {
	if servings < 1 || servings > maxServings {
		f.Fault("/servings", "must be 1 to "+strconv.Itoa(maxServings))
	}
}

// ingredient is a thing, or the text of one as people write it.
type ingredient struct {
	Text string `json:"text"`
	shopping.Thing
}

func things(f *valid.Form, asked []ingredient) []shopping.Thing {
	if len(asked) > maxIngredients {
		f.Fault("/ingredients", "must be at most "+strconv.Itoa(maxIngredients))
		return nil
	}
	all := make([]shopping.Thing, 0, len(asked))
	for i, one := range asked {
		pointer := "/ingredients/" + strconv.Itoa(i)
		t := one.Thing
		if one.Text != "" {
			if t != (shopping.Thing{}) {
				f.Fault(pointer+"/text", "stands for all the rest: send one of them")
			}
			t = shopping.Parse(f.Text(pointer+"/text", one.Text, 1, 200))
		}
		t.Name = f.Text(pointer+"/name", t.Name, 1, 200)
		t.Unit = f.Text(pointer+"/unit", t.Unit, 0, 32)
		t.Note = f.Text(pointer+"/note", t.Note, 0, 1000)
		t.Category = f.Text(pointer+"/category", t.Category, 0, 64)
		if t.Quantity != nil && !shopping.ValidQuantity(*t.Quantity) {
			f.Fault(pointer+"/quantity", "must be more than 0, with at most three decimals")
		}
		all = append(all, t)
	}
	return all
}
