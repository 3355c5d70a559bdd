package privacy

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
)

const maxForm = 16 << 10 // bytes of a posted form

// Sessions knows who is signed in at this browser.
type Sessions interface {
	Current(r *http.Request) (*oidc.Login, error)
	End(ctx context.Context, w http.ResponseWriter, r *http.Request) error
}

// Accounts deletes accounts.
type Accounts interface {
	User(ctx context.Context, subject id.ID) (*oidc.User, error)
	RequestDeletion(ctx context.Context, by audit.Actor, user id.ID) error
	Keep(ctx context.Context, by audit.Actor, user id.ID) error
	Deletion(ctx context.Context, user id.ID) (*time.Time, error)
}

// Identity lets the person at a signed-in browser prove who they are; it fails
// with fault.Forbidden and words for the page.
type Identity interface {
	Reauthenticate(w http.ResponseWriter, r *http.Request, user *oidc.User, pass string) error
}

// Pages renders.
type Pages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
}

// Auditor takes audit events off the request's path.
type Auditor interface {
	Put(e audit.Event)
}

// Handler serves /account/privacy.
type Handler struct {
	DB       *pgxpool.Pool
	Sessions Sessions
	Accounts Accounts
	Identity Identity
	Pages    Pages
	Audit    Auditor
	More     []Part
	Source   func(r *http.Request) string // where a request comes from
	Now      func() time.Time
}

// Mount adds the page to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/account/privacy", h.show)
	rt.Handle(http.MethodPost, "/account/privacy", h.act)
}

// privacyPage is what privacy.html shows.
type privacyPage struct {
	Email       string
	HasPassword bool
	DeleteAt    *time.Time // nil while the account stays
	Leaving     bool       // deleting did not succeed
	Alert       string
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	user, err := h.present(r)
	if err != nil {
		return err
	}
	if user == nil {
		return web.SeeOther(w, r, oidc.Onward{Page: "privacy"}.Via("/login"))
	}
	return h.render(w, r, user, "", nil)
}

func (h *Handler) act(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	user, err := h.present(r)
	if err != nil {
		return err
	}
	if user == nil {
		return web.SeeOther(w, r, oidc.Onward{Page: "privacy"}.Via("/login"))
	}
	switch form.Get("action") {
	case "download":
		err = h.download(w, r, user, form)
	case "delete":
		err = h.remove(w, r, user, form)
	case "keep":
		err = h.keep(w, r, user)
	default:
		return web.NoButton()
	}
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.RateLimited) {
		return h.render(w, r, user, form.Get("action"), err)
	}
	return err
}

// download asks for the password first: all of somebody's data is more than a
// browser that was left open should give away.
func (h *Handler) download(w http.ResponseWriter, r *http.Request, user *oidc.User, form url.Values) error {
	if err := h.Identity.Reauthenticate(w, r, user, form.Get("password")); err != nil {
		return err
	}
	document, err := export(r.Context(), h.DB, h.Now(), user.ID, h.More)
	if err != nil {
		return err
	}
	h.Audit.Put(audit.Event{
		OccurredAt: h.Now(), Action: "user.exported", Result: audit.Success, Actor: audit.Person(user.ID),
		SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context()),
	})
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Disposition", `attachment; filename="larder-account.json"`)
	header.Set("Content-Length", strconv.Itoa(len(document)))
	header.Set("Cache-Control", "no-store")
	_, _ = w.Write(document) //nolint:gosec // JSON to be saved, not shown; the browser may be gone
	return nil
}

func (h *Handler) remove(w http.ResponseWriter, r *http.Request, user *oidc.User, form url.Values) error {
	if err := h.Identity.Reauthenticate(w, r, user, form.Get("password")); err != nil {
		return err
	}
	if err := h.Accounts.RequestDeletion(r.Context(), audit.Person(user.ID), user.ID); err != nil {
		return err
	}
	due, err := h.Accounts.Deletion(r.Context(), user.ID)
	if err != nil {
		return err
	}
	if err := h.Sessions.End(r.Context(), w, r); err != nil {
		return err
	}
	page := oidc.MessagePage{Title: "Your account will be deleted", LinkPath: "/login", LinkTo: "Sign in to keep it"}
	if due != nil {
		page.Message = "You are signed out everywhere. On " + due.UTC().Format("2 January 2006") +
			" everything that we keep about you goes for good. Until then you can sign in and keep your account."
	}
	return h.Pages.Render(w, r, http.StatusOK, "message", page)
}

func (h *Handler) keep(w http.ResponseWriter, r *http.Request, user *oidc.User) error {
	if err := h.Accounts.Keep(r.Context(), audit.Person(user.ID), user.ID); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/account?done=kept")
}

func (h *Handler) render(w http.ResponseWriter, r *http.Request, user *oidc.User, action string, failed error) error {
	due, err := h.Accounts.Deletion(r.Context(), user.ID)
	if err != nil {
		return err
	}
	page, status := privacyPage{Email: user.Email, HasPassword: user.HasPassword, DeleteAt: due, Leaving: action == "delete"}, http.StatusOK
	if failed != nil {
		status = web.Status(failed)
		page.Alert = web.Message(failed)
		web.SetRetryAfter(w, failed)
	}
	return h.Pages.Render(w, r, status, "privacy", page)
}

// present returns who is signed in at this browser, nil when nobody is.
func (h *Handler) present(r *http.Request) (*oidc.User, error) {
	login, err := h.Sessions.Current(r)
	if login == nil || err != nil {
		return nil, err
	}
	user, err := h.Accounts.User(r.Context(), login.Subject)
	if fault.Is(err, fault.NotFound) || err == nil && user.Disabled {
		return nil, nil //nolint:nilnil // the account went while its browser was signed in
	}
	return user, err
}
