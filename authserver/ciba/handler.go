package ciba

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
)

const (
	pagePath = "/account/requests"
	maxForm  = 4 << 10 // bytes of a posted form
)

// Sessions knows who is signed in at this browser.
type Sessions interface {
	Current(r *http.Request) (*oidc.Login, error)
}

// Consents remembers what a person has agreed to.
type Consents interface {
	// Grant does it together with approve, or not at all; it is fault.Unauthenticated
	// once the session has ended.
	Grant(ctx context.Context, a oidc.Agreement, approve oidc.Approve) error
}

// Pages renders.
type Pages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
}

// Auditor takes audit events off the request's path.
type Auditor interface {
	Put(e audit.Event)
}

// Names tells a person what authorization details are about; what it does not
// know is shown by its id. detailname.Names does.
type Names interface {
	Of(ctx context.Context, person id.ID, resources []string, details []oidc.AuthorizationDetail) oidc.DetailNames
}

// Handler serves /account/requests, where people see what apps ask of them from
// elsewhere, and answer.
type Handler struct {
	Requests *Requests
	Sessions Sessions
	Clients  Clients
	Consents Consents
	Names    Names
	Pages    Pages
	Audit    Auditor
	Source   func(r *http.Request) string // where a request comes from
}

// Mount adds the page to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, pagePath, h.show)
	rt.Handle(http.MethodPost, pagePath, h.answer)
}

// requestsPage is what requests.html shows.
type requestsPage struct {
	Session  string // the sid of the person asked
	Requests []requestView
	Notice   string
}

type requestView struct {
	ID             id.ID
	App            oidc.App
	BindingMessage string
	Scopes         []oidc.Meaning
	AskedAt        time.Time
	AskedFrom      string
	Factor         bool // a second factor has to be shown first
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, oidc.Onward{Page: "requests"}.Via("/login"))
	}
	all, err := h.Requests.pending(r.Context(), login.Subject)
	if err != nil {
		return err
	}
	page := requestsPage{Session: login.SID, Notice: notice(r.URL.Query().Get("done"))}
	for _, one := range all {
		c, err := h.Clients.Client(r.Context(), one.Request.ClientID)
		if fault.Is(err, fault.NotFound) {
			continue // disabled meanwhile: there is nobody to answer
		}
		if err != nil {
			return err
		}
		req := one.Request
		names := h.Names.Of(r.Context(), login.Subject, req.Resources, req.Details)
		page.Requests = append(page.Requests, requestView{
			ID: one.ID, App: c.App(), BindingMessage: one.BindingMessage, AskedAt: req.AskedAt.UTC(), AskedFrom: req.AskedFrom, Factor: owes(one, login),
			Scopes: append(oidc.DetailMeanings(req.Details, names), oidc.Meanings(oidc.BeyondDetails(req.Scopes, req.Details))...),
		})
	}
	return h.Pages.Render(w, r, http.StatusOK, "requests", page)
}

// owes reports whether the client wants to know the person by more than this
// session shows.
func owes(one waiting, login *oidc.Login) bool { return one.Factor && login.ACR != oidc.ACRMFA }

func notice(done string) string {
	switch done {
	case "allowed":
		return "You allowed it. The app goes on by itself."
	case "denied":
		return "You did not allow it. The app got nothing."
	case "over":
		return "That request was answered already, or took too long."
	}
	return ""
}

// answer records what the person decided.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	action := form.Get("action")
	requestID, err := id.Parse(form.Get("request"))
	if err != nil || action != "allow" && action != "deny" {
		return web.NoButton()
	}
	seen := h.Requests.Now()
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login == nil || login.SID != form.Get("session") {
		return web.SeeOther(w, r, pagePath) // not the session that was asked: ask the one that is there
	}
	done, err := h.decide(r, requestID, login, seen, action == "allow")
	switch {
	case fault.Is(err, fault.NotFound):
		done, err = pagePath+"?done=over", nil
	case fault.Is(err, fault.Unauthenticated): // signed out just now: ask who signs in
		done, err = pagePath, nil
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, done)
}

// decide returns where the browser goes next. The consent is remembered too:
// without it the client would get no tokens.
func (h *Handler) decide(r *http.Request, requestID id.ID, login *oidc.Login, seen time.Time, allow bool) (next string, err error) {
	ctx := r.Context()
	all, err := h.Requests.pending(ctx, login.Subject)
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(all, func(one waiting) bool { return one.ID == requestID })
	if at < 0 {
		return pagePath + "?done=over", nil
	}
	req := all[at].Request
	if !allow {
		if err := h.Requests.Deny(ctx, requestID, login.Subject); err != nil {
			return "", err
		}
		h.audit(r, all[at], login, "ciba.denied", audit.Denied)
		return pagePath + "?done=denied", nil
	}
	if owes(all[at], login) {
		return oidc.Onward{Page: "requests"}.Via("/login/mfa"), nil
	}
	agreed := oidc.Agreement{Login: login, Seen: seen, ClientID: req.ClientID, Scopes: oidc.BeyondDetails(req.Scopes, req.Details), Resources: req.Resources}
	err = h.Consents.Grant(ctx, agreed, func(ctx context.Context, tx pgx.Tx) (func(context.Context) error, error) {
		return nil, h.Requests.Approve(ctx, tx, requestID, *login)
	})
	if err != nil {
		return "", err
	}
	h.audit(r, all[at], login, "ciba.approved", audit.Success)
	return pagePath + "?done=allowed", nil
}

func (h *Handler) audit(r *http.Request, one waiting, login *oidc.Login, action string, result audit.Result) {
	h.Audit.Put(audit.Event{
		OccurredAt: h.Requests.Now(), Action: action, Result: result, Actor: audit.Person(login.Subject),
		ClientID: one.Request.ClientID, Target: one.ID.String(), SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context()),
		Details: map[string]any{"asked_from": one.Request.AskedFrom, "scopes": one.Request.Scopes, "binding_message": one.BindingMessage},
	})
}
