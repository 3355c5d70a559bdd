package consent

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

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
}

// Flows keeps the request that the page asks about, and takes the answer.
type Flows interface {
	Resume(ctx context.Context, r *http.Request, flowID string) (req *oidc.AuthRequest, approvedSID string, denied bool, err error)
	Approve(ctx context.Context, flowID, sid string) (settle func(context.Context) error, err error)
	Deny(ctx context.Context, flowID string) error
}

// Clients knows who asks.
type Clients interface {
	Client(ctx context.Context, clientID string) (*oidc.Client, error)
}

// Users knows who is asked.
type Users interface {
	User(ctx context.Context, subject id.ID) (*oidc.User, error)
}

// Pages renders.
type Pages interface {
	RenderFlow(w http.ResponseWriter, r *http.Request, status int, name, redirectURI string, data any) error
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

// Handler serves /consent.
type Handler struct {
	Consents *Consents
	Sessions Sessions
	Flows    Flows
	Clients  Clients
	Users    Users
	Pages    Pages
	Names    Names
	Audit    Auditor
	Now      func() time.Time
}

// Mount adds the page to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/consent", h.show)
	rt.Handle(http.MethodPost, "/consent", h.answer)
}

// consentPage is what consent.html shows.
type consentPage struct {
	Flow       string
	Session    string // the sid of the person asked
	App        oidc.App
	UserName   string
	UserEmail  string
	Scopes     []meaning // and authorization details
	ReturnHost string
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	flowID := r.URL.Query().Get("flow")
	req, _, _, err := h.Flows.Resume(r.Context(), r, flowID)
	if err != nil {
		return err
	}
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, oidc.Onward{Flow: flowID}.Path())
	}
	c, err := h.Clients.Client(r.Context(), req.ClientID)
	if err != nil {
		return err
	}
	user, err := h.Users.User(r.Context(), login.Subject)
	if err != nil {
		return err
	}
	redirectURI := req.Form.Get("redirect_uri")
	return h.Pages.RenderFlow(w, r, http.StatusOK, "consent", redirectURI, consentPage{
		Flow: flowID, Session: login.SID, App: c.App(), UserName: user.Name, UserEmail: user.Email,
		Scopes: h.asked(r.Context(), login.Subject, req), ReturnHost: hostOf(redirectURI),
	})
}

// asked is what the client asks for, in plain words. Authorization details take
// the place of the scopes that they limit.
func (h *Handler) asked(ctx context.Context, person id.ID, req *oidc.AuthRequest) []meaning {
	names := h.Names.Of(ctx, person, req.Resources, req.Details)
	return append(oidc.DetailMeanings(req.Details, names), meanings(oidc.BeyondDetails(req.Scopes, req.Details))...)
}

// answer records what the person decided and sends the browser back to the
// dispatcher.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	flowID, seen := form.Get("flow"), h.Now()
	req, _, _, err := h.Flows.Resume(r.Context(), r, flowID)
	if err != nil {
		return err
	}
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login == nil || login.SID != form.Get("session") {
		return web.SeeOther(w, r, oidc.Onward{Flow: flowID}.Path()) // not the session that was asked: ask the one that is there
	}
	switch form.Get("action") {
	case "allow":
		err = h.allow(r.Context(), req, login, seen, flowID)
	case "deny":
		err = h.deny(r, req, login, flowID)
	default:
		err = web.NoButton()
	}
	if err != nil && !fault.Is(err, fault.Unauthenticated) { // signed out just now: the dispatcher sees it too
		return err
	}
	return web.SeeOther(w, r, oidc.Onward{Flow: flowID}.Path())
}

// allow remembers what the page showed but authorization details: they are
// asked for each time.
func (h *Handler) allow(ctx context.Context, req *oidc.AuthRequest, login *oidc.Login, seen time.Time, flowID string) error {
	agreed := oidc.Agreement{Login: login, Seen: seen, ClientID: req.ClientID, Scopes: oidc.BeyondDetails(req.Scopes, req.Details), Resources: req.Resources}
	return h.Consents.Grant(ctx, agreed, func(ctx context.Context, _ pgx.Tx) (func(context.Context) error, error) {
		return h.Flows.Approve(ctx, flowID, login.SID)
	})
}

func (h *Handler) deny(r *http.Request, req *oidc.AuthRequest, login *oidc.Login, flowID string) error {
	if err := h.Flows.Deny(r.Context(), flowID); err != nil {
		return err
	}
	h.Audit.Put(audit.Event{
		OccurredAt: h.Now(), Action: "consent.denied", Result: audit.Denied, Actor: audit.Person(login.Subject), ClientID: req.ClientID,
		UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context()),
	})
	return nil
}

// hostOf tells a person where they go back to: a host, or an app's own scheme.
func hostOf(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	if err != nil {
		return ""
	}
	if u.Host == "" {
		return u.Scheme
	}
	return u.Host
}
