package recipe

import (
	"context"
	"math"
	"net/http"

	"larder/internal/id"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

type errand struct {
	ListID   id.ID `json:"list_id"`
	Servings *int  `json:"servings"`
}

func (h *Recipes) shop(w http.ResponseWriter, r *http.Request) error {
	family, recipe, err := h.Named(r)
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

func (h *Recipes) putOnList(ctx context.Context, family, recipe id.ID, e errand) ([]id.ID, error) {
	items := []id.ID{}
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var s Recipe
		facts := tx.List(e.ListID)
		h.One(tx, &s, recipe)
		if err := tx.SendFor(ctx, policy.KitchenRead); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ItemAdd, facts.Item()); err != nil {
			return err
		}
		servings := s.Servings
		if e.Servings != nil {
			servings = *e.Servings
		}
		put, err := h.Items.Put(ctx, tx, facts, s.scaled(servings))
		items = append(items, put...)
		return err
	})
	return items, err
}
