package list

import (
	"net/http"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/precondition"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const maxLists = 500 // that one person sees: nobody learns of others' personal lists by their number

// Lists answers for lists and their permissions.
type Lists struct {
	DB      *tenant.DB
	Cursors paging.Signer
}

// List is a list as its readers see it. Permissions are the actions that the
// policy lets the caller do on it and to what is on it; absent from /sync.
type List struct {
	ID          id.ID      `json:"id"`
	FamilyID    id.ID      `json:"family_id"`
	Kind        string     `json:"kind"`
	Name        string     `json:"name"`
	Owner       *string    `json:"owner,omitempty"`
	CreatedBy   string     `json:"created_by"`
	Position    float64    `json:"position"`
	Version     int64      `json:"version"`
	DueOn       *string    `json:"due_on"`   // a day: 2026-11-30
	Assignee    *string    `json:"assignee"` // sub of the person whose turn it is
	Template    bool       `json:"template"`
	ArchivedAt  *time.Time `json:"archived_at"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	Permissions []string   `json:"permissions,omitzero"`
}

// Mount adds the routes.
func (h *Lists) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/lists", h.list)
	rt.Handle(http.MethodPost, "/v1/families/{family_id}/lists", h.create)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/lists/{list_id}", h.get)
	rt.Handle(http.MethodPatch, "/v1/families/{family_id}/lists/{list_id}", h.patch)
	rt.Handle(http.MethodDelete, "/v1/families/{family_id}/lists/{list_id}", h.remove)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/lists/{list_id}/permissions", h.permissions)
	rt.Handle(http.MethodPut, "/v1/families/{family_id}/lists/{list_id}/permissions/{user_id}", h.grant)
	rt.Handle(http.MethodDelete, "/v1/families/{family_id}/lists/{list_id}/permissions/{user_id}", h.withdraw)
}

// path reads which list of which family is meant.
func path(r *http.Request) (family, list id.ID, err error) {
	if family, err = web.ID(r, "family_id"); err != nil {
		return family, list, err
	}
	list, err = web.ID(r, "list_id")
	return family, list, err
}

type draft struct {
	ID   id.ID  `json:"id"`
	Name string `json:"name"`
	Kind string `json:"kind"`

	DueOn    *string `json:"due_on"`
	Assignee *string `json:"assignee"`
	Template bool    `json:"template"`
	From     *id.ID  `json:"from"` // a list, template or not, whose items are copied
}

func (d *draft) check() error {
	var f valid.Form
	d.Name = f.Text("/name", d.Name, 1, 200)
	if d.Kind == "" {
		d.Kind = policy.Shared
	}
	f.OneOf("/kind", d.Kind, policy.Shared, policy.Personal)
	checkDay(&f, d.DueOn)
	checkPerson(&f, d.Assignee)
	if d.ID.IsZero() {
		d.ID = id.New()
	}
	return f.Err()
}

func checkDay(f *valid.Form, day *string) {
	if day == nil {
		return
	}
	if _, err := time.Parse(time.DateOnly, *day); err != nil {
		f.Fault("/due_on", "must be a day, such as 2026-11-30")
	}
}

func checkPerson(f *valid.Form, user *string) {
	if user != nil {
		f.Text("/assignee", *user, 1, 255)
	}
}

func (h *Lists) create(w http.ResponseWriter, r *http.Request) error {
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
	w.Header().Set("Location", "/v1/families/"+family.String()+"/lists/"+made.ID.String())
	precondition.SetETag(w, made.Version, made.Permissions...)
	return web.JSON(w, http.StatusCreated, made)
}

func (h *Lists) list(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	after, collection := start(), "lists/"+family.String()
	limit, err := h.Cursors.Page(r, collection, &after)
	if err != nil {
		return err
	}
	lists, err := h.selectPage(r.Context(), family, after, limit+1)
	if err != nil {
		return err
	}
	page := map[string]any{"lists": lists}
	if len(lists) > limit {
		last := lists[limit-1]
		page["lists"] = lists[:limit]
		if page["next"], err = h.Cursors.Next(r, collection, place{last.Position, last.ID}); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, page)
}

func (h *Lists) get(w http.ResponseWriter, r *http.Request) error {
	family, list, err := path(r)
	if err != nil {
		return err
	}
	found, err := h.selectOne(r.Context(), family, list)
	if err != nil {
		return err
	}
	if precondition.NotModified(w, r, found.Version, found.Permissions...) {
		return nil
	}
	return web.JSON(w, http.StatusOK, found)
}

type change struct {
	Name     valid.Field[string]  `json:"name"`
	Archived valid.Field[bool]    `json:"archived"`
	Position valid.Field[float64] `json:"position"`
	DueOn    valid.Field[string]  `json:"due_on"`
	Assignee valid.Field[string]  `json:"assignee"`
	Template valid.Field[bool]    `json:"template"`
}

func (c change) apply(to *List, now time.Time) error {
	var f valid.Form
	to.Name = f.Text("/name", c.Name.Or(&f, "/name", to.Name), 1, 200)
	to.Position = c.Position.Or(&f, "/position", to.Position)
	if to.Position < -1e12 || to.Position > 1e12 {
		f.Fault("/position", "must be within a million millions of zero")
	}
	to.DueOn, to.Assignee = c.DueOn.OrNull(to.DueOn), c.Assignee.OrNull(to.Assignee)
	checkDay(&f, to.DueOn)
	checkPerson(&f, to.Assignee)
	to.Template = c.Template.Or(&f, "/template", to.Template)
	switch archived := c.Archived.Or(&f, "/archived", to.ArchivedAt != nil); {
	case archived && to.ArchivedAt == nil:
		to.ArchivedAt = &now
	case !archived:
		to.ArchivedAt = nil
	}
	return f.Err()
}

func (h *Lists) patch(w http.ResponseWriter, r *http.Request) error {
	family, list, err := path(r)
	if err != nil {
		return err
	}
	var c change
	if err := web.DecodeJSON(r, &c); err != nil {
		return err
	}
	var f valid.Form
	if checkPerson(&f, c.Assignee.Value); f.Err() != nil { // before the database is asked about him
		return f.Err()
	}
	changed, err := h.update(r.Context(), family, list, c.Assignee.Value, func(to *List) error {
		if err := precondition.Check(r, to.Version); err != nil {
			return err
		}
		return c.apply(to, h.DB.Now())
	})
	if err != nil {
		return err
	}
	precondition.SetETag(w, changed.Version, changed.Permissions...)
	return web.JSON(w, http.StatusOK, changed)
}

func (h *Lists) remove(w http.ResponseWriter, r *http.Request) error {
	family, list, err := path(r)
	if err != nil {
		return err
	}
	err = h.delete(r.Context(), family, list, func(version int64) error { return precondition.Require(r, version) })
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
