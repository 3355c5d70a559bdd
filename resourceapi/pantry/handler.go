package pantry

import (
	"context"
	"net/http"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/precondition"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/tenant"
)

const maxStocks = 500 // of one family

// Items puts things on a list, after leave to add there.
type Items interface {
	Put(ctx context.Context, tx *tenant.Tx, facts *tenant.List, things []shopping.Thing) ([]id.ID, error)
}

// Pantry answers for what is in the house.
type Pantry struct {
	DB    *tenant.DB
	Items Items
}

// Stock is how much there is of something. ListID is the list that is fed when
// there is less than Minimum.
type Stock struct {
	ID        id.ID     `json:"id"`
	Name      string    `json:"name"`
	Quantity  float64   `json:"quantity"`
	Unit      string    `json:"unit"`
	Category  string    `json:"category"`
	Minimum   *float64  `json:"minimum"`
	ListID    *id.ID    `json:"list_id"`
	Version   int64     `json:"version"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// missing is how much there is less than there should be, where a list is fed.
func (s *Stock) missing() float64 {
	if s.Minimum == nil || s.ListID == nil {
		return 0
	}
	return max(0, *s.Minimum-s.Quantity)
}

// Mount adds the routes.
func (h *Pantry) Mount(rt *web.Router) {
	const pantry = "/v1/families/{family_id}/pantry"
	rt.Handle(http.MethodGet, pantry, h.list)
	rt.Handle(http.MethodPost, pantry, h.create)
	rt.Handle(http.MethodGet, pantry+"/{stock_id}", h.get)
	rt.Handle(http.MethodPatch, pantry+"/{stock_id}", h.patch)
	rt.Handle(http.MethodDelete, pantry+"/{stock_id}", h.remove)
}

func path(r *http.Request) (family, stock id.ID, err error) {
	if family, err = web.ID(r, "family_id"); err != nil {
		return family, stock, err
	}
	stock, err = web.ID(r, "stock_id")
	return family, stock, err
}

type draft struct {
	ID       id.ID    `json:"id"`
	Name     string   `json:"name"`
	Quantity float64  `json:"quantity"`
	Unit     string   `json:"unit"`
	Category string   `json:"category"`
	Minimum  *float64 `json:"minimum"`
	ListID   *id.ID   `json:"list_id"`
}

func (d *draft) stock() (*Stock, error) {
	s := &Stock{ID: d.ID, Name: d.Name, Quantity: d.Quantity, Unit: d.Unit, Category: d.Category, Minimum: d.Minimum, ListID: d.ListID}
	if s.ID.IsZero() {
		s.ID = id.New()
	}
	var f valid.Form
	s.check(&f)
	return s, f.Err()
}

func (s *Stock) check(f *valid.Form) {
	s.Name = f.Text("/name", s.Name, 1, 200)
	s.Unit = f.Text("/unit", s.Unit, 0, 32)
	s.Category = f.Text("/category", s.Category, 0, 64)
	if s.Quantity != 0 && !shopping.ValidQuantity(s.Quantity) {
		f.Fault("/quantity", "must be 0 or more, with at most three decimals")
	}
	if s.Minimum != nil && !shopping.ValidQuantity(*s.Minimum) {
		f.Fault("/minimum", "must be more than 0, with at most three decimals")
	}
}

func (h *Pantry) create(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var d draft
	if err := web.DecodeJSON(r, &d); err != nil {
		return err
	}
	stock, err := d.stock()
	if err != nil {
		return err
	}
	made, err := h.insert(r.Context(), family, stock)
	if fault.Is(err, fault.Conflict) { // the same draft may have won a race: then this is its answer too
		made, err = h.insert(r.Context(), family, stock)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/families/"+family.String()+"/pantry/"+made.ID.String())
	precondition.SetETag(w, made.Version)
	return web.JSON(w, http.StatusCreated, made)
}

func (h *Pantry) list(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	stocks, err := h.selectAll(r.Context(), family)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"pantry": stocks})
}

func (h *Pantry) get(w http.ResponseWriter, r *http.Request) error {
	family, stock, err := path(r)
	if err != nil {
		return err
	}
	found, err := h.selectOne(r.Context(), family, stock)
	if err != nil {
		return err
	}
	if precondition.NotModified(w, r, found.Version) {
		return nil
	}
	return web.JSON(w, http.StatusOK, found)
}

type change struct {
	Name     valid.Field[string]  `json:"name"`
	Quantity valid.Field[float64] `json:"quantity"`
	Unit     valid.Field[string]  `json:"unit"`
	Category valid.Field[string]  `json:"category"`
	Minimum  valid.Field[float64] `json:"minimum"`
	ListID   valid.Field[id.ID]   `json:"list_id"`
}

func (c change) apply(to *Stock) error {
	var f valid.Form
	to.Name = c.Name.Or(&f, "/name", to.Name)
	to.Quantity = c.Quantity.Or(&f, "/quantity", to.Quantity)
	to.Unit = c.Unit.Or(&f, "/unit", to.Unit)
	to.Category = c.Category.Or(&f, "/category", to.Category)
	to.Minimum, to.ListID = c.Minimum.OrNull(to.Minimum), c.ListID.OrNull(to.ListID)
	to.check(&f)
	return f.Err()
}

func (h *Pantry) patch(w http.ResponseWriter, r *http.Request) error {
	family, stock, err := path(r)
	if err != nil {
		return err
	}
	var c change
	if err := web.DecodeJSON(r, &c); err != nil {
		return err
	}
	changed, err := h.update(r.Context(), family, stock, func(to *Stock) error {
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

func (h *Pantry) remove(w http.ResponseWriter, r *http.Request) error {
	family, stock, err := path(r)
	if err != nil {
		return err
	}
	if err := h.delete(r.Context(), family, stock, func(version int64) error { return precondition.Check(r, version) }); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
