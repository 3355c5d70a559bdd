package suggest

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectFavourites = `
SELECT id, name, quantity::float8, unit, category, created_by, created_at
  FROM grocery.favourites WHERE family_id = $1 ORDER BY name_key LIMIT 200`

	selectFavourite = `
SELECT id, name, quantity::float8, unit, category, created_by, created_at
  FROM grocery.favourites WHERE family_id = $1 AND name_key = $2`

	countFavourites = `SELECT count(*) FROM grocery.favourites WHERE family_id = $1`

	insertFavourite = `
INSERT INTO grocery.favourites (family_id, id, name, name_key, quantity, unit, category, created_by)
VALUES ($1, $2, $3, $4, $5::float8, $6, $7, $8)
RETURNING id, name, quantity::float8, unit, category, created_by, created_at`

	deleteFavourite = `DELETE FROM grocery.favourites WHERE family_id = $1 AND id = $2`

	maxFavourites = 200 // of one family
)

// Favourite is something that the family always likes to see suggested.
type Favourite struct {
	ID        id.ID     `json:"id"`
	Name      string    `json:"name"`
	Quantity  *float64  `json:"quantity"`
	Unit      string    `json:"unit"`
	Category  string    `json:"category"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

func (f *Favourite) scan(row pgx.Row) error {
	return row.Scan(&f.ID, &f.Name, &f.Quantity, &f.Unit, &f.Category, &f.CreatedBy, &f.CreatedAt)
}

func (h *Suggestions) favourites(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	ctx, all := r.Context(), []Favourite{}
	err = h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tenant.Rows(tx, &all, (*Favourite).scan, selectFavourites, family)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.KitchenRead, tx.FamilyResource())
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"favourites": all})
}

type draft struct {
	Name     string   `json:"name"`
	Quantity *float64 `json:"quantity"`
	Unit     string   `json:"unit"`
	Category string   `json:"category"`
}

func (d *draft) check() error {
	var f valid.Form
	d.Name = f.Text("/name", d.Name, 1, 200)
	d.Unit = f.Text("/unit", d.Unit, 0, 32)
	d.Category = f.Text("/category", d.Category, 0, 64)
	if d.Quantity != nil && !shopping.ValidQuantity(*d.Quantity) {
		f.Fault("/quantity", "must be more than 0, with at most three decimals")
	}
	return f.Err()
}

func (h *Suggestions) create(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var d draft
	if err := web.DecodeJSON(r, &d); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	made, err := h.insert(r.Context(), family, d)
	if fault.Is(err, fault.Conflict) { // another may have won a race for the name: then it is there
		made, err = h.insert(r.Context(), family, d)
	}
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, made)
}

// insert makes a favourite; one of that name that is there already is the
// answer.
func (h *Suggestions) insert(ctx context.Context, family id.ID, d draft) (*Favourite, error) {
	var f Favourite
	return &f, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var (
			there *Favourite
			count int
			key   = shopping.Key(d.Name)
		)
		tenant.Maybe(tx, &there, (*Favourite).scan, selectFavourite, family, key)
		tx.Row(func(row pgx.Row) error { return row.Scan(&count) }, countFavourites, family)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		if there != nil {
			f = *there
			return nil
		}
		if count >= maxFavourites {
			return fault.New(fault.Conflict, "The family has too many favourites. Delete some first.").WithCode("too_many")
		}
		made := id.New()
		tx.Row(f.scan, insertFavourite, family, made, d.Name, key, d.Quantity, d.Unit, d.Category, tx.Principal())
		tx.Record(ctx, tenant.Change{Event: "favourite.created", Entity: made.String(), Version: 1})
		return nil
	})
}

func (h *Suggestions) remove(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	favourite, err := web.ID(r, "favourite_id")
	if err != nil {
		return err
	}
	ctx := r.Context()
	err = h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		there, err := tx.Exec(ctx, deleteFavourite, family, favourite)
		if err != nil {
			return err
		}
		if !there {
			return fault.New(fault.NotFound, "There is no such favourite here.")
		}
		tx.Record(ctx, tenant.Change{Event: "favourite.deleted", Entity: favourite.String()})
		return nil
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
