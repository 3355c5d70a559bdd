package diet

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/precondition"
	"larder/internal/sealed"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/tenant"
)

const maxAlso = 20 // words of one's own

// Diets answers for what people avoid.
type Diets struct {
	DB   *tenant.DB
	Keys *sealed.Keyring
}

// Diet is what somebody avoids: allergens, and words of his own. KeptByAdmins is
// what the admins keep of him besides, as a child of the family.
type Diet struct {
	Avoid        []string   `json:"avoid"`
	Also         []string   `json:"also"`
	Version      int64      `json:"version"` // 0: nothing was said
	UpdatedAt    *time.Time `json:"updated_at"`
	KeptByAdmins *secret    `json:"kept_by_admins"`
}

// Warning is an item that somebody of the family avoids.
type Warning struct {
	ItemID id.ID  `json:"item_id"`
	Avoid  string `json:"avoid"`
	Text   string `json:"text"`
}

// Mount adds the routes.
func (h *Diets) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/diet", h.get)
	rt.Handle(http.MethodPut, "/v1/families/{family_id}/diet", h.put)
	rt.Handle(http.MethodDelete, "/v1/families/{family_id}/diet", h.remove)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/lists/{list_id}/warnings", h.warnings)
	h.mountChildren(rt)
}

// secret is what lies in a box.
type secret struct {
	Avoid []string `json:"avoid"`
	Also  []string `json:"also"`
}

func (s *secret) check(f *valid.Form) {
	for i, a := range s.Avoid {
		f.OneOf("/avoid/"+strconv.Itoa(i), a, allergens()...)
	}
	slices.Sort(s.Avoid)
	s.Avoid = slices.Compact(s.Avoid)
	if len(s.Also) > maxAlso {
		f.Fault("/also", "must be at most "+strconv.Itoa(maxAlso))
		return
	}
	for i, word := range s.Also {
		pointer := "/also/" + strconv.Itoa(i)
		s.Also[i] = shopping.Key(f.Text(pointer, word, 2, 64))
		if strings.Join(words(word), "") == "" {
			f.Fault(pointer, "must have letters")
		}
	}
	slices.Sort(s.Also)
	s.Also = slices.Compact(s.Also)
}

func (h *Diets) get(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	d, err := h.selectOwn(r.Context(), family)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	precondition.SetETag(w, d.Version)
	return web.JSON(w, http.StatusOK, d)
}

// seen demands that the caller has seen what he replaces or takes away. Where
// nothing was said yet there is nothing to see.
func seen(r *http.Request) func(version int64) error {
	return func(version int64) error {
		if version == 0 {
			return precondition.Check(r, version)
		}
		return precondition.Require(r, version)
	}
}

func (h *Diets) put(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var s secret
	if err := web.DecodeJSON(r, &s); err != nil {
		return err
	}
	var f valid.Form
	if s.check(&f); f.Err() != nil {
		return f.Err()
	}
	guard := seen(r)
	d, err := h.replace(r.Context(), family, s, guard)
	if fault.Is(err, fault.Conflict) { // another request of the same person made the row first
		d, err = h.replace(r.Context(), family, s, guard)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	precondition.SetETag(w, d.Version)
	return web.JSON(w, http.StatusOK, d)
}

func (h *Diets) remove(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	if err := h.delete(r.Context(), family, seen(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Diets) warnings(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	list, err := web.ID(r, "list_id")
	if err != nil {
		return err
	}
	found, err := h.selectWarnings(r.Context(), family, list)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusOK, map[string]any{"warnings": found})
}
