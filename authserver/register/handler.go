package register

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/url"
	"time"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/password"
	"larder/internal/secret"
	"larder/internal/web"
)

const (
	maxForm  = 16 << 10 // bytes of a posted form
	maxShown = 254      // bytes of a field that comes back in the form
)

// Flows knows the authorization request for which somebody registers.
type Flows interface {
	Resume(ctx context.Context, r *http.Request, flowID string) (req *oidc.AuthRequest, approvedSID string, denied bool, err error)
}

// Devices recognises browsers.
type Devices interface {
	Ensure(w http.ResponseWriter, r *http.Request) (device string, fresh bool)
}

// Pages renders.
type Pages interface {
	Language(r *http.Request) string
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
}

// Limits counts tries.
type Limits interface {
	Take(ctx context.Context, bucket string, rates ...limit.Rate) error
	Refund(ctx context.Context, bucket string, rates ...limit.Rate) error
}

// Handler serves /register.
type Handler struct {
	Registrations *Registrations
	Flows         Flows
	Devices       Devices
	Pages         Pages
	Limits        Limits
	Source        func(r *http.Request) string // where a request comes from
}

// Mount adds the pages to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, path, h.show)
	rt.Handle(http.MethodPost, path, h.post)
	rt.Handle(http.MethodGet, path+"/{token}", h.showLink)
	rt.Handle(http.MethodPost, path+"/{token}", h.verify)
}

// perSource is how many accounts a network may ask for; a school registers its
// parents from one address.
func perSource() []limit.Rate {
	return []limit.Rate{{Burst: 30, Every: 10 * time.Second}, {Burst: 200, Every: 10 * time.Minute}}
}

// perAddress is how much mail one address gets from registrations.
func perAddress() limit.Rate { return limit.Rate{Burst: 5, Every: 10 * time.Minute} }

// formPage is what register.html shows.
type formPage struct {
	Onward             string // the sign-in page, with the flow
	Flow, Next         string
	Name, Email, Alert string
	Field              string // that the alert is about, "" for none
	MinLength          int
}

// sentPage is what register-sent.html shows.
type sentPage struct {
	Onward       string // the sign-in page, with the flow
	Flow, Next   string
	Email        string
	Registration id.ID
	Again        bool
	Alert        string
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	h.Devices.Ensure(w, r)
	return h.renderForm(w, r, http.StatusOK, formPage{Flow: oidc.OnwardFrom(r.URL.Query()).Flow})
}

func (h *Handler) post(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	switch form.Get("action") {
	case "register":
		return h.register(w, r, form)
	case "resend":
		return h.resend(w, r, form)
	}
	return web.NoButton()
}

func (h *Handler) register(w http.ResponseWriter, r *http.Request, form url.Values) error {
	device, _ := h.Devices.Ensure(w, r)
	asked := Registration{Name: form.Get("name"), Address: form.Get("email"), Flow: oidc.OnwardFrom(form).Flow, Language: h.Pages.Language(r)}
	linkID, err := h.begin(r, device, asked, secret.String(form.Get("password")))
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.RateLimited) {
		page := formPage{Flow: asked.Flow, Name: bounded(asked.Name), Email: bounded(asked.Address)}
		page.Alert, page.Field = web.Message(err), web.Field(err)
		web.SetRetryAfter(w, err)
		return h.renderForm(w, r, web.Status(err), page)
	}
	if err != nil {
		return err
	}
	return h.renderSent(w, r, http.StatusOK, sentPage{Flow: asked.Flow, Email: asked.Address, Registration: linkID})
}

func (h *Handler) begin(r *http.Request, device string, asked Registration, chosen secret.String) (id.ID, error) {
	if err := h.Limits.Take(r.Context(), "register:source:"+h.Source(r), perSource()...); err != nil {
		return id.ID{}, err
	}
	canonical, err := h.Registrations.Accounts.CheckIdentity(asked.Name, asked.Address)
	if err != nil {
		return id.ID{}, err
	}
	if err := h.Limits.Take(r.Context(), addressBucket(canonical), perAddress()); err != nil {
		return id.ID{}, err
	}
	linkID, err := h.Registrations.Begin(r.Context(), device, asked, chosen)
	if fault.Is(err, fault.Invalid) { // the password: nothing was mailed
		if err := h.Limits.Refund(r.Context(), addressBucket(canonical), perAddress()); err != nil {
			return id.ID{}, err
		}
	}
	return linkID, err
}

// resend answers the same for a registration that is not there any more.
func (h *Handler) resend(w http.ResponseWriter, r *http.Request, form url.Values) error {
	old, err := id.Parse(form.Get("registration"))
	if err != nil {
		return fault.Wrap(fault.Invalid, "The form came without its registration.", err)
	}
	page, status := sentPage{Flow: oidc.OnwardFrom(form).Flow, Email: bounded(form.Get("email")), Registration: old, Again: true}, http.StatusOK
	fresh, err := h.again(r, old)
	switch {
	case err == nil:
		page.Registration = fresh
	case fault.Is(err, fault.RateLimited):
		page.Again = false
		page.Alert = web.Message(err)
		web.SetRetryAfter(w, err)
		status = web.Status(err)
	case !fault.Is(err, fault.NotFound):
		return err
	}
	return h.renderSent(w, r, status, page)
}

func (h *Handler) renderSent(w http.ResponseWriter, r *http.Request, status int, page sentPage) error {
	page.Onward = oidc.Onward{Flow: page.Flow}.Via("/login")
	return h.Pages.Render(w, r, status, "register-sent", page)
}

func (h *Handler) again(r *http.Request, old id.ID) (id.ID, error) {
	if err := h.Limits.Take(r.Context(), "register:source:"+h.Source(r), perSource()...); err != nil {
		return id.ID{}, err
	}
	waiting, err := h.Registrations.Waiting(r.Context(), old)
	if err != nil {
		return id.ID{}, err
	}
	canonical, err := h.Registrations.Accounts.CheckIdentity(waiting.Name, waiting.Address)
	if err != nil {
		return id.ID{}, err
	}
	if err := h.Limits.Take(r.Context(), addressBucket(canonical), perAddress()); err != nil {
		return id.ID{}, err
	}
	return h.Registrations.Resend(r.Context(), old)
}

// showLink shows what the link of a mail is about. Mail scanners open links
// too: it changes nothing.
func (h *Handler) showLink(w http.ResponseWriter, r *http.Request) error {
	found, err := h.Registrations.Look(r.Context(), web.Var(r, "token"))
	if fault.Is(err, fault.NotFound) {
		return h.over(w, r, err)
	}
	if err != nil {
		return err
	}
	return h.Pages.Render(w, r, http.StatusOK, "confirm", oidc.ConfirmPage{
		Title: "Welcome to Larder", Lead: "Confirm that you, " + found.Name + ", want an account with the email address", Address: found.Address,
		Button: "Confirm and make my account",
	})
}

func (h *Handler) verify(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	if form.Get("action") != "verify" {
		return web.NoButton()
	}
	made, err := h.Registrations.Verify(r.Context(), web.Var(r, "token"))
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
		return h.over(w, r, err)
	}
	if err != nil {
		return err
	}
	return h.Pages.Render(w, r, http.StatusOK, "message", oidc.MessagePage{
		Title: "Your account is ready", Message: "Sign in with your email address and the password that you chose.",
		LinkPath: h.onward(r, made.Flow), LinkTo: "Sign in",
	})
}

// onward leads to the sign-in page, and with it back to the app that sent the
// person, if that still waits in this browser.
func (h *Handler) onward(r *http.Request, flowID string) string {
	if flowID != "" {
		if _, _, _, err := h.Flows.Resume(r.Context(), r, flowID); err == nil {
			return oidc.Onward{Flow: flowID}.Via("/login")
		}
	}
	return "/login"
}

func (h *Handler) over(w http.ResponseWriter, r *http.Request, err error) error {
	page := oidc.MessagePage{Title: "This link does not work", Failed: true, LinkPath: path, LinkTo: "Register again"}
	page.Message = web.Message(err)
	if fault.Is(err, fault.Conflict) {
		page.LinkPath, page.LinkTo = "/login", "Sign in"
	}
	return h.Pages.Render(w, r, web.Status(err), "message", page)
}

func (h *Handler) renderForm(w http.ResponseWriter, r *http.Request, status int, page formPage) error {
	page.Onward, page.MinLength = oidc.Onward{Flow: page.Flow}.Via("/login"), password.MinLength
	return h.Pages.Render(w, r, status, "register", page)
}

func addressBucket(canonical string) string {
	return "register:address:" + hex.EncodeToString(secret.Sum(canonical)[:16])
}

func bounded(field string) string {
	if len(field) > maxShown {
		return ""
	}
	return field
}
