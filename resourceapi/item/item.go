package item

import (
	"net/http"
	"sync"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/precondition"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/tenant"
)

const (
	maxItems = 2000 // on one list
)

// Items answers for the items of lists.
type Items struct {
	DB      *tenant.DB
	Cursors paging.Signer

	pages sync.Pool // of *[]byte, in which pages are written
}

// Item is one thing to buy. AddedBy and CheckedBy are principals: kind, colon,
// id. Permissions are the actions that the policy lets the caller do to it;
// absent from /sync and from what a change of many items answers.
type Item struct {
	ID        id.ID      `json:"id"`
	ListID    id.ID      `json:"list_id"`
	Name      string     `json:"name"`
	Quantity  *float64   `json:"quantity"`
	Unit      string     `json:"unit"`
	Note      string     `json:"note"`
	Category  string     `json:"category"`
	Barcode   string     `json:"barcode"`
	Photo     string     `json:"photo"`
	Checked   bool       `json:"checked"`
	CheckedAt *time.Time `json:"checked_at"`
	CheckedBy *string    `json:"checked_by"`
	Position  float64    `json:"position"`
	Version   int64      `json:"version"`
	AddedBy   string     `json:"added_by"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`

	Permissions []string `json:"permissions,omitzero"`
}

// Mount adds the routes.
func (h *Items) Mount(rt *web.Router) {
	const items = "/v1/families/{family_id}/lists/{list_id}/items"
	rt.Handle(http.MethodGet, items, h.list)
	rt.Handle(http.MethodPut, items+"/{item_id}/check", h.check)
	rt.Handle(http.MethodPost, items+"/{item_id}/check", h.check)
	rt.Handle(http.MethodDelete, items+"/{item_id}/check", h.uncheck)
	rt.Handle(http.MethodPost, items, h.create)
	rt.Handle(http.MethodPost, "/v1/families/{family_id}/items", h.createSomewhere)
	rt.Handle(http.MethodGet, items+"/{item_id}", h.get)
	rt.Handle(http.MethodPatch, items+"/{item_id}", h.patch)
	rt.Handle(http.MethodDelete, items+"/{item_id}", h.remove)
	rt.Handle(http.MethodGet, items+"/{item_id}/history", h.history)
	rt.Handle(http.MethodPost, items+"/{item_id}/undo", h.undo)
	rt.Handle(http.MethodPost, "/v1/families/{family_id}/lists/{list_id}/merge", h.merge)
}

// where says which list of which family is meant, and which item if the
// address names one.
type where struct{ family, list, item id.ID }

func path(r *http.Request) (at where, err error) {
	if at.family, err = web.ID(r, "family_id"); err != nil {
		return at, err
	}
	if at.list, err = web.ID(r, "list_id"); err != nil {
		return at, err
	}
	if web.Var(r, "item_id") != "" {
		at.item, err = web.ID(r, "item_id")
	}
	return at, err
}

// draft is a new item. Text, instead of a name, is read as people write: what
// it says counts where the other members are left out.
type draft struct {
	ID       id.ID    `json:"id"`
	Text     string   `json:"text"`
	Name     string   `json:"name"`
	Quantity *float64 `json:"quantity"`
	Unit     string   `json:"unit"`
	Note     string   `json:"note"`
	Category string   `json:"category"`
	Barcode  string   `json:"barcode"`
	Photo    string   `json:"photo"`
	After    *id.ID   `json:"after"` // absent: at the end
}

func (d *draft) check() error {
	var f valid.Form
	d.read(&f)
	d.Name = f.Text("/name", d.Name, 1, 200)
	d.Unit = f.Text("/unit", d.Unit, 0, 32)
	d.Note = f.Text("/note", d.Note, 0, 1000)
	d.Category = f.Text("/category", d.Category, 0, 64)
	checkBarcode(&f, "/barcode", d.Barcode)
	checkPhoto(&f, "/photo", d.Photo)
	checkQuantity(&f, d.Quantity)
	if d.ID.IsZero() {
		d.ID = id.New()
	}
	return f.Err()
}

// read fills in what the text says.
func (d *draft) read(f *valid.Form) {
	if d.Text == "" {
		return
	}
	if d.Name != "" {
		f.Fault("/text", "stands for the name: send one of them")
		return
	}
	said := shopping.Parse(f.Text("/text", d.Text, 1, 200))
	d.Name = said.Name
	if d.Quantity == nil {
		d.Quantity = said.Quantity
	}
	if d.Unit == "" {
		d.Unit = said.Unit
	}
}

func checkBarcode(f *valid.Form, pointer, code string) {
	if code != "" && !shopping.Barcode(code) {
		f.Fault(pointer, "must be an EAN or UPC of 8, 12, 13 or 14 digits with the right check digit")
	}
}

func checkPhoto(f *valid.Form, pointer, photo string) {
	if photo != "" && !shopping.Photo(photo) {
		f.Fault(pointer, "must be an https address, or a key of letters, digits, -, _ and .; 500 characters at most")
	}
}

func checkQuantity(f *valid.Form, q *float64) {
	if q != nil && !shopping.ValidQuantity(*q) {
		f.Fault("/quantity", "must be more than 0, with at most three decimals")
	}
}

// same reports whether the draft, sent once more, means the item that is there.
func (d *draft) same(i *Item, principal string) bool {
	sameQuantity := d.Quantity == nil && i.Quantity == nil || d.Quantity != nil && i.Quantity != nil && *d.Quantity == *i.Quantity
	return sameQuantity && d.Name == i.Name && d.Unit == i.Unit && d.Note == i.Note && d.Category == i.Category &&
		d.Barcode == i.Barcode && d.Photo == i.Photo && i.AddedBy == principal
}

func (h *Items) create(w http.ResponseWriter, r *http.Request) error {
	at, err := path(r)
	if err != nil {
		return err
	}
	return h.createOn(w, r, at)
}

// createSomewhere is create for whoever names no list.
func (h *Items) createSomewhere(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	list, err := h.selectDefault(r.Context(), family)
	if err != nil {
		return err
	}
	return h.createOn(w, r, where{family: family, list: list})
}

func (h *Items) createOn(w http.ResponseWriter, r *http.Request, at where) error {
	var d draft
	if err := web.DecodeJSON(r, &d); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	made, err := h.insert(r.Context(), at, d)
	if fault.Is(err, fault.Conflict) { // the same draft may have won a race: then this is its answer too
		made, err = h.insert(r.Context(), at, d)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/families/"+at.family.String()+"/lists/"+at.list.String()+"/items/"+made.ID.String())
	precondition.SetETag(w, made.Version, made.Permissions...)
	return write(w, http.StatusCreated, made)
}

func (h *Items) get(w http.ResponseWriter, r *http.Request) error {
	at, err := path(r)
	if err != nil {
		return err
	}
	found, err := h.selectOne(r.Context(), at)
	if err != nil {
		return err
	}
	if precondition.NotModified(w, r, found.Version, found.Permissions...) {
		return nil
	}
	return write(w, http.StatusOK, found)
}

type change struct {
	Name     valid.Field[string]  `json:"name"`
	Quantity valid.Field[float64] `json:"quantity"`
	Unit     valid.Field[string]  `json:"unit"`
	Note     valid.Field[string]  `json:"note"`
	Category valid.Field[string]  `json:"category"`
	Barcode  valid.Field[string]  `json:"barcode"`
	Photo    valid.Field[string]  `json:"photo"`
	After    valid.Field[id.ID]   `json:"after"` // null: to the front
}

// edits reports whether anything but the place changes.
func (c change) edits() bool {
	return c.Name.Present || c.Quantity.Present || c.Unit.Present || c.Note.Present || c.Category.Present || c.Barcode.Present || c.Photo.Present
}

func (c change) apply(to *Item) error {
	var f valid.Form
	to.Name = f.Text("/name", c.Name.Or(&f, "/name", to.Name), 1, 200)
	to.Unit = f.Text("/unit", c.Unit.Or(&f, "/unit", to.Unit), 0, 32)
	to.Note = f.Text("/note", c.Note.Or(&f, "/note", to.Note), 0, 1000)
	to.Category = f.Text("/category", c.Category.Or(&f, "/category", to.Category), 0, 64)
	to.Barcode = c.Barcode.Or(&f, "/barcode", to.Barcode)
	checkBarcode(&f, "/barcode", to.Barcode)
	to.Photo = c.Photo.Or(&f, "/photo", to.Photo)
	checkPhoto(&f, "/photo", to.Photo)
	to.Quantity = c.Quantity.OrNull(to.Quantity)
	checkQuantity(&f, to.Quantity)
	return f.Err()
}

func (h *Items) patch(w http.ResponseWriter, r *http.Request) error {
	at, err := path(r)
	if err != nil {
		return err
	}
	var c change
	if err := web.DecodeJSON(r, &c); err != nil {
		return err
	}
	changed, err := h.update(r.Context(), at, c, func(version int64) error { return precondition.Check(r, version) })
	if err != nil {
		return err
	}
	precondition.SetETag(w, changed.Version, changed.Permissions...)
	return write(w, http.StatusOK, changed)
}

func (h *Items) remove(w http.ResponseWriter, r *http.Request) error {
	at, err := path(r)
	if err != nil {
		return err
	}
	if err := h.delete(r.Context(), at, func(version int64) error { return precondition.Check(r, version) }); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Items) check(w http.ResponseWriter, r *http.Request) error   { return h.set(w, r, true) }
func (h *Items) uncheck(w http.ResponseWriter, r *http.Request) error { return h.set(w, r, false) }

func (h *Items) set(w http.ResponseWriter, r *http.Request, checked bool) error {
	at, err := path(r)
	if err != nil {
		return err
	}
	i, err := h.setChecked(r.Context(), at, checked)
	if err != nil {
		return err
	}
	precondition.SetETag(w, i.Version, i.Permissions...)
	return write(w, http.StatusOK, i)
}
