package recipe

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/precondition"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
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
	DB    *tenant.DB
	Items Items
}

// Recipe is what it takes to cook something for so many servings. In a
// collection it comes without method and ingredients.
type Recipe struct {
	ID          id.ID            `json:"id"`
	Name        string           `json:"name"`
	Servings    int              `json:"servings"`
	Method      string           `json:"method,omitempty"`
	Ingredients []shopping.Thing `json:"ingredients,omitempty"`
	Version     int64            `json:"version"`
	CreatedBy   string           `json:"created_by"`
	CreatedAt   time.Time        `json:"created_at"`
	UpdatedAt   time.Time        `json:"updated_at"`
}

// Mount adds the routes.
func (h *Recipes) Mount(rt *web.Router) {
	const recipes = "/v1/families/{family_id}/recipes"
	rt.Handle(http.MethodGet, recipes, h.list)
	rt.Handle(http.MethodPost, recipes, h.create)
	rt.Handle(http.MethodGet, recipes+"/{recipe_id}", h.get)
	rt.Handle(http.MethodPatch, recipes+"/{recipe_id}", h.patch)
	rt.Handle(http.MethodDelete, recipes+"/{recipe_id}", h.remove)
	rt.Handle(http.MethodPost, recipes+"/{recipe_id}/shop", h.shop)
}

func path(r *http.Request) (family, recipe id.ID, err error) {
	if family, err = web.ID(r, "family_id"); err != nil {
		return family, recipe, err
	}
	recipe, err = web.ID(r, "recipe_id")
	return family, recipe, err
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

type draft struct {
	ID          id.ID        `json:"id"`
	Name        string       `json:"name"`
	Servings    int          `json:"servings"`
	Method      string       `json:"method"`
	Ingredients []ingredient `json:"ingredients"`
}

func (d *draft) recipe() (*Recipe, error) {
	var f valid.Form
	made := &Recipe{ID: d.ID, Servings: d.Servings}
	if made.ID.IsZero() {
		made.ID = id.New()
	}
	made.Name = f.Text("/name", d.Name, 1, 200)
	made.Method = f.Text("/method", d.Method, 0, 20_000)
	made.Ingredients = things(&f, d.Ingredients)
	checkServings(&f, made.Servings)
	return made, f.Err()
}

func checkServings(f *valid.Form, servings int) {
	if servings < 1 || servings > maxServings {
		f.Fault("/servings", "must be 1 to "+strconv.Itoa(maxServings))
	}
}

func (h *Recipes) create(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var d draft
	if err := web.DecodeJSON(r, &d); err != nil {
		return err
	}
	recipe, err := d.recipe()
	if err != nil {
		return err
	}
	made, err := h.insert(r.Context(), family, recipe)
	if fault.Is(err, fault.Conflict) { // the same draft may have won a race: then this is its answer too
		made, err = h.insert(r.Context(), family, recipe)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/families/"+family.String()+"/recipes/"+made.ID.String())
	precondition.SetETag(w, made.Version)
	return web.JSON(w, http.StatusCreated, made)
}

func (h *Recipes) list(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	recipes, err := h.selectAll(r.Context(), family)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"recipes": recipes})
}

func (h *Recipes) get(w http.ResponseWriter, r *http.Request) error {
	family, recipe, err := path(r)
	if err != nil {
		return err
	}
	found, err := h.selectOne(r.Context(), family, recipe)
	if err != nil {
		return err
	}
	if precondition.NotModified(w, r, found.Version) {
		return nil
	}
	return web.JSON(w, http.StatusOK, found)
}

type change struct {
	Name        valid.Field[string]       `json:"name"`
	Servings    valid.Field[int]          `json:"servings"`
	Method      valid.Field[string]       `json:"method"`
	Ingredients valid.Field[[]ingredient] `json:"ingredients"`
}

func (c change) apply(to *Recipe) error {
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

func (h *Recipes) patch(w http.ResponseWriter, r *http.Request) error {
	family, recipe, err := path(r)
	if err != nil {
		return err
	}
	var c change
	if err := web.DecodeJSON(r, &c); err != nil {
		return err
	}
	changed, err := h.update(r.Context(), family, recipe, func(to *Recipe) error {
		if err := precondition.Check(r, to.Version); err != nil {
			return err
		}
		return c.apply(to)
	})
	if err != nil {
		return err
	}
	precondition.SetETag(w, changed.Version)
	return web.JSON(w, http.StatusOK, changed)
}

func (h *Recipes) remove(w http.ResponseWriter, r *http.Request) error {
	family, recipe, err := path(r)
	if err != nil {
		return err
	}
	if err := h.delete(r.Context(), family, recipe, func(version int64) error { return precondition.Check(r, version) }); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type errand struct {
	ListID   id.ID `json:"list_id"`
	Servings *int  `json:"servings"`
}

func (h *Recipes) shop(w http.ResponseWriter, r *http.Request) error {
	family, recipe, err := path(r)
	if err != nil {
		return err
	}
	var e errand
	if err := web.DecodeJSON(r, &e); err != nil {
		return err
	}
	var f valid.Form
	if e.ListID.IsZero() {
		f.Fault("/list_id", "is required")
	}
	if e.Servings != nil {
		checkServings(&f, *e.Servings)
	}
	if err := f.Err(); err != nil {
		return err
	}
	items, err := h.putOnList(r.Context(), family, recipe, e)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"items": items})
}

// scaled returns the ingredients for so many servings. A quantity too small to
// be written becomes the smallest there is.
func (s *Recipe) scaled(servings int) []shopping.Thing {
	all := make([]shopping.Thing, 0, len(s.Ingredients))
	for _, t := range s.Ingredients {
		if t.Quantity != nil {
			q := math.Round(*t.Quantity*float64(servings)/float64(s.Servings)*1000) / 1000
			t.Quantity = new(min(max(q, 0.001), shopping.MaxQuantity))
		}
		all = append(all, t)
	}
	return all
}
