package recurring

import (
	"net/http"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/precondition"
	"larder/internal/valid"
	"larder/internal/web"
)

// Mount adds the routes.
func (h *Recurring) Mount(rt *web.Router) {
	const recurring = "/v1/families/{family_id}/recurring"
	rt.Handle(http.MethodGet, recurring, h.list)
	rt.Handle(http.MethodPost, recurring, h.create)
	rt.Handle(http.MethodGet, recurring+"/{recurring_id}", h.get)
	rt.Handle(http.MethodPatch, recurring+"/{recurring_id}", h.patch)
	rt.Handle(http.MethodDelete, recurring+"/{recurring_id}", h.remove)
}

func path(r *http.Request) (family, order id.ID, err error) {
	if family, err = web.ID(r, "family_id"); err != nil {
		return family, order, err
	}
	order, err = web.ID(r, "recurring_id")
	return family, order, err
}

type draft struct {
	ID       id.ID    `json:"id"`
	ListID   id.ID    `json:"list_id"`
	Name     string   `json:"name"`
	Quantity *float64 `json:"quantity"`
	Unit     string   `json:"unit"`
	Note     string   `json:"note"`
	Category string   `json:"category"`
	Every    *int     `json:"every"`
	Period   string   `json:"period"`
	NextOn   string   `json:"next_on"`
}

func (d *draft) order() (*Order, error) {
	o := &Order{
		ID: d.ID, ListID: d.ListID, Name: d.Name, Quantity: d.Quantity, Unit: d.Unit, Note: d.Note, Category: d.Category,
		Every: 1, Period: d.Period, NextOn: d.NextOn,
	}
	if o.ID.IsZero() {
		o.ID = id.New()
	}
	if d.Every != nil {
		o.Every = *d.Every
	}
	var f valid.Form
	o.check(&f)
	return o, f.Err()
}

func (h *Recurring) create(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var d draft
	if err := web.DecodeJSON(r, &d); err != nil {
		return err
	}
	order, err := d.order()
	if err != nil {
		return err
	}
	made, err := h.insert(r.Context(), family, order)
	if fault.Is(err, fault.Conflict) { // the same draft may have won a race: then this is its answer too
		made, err = h.insert(r.Context(), family, order)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/families/"+family.String()+"/recurring/"+made.ID.String())
	precondition.SetETag(w, made.Version)
	return web.JSON(w, http.StatusCreated, made)
}

func (h *Recurring) list(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	orders, err := h.selectAll(r.Context(), family)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"recurring": orders})
}

func (h *Recurring) get(w http.ResponseWriter, r *http.Request) error {
	family, order, err := path(r)
	if err != nil {
		return err
	}
	found, err := h.selectOne(r.Context(), family, order)
	if err != nil {
		return err
	}
	if precondition.NotModified(w, r, found.Version) {
		return nil
	}
	return web.JSON(w, http.StatusOK, found)
}

type change struct {
	ListID   valid.Field[id.ID]   `json:"list_id"`
	Name     valid.Field[string]  `json:"name"`
	Quantity valid.Field[float64] `json:"quantity"`
	Unit     valid.Field[string]  `json:"unit"`
	Note     valid.Field[string]  `json:"note"`
	Category valid.Field[string]  `json:"category"`
	Every    valid.Field[int]     `json:"every"`
	Period   valid.Field[string]  `json:"period"`
	NextOn   valid.Field[string]  `json:"next_on"`
}

func (c change) apply(to *Order) error {
	var f valid.Form
	to.ListID = c.ListID.Or(&f, "/list_id", to.ListID)
	to.Name = c.Name.Or(&f, "/name", to.Name)
	to.Quantity = c.Quantity.OrNull(to.Quantity)
	to.Unit = c.Unit.Or(&f, "/unit", to.Unit)
	to.Note = c.Note.Or(&f, "/note", to.Note)
	to.Category = c.Category.Or(&f, "/category", to.Category)
	to.Every = c.Every.Or(&f, "/every", to.Every)
	to.Period = c.Period.Or(&f, "/period", to.Period)
	to.NextOn = c.NextOn.Or(&f, "/next_on", to.NextOn)
	to.check(&f)
	return f.Err()
}

func (h *Recurring) patch(w http.ResponseWriter, r *http.Request) error {
	family, order, err := path(r)
	if err != nil {
		return err
	}
	var c change
	if err := web.DecodeJSON(r, &c); err != nil {
		return err
	}
	changed, err := h.update(r.Context(), family, order, func(to *Order) error {
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

func (h *Recurring) remove(w http.ResponseWriter, r *http.Request) error {
	family, order, err := path(r)
	if err != nil {
		return err
	}
	if err := h.delete(r.Context(), family, order, func(version int64) error { return precondition.Check(r, version) }); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
