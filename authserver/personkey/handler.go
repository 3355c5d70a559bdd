package personkey

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
)

const (
	maxForm = 16 << 10 // bytes
	maxName = 60       // characters
	// soon is how long before its end a key is marked on the page.
	soon = 14 * 24 * time.Hour
	// familyWrite is no scope for keys: a person who manages a family signs in.
	familyWrite = "family:write"
)

// Sessions knows who is signed in at this browser.
type Sessions interface {
	Current(r *http.Request) (*oidc.Login, error)
}

// Users knows accounts.
type Users interface {
	User(ctx context.Context, subject id.ID) (*oidc.User, error)
}

// Factors knows where a person has to go before they may make a key, "" if
// nowhere.
type Factors interface {
	Proof(ctx context.Context, login *oidc.Login, to oidc.Onward) (elsewhere string, err error)
}

// Pages renders.
type Pages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
}

// Handler serves /account/keys.
type Handler struct {
	Keys     *Keys
	Families *Families
	Scopes   []string // of our APIs
	Sessions Sessions
	Users    Users
	Factors  Factors
	Pages    Pages
}

// Mount adds the page to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/account/keys", h.show)
	rt.Handle(http.MethodPost, "/account/keys", h.act)
}

func onward() oidc.Onward { return oidc.Onward{Page: "keys"} }

// keysPage is what keys.html shows.
type keysPage struct {
	Keys          []keyView
	Families      []Family
	Scopes        []choice
	Lives         []life
	Name          string
	Family        string // that is chosen, "" for the first
	Days          int    // of the life that is chosen
	Fresh         bool   // the sign-in is fresh enough to make a key
	Notice, Alert string
}

type keyView struct {
	Key
	May           []oidc.Meaning
	Expired, Soon bool
}

type choice struct {
	Scope  string
	Chosen bool
	oidc.Meaning
}

// life is how long a key may live.
type life struct {
	Days  int
	Words string
}

// usualLife is chosen until somebody chooses, in days.
const usualLife = 90

// lives are what may be chosen from; the last is the longest.
func lives() []life {
	return []life{{7, "A week"}, {30, "30 days"}, {usualLife, "90 days"}, {365, "A year"}}
}

// madePage is what key-made.html shows, once.
type madePage struct {
	Key
	Value string
}

// offered are the scopes that a key may have.
func (h *Handler) offered() []choice {
	var all []choice
	for _, s := range h.Scopes {
		if s != familyWrite {
			all = append(all, choice{Scope: s, Meaning: oidc.Meanings([]string{s})[0]})
		}
	}
	return all
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	login, err := h.present(w, r)
	if login == nil || err != nil {
		return err
	}
	return h.render(w, r, login, nil, nil)
}

// act answers the buttons create and revoke. A field that is not the form's is
// refused rather than passed over: nobody makes a key for somebody else.
func (h *Handler) act(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	for name := range form {
		box := slices.ContainsFunc(h.offered(), func(c choice) bool { return c.Scope == name })
		if !box && !slices.Contains([]string{"action", "name", "family", "days", "key"}, name) {
			return fault.New(fault.Forbidden, "This form asks for more than the page offers.")
		}
	}
	login, err := h.present(w, r)
	if login == nil || err != nil {
		return err
	}
	switch form.Get("action") {
	case "create":
		err = h.create(w, r, login, form)
	case "revoke":
		err = h.revoke(w, r, login, form)
	default:
		return web.NoButton()
	}
	if _, shown := web.Shown(err); shown {
		return h.render(w, r, login, form, err)
	}
	return err
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error {
	elsewhere, err := h.Factors.Proof(r.Context(), login, onward())
	if err != nil {
		return err
	}
	if elsewhere != "" {
		return web.SeeOther(w, r, elsewhere)
	}
	d, err := h.read(form)
	if err != nil {
		return err
	}
	families, err := h.Families.Of(r.Context(), login.Subject)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(families, func(f Family) bool { return f.ID.String() == form.Get("family") })
	if n < 0 {
		return fault.New(fault.Forbidden, "You are not in this family.")
	}
	d.family = families[n]
	made, value, err := h.Keys.create(r.Context(), login.Subject, d)
	if err != nil {
		return err
	}
	return h.Pages.Render(w, r, http.StatusOK, "key-made", madePage{made, value.Reveal()})
}

// read checks what was filled in, but for the family.
func (h *Handler) read(form url.Values) (draft, error) {
	d := draft{name: strings.TrimSpace(form.Get("name"))}
	n := utf8.RuneCountInString(d.name)
	if !utf8.ValidString(d.name) || n < 1 || n > maxName || strings.ContainsFunc(d.name, unicode.IsControl) {
		return d, fault.New(fault.Invalid, "The name must have 1 to 60 characters, on one line.")
	}
	for _, s := range h.offered() {
		if form.Has(s.Scope) {
			d.scopes = append(d.scopes, s.Scope)
		}
	}
	if len(d.scopes) == 0 {
		return d, fault.New(fault.Invalid, "Choose something that the key may do.")
	}
	days, err := strconv.Atoi(form.Get("days"))
	if err != nil || !slices.ContainsFunc(lives(), func(l life) bool { return l.Days == days }) {
		return d, fault.New(fault.Invalid, "Choose how long the key is to live.")
	}
	d.expiresAt = h.Keys.Now().AddDate(0, 0, days)
	return d, nil
}

// revoke asks for no proof: it only makes things safer.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error {
	key, err := id.Parse(form.Get("key"))
	if err != nil {
		return fault.Wrap(fault.Invalid, "The form names no key.", err)
	}
	if _, err := h.Keys.revoke(r.Context(), login.Subject, key); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/account/keys?done=revoked")
}

// present returns who is signed in; nobody is sent to the sign-in page.
func (h *Handler) present(w http.ResponseWriter, r *http.Request) (*oidc.Login, error) {
	login, err := h.Sessions.Current(r)
	if err != nil {
		return nil, err
	}
	if login != nil {
		user, err := h.Users.User(r.Context(), login.Subject)
		if err == nil && !user.Disabled {
			return login, nil
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	return nil, web.SeeOther(w, r, onward().Via("/login"))
}

// render shows the page with what form filled in, and why that failed if it did.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values, failed error) error {
	all, err := h.Keys.List(r.Context(), login.Subject)
	if err != nil {
		return err
	}
	elsewhere, err := h.Factors.Proof(r.Context(), login, onward())
	if err != nil {
		return err
	}
	page, status := keysPage{
		Scopes: h.offered(), Lives: lives(), Name: form.Get("name"), Family: form.Get("family"), Days: usualLife, Fresh: elsewhere == "",
	}, http.StatusOK
	for i := range page.Scopes {
		page.Scopes[i].Chosen = form.Has(page.Scopes[i].Scope)
	}
	if days, err := strconv.Atoi(form.Get("days")); err == nil {
		page.Days = days
	}
	for _, k := range all {
		left := k.ExpiresAt.Sub(h.Keys.Now())
		page.Keys = append(page.Keys, keyView{Key: k, May: oidc.Meanings(k.Scopes), Expired: left <= 0, Soon: left > 0 && left < soon})
	}
	if page.Families, err = h.Families.Of(r.Context(), login.Subject); err != nil { // keys can still be seen and revoked
		page.Alert = web.Message(err)
	}
	switch {
	case failed != nil:
		page.Alert, status = web.Message(failed), web.Status(failed)
	case r.URL.Query().Get("done") == "revoked":
		page.Notice = "That key opens nothing any more."
	}
	return h.Pages.Render(w, r, status, "keys", page)
}
