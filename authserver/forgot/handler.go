package forgot

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/riverqueue/river"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/limit"
	"larder/internal/link"
	"larder/internal/password"
	"larder/internal/secret"
	"larder/internal/web"
)

const (
	maxForm    = 16 << 10 // bytes of a posted form
	maxAddress = 254      // bytes, RFC 5321 §4.5.3.1.3
)

// Reset says what reset links are, which the accounts that accept them decide.
type Reset struct {
	Purpose string
	Life    time.Duration
}

// Accounts takes the new password.
type Accounts interface {
	CheckIdentity(name, address string) (canonical string, err error)
	Reset(ctx context.Context, token string, newPassword secret.String) error
}

// Queue takes in a job that belongs to no other change.
type Queue interface {
	InsertAlone(ctx context.Context, args river.JobArgs) error
}

// Flows knows the authorization request for which somebody wants to sign in.
type Flows interface {
	Resume(ctx context.Context, r *http.Request, flowID string) (req *oidc.AuthRequest, approvedSID string, denied bool, err error)
}

// Pages renders.
type Pages interface {
	Language(r *http.Request) string
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
}

// Limits counts tries.
type Limits interface {
	Take(ctx context.Context, bucket string, rates ...limit.Rate) error
}

// Handler serves /forgot.
type Handler struct {
	Accounts Accounts
	Links    *link.Links
	Queue    Queue
	Flows    Flows
	Pages    Pages
	Limits   Limits
	Reset    Reset
	Source   func(r *http.Request) string // where a request comes from
}

// Mount adds the pages to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, path, h.show)
	rt.Handle(http.MethodPost, path, h.request)
	rt.Handle(http.MethodGet, path+"/{token}", h.showLink)
	rt.Handle(http.MethodPost, path+"/{token}", h.reset)
}

func perSource() []limit.Rate {
	return []limit.Rate{{Burst: 30, Every: 10 * time.Second}, {Burst: 200, Every: 10 * time.Minute}}
}

// perAddress bounds the mail that strangers can have sent to somebody.
func perAddress() limit.Rate { return limit.Rate{Burst: 5, Every: 10 * time.Minute} }

// formPage is what forgot.html shows.
type formPage struct {
	Onward     string // the sign-in page, with the flow
	Flow, Next string
	Sent       bool
	Email      string
	Alert      string
	Field      string // that the alert is about, "" for none
}

// resetPage is what reset.html shows.
type resetPage struct {
	Alert     string
	Field     string // that the alert is about, "" for none
	MinLength int
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	return h.renderForm(w, r, http.StatusOK, formPage{Flow: oidc.OnwardFrom(r.URL.Query()).Flow})
}

// request leaves the job and says the same to everybody, also about an address
// that has had its share of mail.
func (h *Handler) request(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	page := formPage{Flow: oidc.OnwardFrom(form).Flow, Email: form.Get("email"), Sent: true}
	err = h.leave(r, page)
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.RateLimited) {
		page.Sent = false
		if len(page.Email) > maxAddress {
			page.Email = ""
		}
		page.Alert, page.Field = web.Message(err), web.Field(err)
		web.SetRetryAfter(w, err)
		return h.renderForm(w, r, web.Status(err), page)
	}
	if err != nil {
		return err
	}
	return h.renderForm(w, r, http.StatusOK, page)
}

func (h *Handler) leave(r *http.Request, page formPage) error {
	if err := h.Limits.Take(r.Context(), "forgot:source:"+h.Source(r), perSource()...); err != nil {
		return err
	}
	// Of the address alone: nobody is asked for a name here.
	canonical, err := h.Accounts.CheckIdentity("somebody", page.Email)
	if err != nil {
		return err
	}
	err = h.Limits.Take(r.Context(), "forgot:address:"+hex.EncodeToString(secret.Sum(canonical)[:16]), perAddress())
	if fault.Is(err, fault.RateLimited) {
		return nil
	}
	if err != nil {
		return err
	}
	return h.Queue.InsertAlone(r.Context(), Request{Address: canonical, Flow: page.Flow, Language: h.Pages.Language(r)})
}

func (h *Handler) showLink(w http.ResponseWriter, r *http.Request) error {
	_, err := h.Links.Look(r.Context(), h.Reset.Purpose, web.Var(r, "token"))
	if fault.Is(err, fault.NotFound) {
		return h.over(w, r, err)
	}
	if err != nil {
		return err
	}
	return h.Pages.Render(w, r, http.StatusOK, "reset", resetPage{MinLength: password.MinLength})
}

func (h *Handler) reset(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	if form.Get("action") != "verify" {
		return web.NoButton()
	}
	token := web.Var(r, "token")
	found, err := h.Links.Look(r.Context(), h.Reset.Purpose, token)
	if err == nil {
		err = h.Accounts.Reset(r.Context(), token, secret.String(form.Get("password")))
	}
	switch {
	case fault.Is(err, fault.Invalid):
		page := resetPage{MinLength: password.MinLength}
		page.Alert, page.Field = web.Message(err), web.Field(err)
		return h.Pages.Render(w, r, web.Status(err), "reset", page)
	case fault.Is(err, fault.NotFound):
		return h.over(w, r, err)
	case err != nil:
		return err
	}
	return h.Pages.Render(w, r, http.StatusOK, "message", oidc.MessagePage{
		Title: "Your password is changed", Message: "You are signed out everywhere. Sign in with the new password.",
		LinkPath: h.onward(r, found), LinkTo: "Sign in",
	})
}

// onward leads to the sign-in page, and with it back to the app that sent the
// person, if that still waits in this browser.
func (h *Handler) onward(r *http.Request, found *link.Link) string {
	var waiting Waiting
	if err := found.Into(&waiting); err == nil && waiting.Flow != "" {
		if _, _, _, err := h.Flows.Resume(r.Context(), r, waiting.Flow); err == nil {
			return oidc.Onward{Flow: waiting.Flow}.Via("/login")
		}
	}
	return "/login"
}

func (h *Handler) over(w http.ResponseWriter, r *http.Request, err error) error {
	page := oidc.MessagePage{Title: "This link does not work", Failed: true, LinkPath: path, LinkTo: "Ask for a new link"}
	page.Message = web.Message(err)
	return h.Pages.Render(w, r, web.Status(err), "message", page)
}

func (h *Handler) renderForm(w http.ResponseWriter, r *http.Request, status int, page formPage) error {
	page.Onward = oidc.Onward{Flow: page.Flow}.Via("/login")
	return h.Pages.Render(w, r, status, "forgot", page)
}
