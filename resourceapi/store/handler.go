package store

import (
	"net/http"
	"slices"
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
	maxStores = 50  // of one family
	maxAisles = 100 // of one store
)

// Stores answers for stores and prices.
type Stores struct {
	DB *tenant.DB
}

// Store is a place to shop. Aisles are categories in the order of the way
// through it; OnlyAisles says that nothing else is bought there.
type Store struct {
	ID         id.ID     `json:"id"`
	Name       string    `json:"name"`
	Aisles     []string  `json:"aisles"`
	OnlyAisles bool      `json:"only_aisles"`
	Version    int64     `json:"version"`
	CreatedBy  string    `json:"created_by"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// Mount adds the routes.
func (h *Stores) Mount(rt *web.Router) {
	const stores = "/v1/families/{family_id}/stores"
	rt.Handle(http.MethodGet, stores, h.list)
	rt.Handle(http.MethodPost, stores, h.create)
	rt.Handle(http.MethodGet, stores+"/{store_id}", h.get)
	rt.Handle(http.MethodPatch, stores+"/{store_id}", h.patch)
	rt.Handle(http.MethodDelete, stores+"/{store_id}", h.remove)
	rt.Handle(http.MethodGet, stores+"/{store_id}/prices", h.prices)
	rt.Handle(http.MethodPost, stores+"/{store_id}/prices", h.notePrice)
}

func path(r *http.Request) (family, store id.ID, err error) {
	if family, err = web.ID(r, "family_id"); err != nil {
		return family, store, err
	}
	store, err = web.ID(r, "store_id")
	return family, store, err
}

type draft struct {
	ID         id.ID    `json:"id"`
	Name       string   `json:"name"`
	Aisles     []string `json:"aisles"`
	OnlyAisles bool     `json:"only_aisles"`
}

func (d *draft) check() error {
	var f valid.Form
	d.Name = f.Text("/name", d.Name, 1, 200)
	d.Aisles = aisles(&f, d.Aisles)
	if d.ID.IsZero() {
		d.ID = id.New()
	}
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

func (h *Stores) create(w http.ResponseWriter, r *http.Request) error {
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
	if fault.Is(err, fault.Conflict) { // the same draft may have won a race: then this is its answer too
		made, err = h.insert(r.Context(), family, d)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/families/"+family.String()+"/stores/"+made.ID.String())
	precondition.SetETag(w, made.Version)
	return web.JSON(w, http.StatusCreated, made)
}

func (h *Stores) list(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	stores, err := h.selectAll(r.Context(), family)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"stores": stores})
}

func (h *Stores) get(w http.ResponseWriter, r *http.Request) error {
	family, store, err := path(r)
	if err != nil {
		return err
	}
	found, err := h.selectOne(r.Context(), family, store)
	if err != nil {
		return err
	}
	if precondition.NotModified(w, r, found.Version) {
		return nil
	}
	return web.JSON(w, http.StatusOK, found)
}

type change struct {
	Name       valid.Field[string]   `json:"name"`
	Aisles     valid.Field[[]string] `json:"aisles"`
	OnlyAisles valid.Field[bool]     `json:"only_aisles"`
}

func (c change) apply(to *Store) error {
	var f valid.Form
	to.Name = f.Text("/name", c.Name.Or(&f, "/name", to.Name), 1, 200)
	to.Aisles = aisles(&f, c.Aisles.Or(&f, "/aisles", to.Aisles))
	to.OnlyAisles = c.OnlyAisles.Or(&f, "/only_aisles", to.OnlyAisles)
	return f.Err()
}

func (h *Stores) patch(w http.ResponseWriter, r *http.Request) error {
	family, store, err := path(r)
	if err != nil {
		return err
	}
	var c change
	if err := web.DecodeJSON(r, &c); err != nil {
		return err
	}
	changed, err := h.update(r.Context(), family, store, func(to *Store) error {
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

func (h *Stores) remove(w http.ResponseWriter, r *http.Request) error {
	family, store, err := path(r)
	if err != nil {
		return err
	}
	if err := h.delete(r.Context(), family, store, func(version int64) error { return precondition.Check(r, version) }); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
