package family

import (
	"net/http"
	"strconv"
	"time"

	"larder/internal/id"
	"larder/internal/precondition"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/tenant"
)

const maxHistoryDays, historyDays = 365, 90 // the longest, and that of a family that says nothing

// Families answers for families and their members.
type Families struct {
	DB *tenant.DB
}

// Family is a family as its people see it. Role is the caller's own, absent
// for apps and keys; Permissions are the actions that the policy lets him do in
// the family, those on a single list, item or member apart.
type Family struct {
	ID       id.ID  `json:"id"`
	Name     string `json:"name"`
	Timezone string `json:"timezone"`
	Currency string `json:"currency"` // ISO 4217, of prices that name none; "": none
	// HistoryDays is for how long it is remembered what items were.
	HistoryDays int `json:"history_days"`
	// DefaultListID is where things go that are added without naming a list; nil
	// for the first that is open. Guests are not told.
	DefaultListID *id.ID `json:"default_list_id"`

	Role      string    `json:"role,omitempty"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`

	Permissions []string `json:"permissions"`
}

// Mount adds the routes.
func (h *Families) Mount(rt *web.Router) {
	rt.Handle(http.MethodPost, "/v1/families", h.create)
	rt.Handle(http.MethodGet, "/v1/families", h.mine)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}", h.get)
	rt.Handle(http.MethodPatch, "/v1/families/{family_id}", h.patch)
	rt.Handle(http.MethodDelete, "/v1/families/{family_id}", h.remove)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/members", h.members)
	rt.Handle(http.MethodPatch, "/v1/families/{family_id}/members/{user_id}", h.patchMember)
	rt.Handle(http.MethodDelete, "/v1/families/{family_id}/members/{user_id}", h.removeMember)
	rt.Handle(http.MethodPost, "/v1/families/{family_id}/members/{user_id}/transfer", h.transfer)
}

// New is a family of which nothing is said.
func New(named id.ID) *Family { return &Family{ID: named, Timezone: "UTC", HistoryDays: historyDays} }

// draft is a family that is to be made, and how it is to know its first admin.
type draft struct {
	change

	DisplayName string `json:"display_name"`
}

// apply makes of a new family what is asked for, with a display name that says
// the least where none is given.
func (d *draft) apply(to *Family) error {
	var f valid.Form
	d.set(&f, to)
	if d.DefaultListID.Present {
		f.Fault("/default_list_id", "must wait: a new family has no lists")
	}
	d.DisplayName = f.Text("/display_name", d.DisplayName, 0, 200)
	if d.DisplayName == "" {
		d.DisplayName = "Admin"
	}
	return f.Err()
}

func timezone(f *valid.Form, name string) string {
	if name == "" {
		return "UTC"
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" || len(name) > 64 {
		f.Fault("/timezone", "must be a name of the IANA time zone database")
	}
	return name
}

func (h *Families) create(w http.ResponseWriter, r *http.Request) error {
	var d draft
	if err := web.DecodeJSON(r, &d); err != nil {
		return err
	}
	made := New(id.New())
	if err := d.apply(made); err != nil {
		return err
	}
	if err := h.Found(r.Context(), made, d.DisplayName); err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/families/"+made.ID.String())
	precondition.SetETag(w, made.Version, made.Permissions...)
	return web.JSON(w, http.StatusCreated, made)
}

func (h *Families) mine(w http.ResponseWriter, r *http.Request) error {
	families, err := h.selectMine(r.Context())
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"families": families})
}

func (h *Families) get(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	found, err := h.selectOne(r.Context(), family)
	if err != nil {
		return err
	}
	if precondition.NotModified(w, r, found.Version, found.Permissions...) {
		return nil
	}
	return web.JSON(w, http.StatusOK, found)
}

type change struct {
	Name        valid.Field[string] `json:"name"`
	Timezone    valid.Field[string] `json:"timezone"`
	Currency    valid.Field[string] `json:"currency"`
	HistoryDays valid.Field[int]    `json:"history_days"`

	DefaultListID valid.Field[id.ID] `json:"default_list_id"`
}

func (c change) apply(to *Family) error {
	var f valid.Form
	c.set(&f, to)
	return f.Err()
}

func (c change) set(f *valid.Form, to *Family) {
	to.DefaultListID = c.DefaultListID.OrNull(to.DefaultListID)
	to.Name = f.Text("/name", c.Name.Or(f, "/name", to.Name), 1, 200)
	to.Timezone = timezone(f, c.Timezone.Or(f, "/timezone", to.Timezone))
	if to.Currency = c.Currency.Or(f, "/currency", to.Currency); to.Currency != "" && !shopping.Currency(to.Currency) {
		f.Fault("/currency", "must be a code of ISO 4217, or empty")
	}
	if to.HistoryDays = c.HistoryDays.Or(f, "/history_days", to.HistoryDays); to.HistoryDays < 1 || to.HistoryDays > maxHistoryDays {
		f.Fault("/history_days", "must be 1 to "+strconv.Itoa(maxHistoryDays))
	}
}

func (h *Families) patch(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var c change
	if err := web.DecodeJSON(r, &c); err != nil {
		return err
	}
	changed, err := h.update(r.Context(), family, c.DefaultListID.Value, func(to *Family) error {
		if err := precondition.Check(r, to.Version); err != nil {
			return err
		}
		return c.apply(to)
	})
	if err != nil {
		return err
	}
	precondition.SetETag(w, changed.Version, changed.Permissions...)
	return web.JSON(w, http.StatusOK, changed)
}

func (h *Families) remove(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	err = h.delete(r.Context(), family, func(version int64) error { return precondition.Require(r, version) })
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
