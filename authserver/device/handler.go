package device

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/web"
)

const maxForm = 16 << 10 // bytes of a posted form

// guesses bounds how often one network, and one account, may type a wrong code:
// of 20^8 codes each finds none in a lifetime (RFC 8628 §5.1).
func guesses() limit.Rate { return limit.Rate{Burst: 10, Every: time.Minute} }

// Sessions knows who is signed in at this browser.
type Sessions interface {
	Current(r *http.Request) (*oidc.Login, error)
}

// Flows binds a code that was typed to the browser in which it was, while its
// person signs in.
type Flows interface {
	Begin(ctx context.Context, w http.ResponseWriter, r *http.Request, req oidc.AuthRequest) (flowID string, err error)
	Resume(ctx context.Context, r *http.Request, flowID string) (req *oidc.AuthRequest, approvedSID string, denied bool, err error)
	Finish(ctx context.Context, flowID string) (first bool, err error)
}

// Clients knows who asks.
type Clients interface {
	Client(ctx context.Context, clientID string) (*oidc.Client, error)
}

// Users knows who is asked.
type Users interface {
	User(ctx context.Context, subject id.ID) (*oidc.User, error)
}

// Consents remembers what a person has agreed to.
type Consents interface {
	// Grant does it together with approve, or not at all; it is fault.Unauthenticated
	// once the session has ended.
	Grant(ctx context.Context, a oidc.Agreement, approve oidc.Approve) error
}

// Limiter counts guesses.
type Limiter interface {
	Take(ctx context.Context, bucket string, rates ...limit.Rate) error
	Refund(ctx context.Context, bucket string, rates ...limit.Rate) error
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

// Handler serves /device.
type Handler struct {
	Authorizations *Authorizations
	Sessions       Sessions
	Flows          Flows
	Clients        Clients
	Users          Users
	Consents       Consents
	Limiter        Limiter
	Pages          Pages
	Names          Names
	Audit          Auditor
	// Source names where a request comes from, see limit.Source.
	Source func(r *http.Request) string
	Now    func() time.Time
}

// Mount adds the page to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/device", h.show)
	rt.Handle(http.MethodPost, "/device", h.post)
}

// codePage is what device.html shows.
type codePage struct {
	Code  string
	Alert string
}

// confirmPage is what device-confirm.html shows.
type confirmPage struct {
	Flow      string
	Session   string // the sid of the person asked
	Code      string
	App       oidc.App
	UserName  string
	UserEmail string
	Scopes    []oidc.Meaning
	AskedAt   time.Time
	AskedFrom string
}

// donePage is what device-done.html shows.
type donePage struct {
	App     string
	Allowed bool
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	if flowID := query.Get("flow"); flowID != "" {
		return h.confirm(w, r, flowID)
	}
	page := codePage{}
	// The code in a link is filled in and no more: whoever sent the link may not
	// act for whoever follows it (RFC 8628 §5.4).
	if code, ok := readUserCode(query.Get("user_code")); ok {
		page.Code = inGroups(code)
	}
	return h.Pages.Render(w, r, http.StatusOK, "device", page)
}

func (h *Handler) post(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	switch form.Get("action") {
	case "verify":
		return h.enter(w, r, form.Get("code"))
	case "allow", "deny":
		return h.answer(w, r, form)
	}
	return web.NoButton()
}

// enter takes the code that was typed and has the browser go through sign-in to
// the question.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request, typed string) error {
	code, req, err := h.find(r, typed)
	if shown, ok := web.Shown(err); ok && (shown.Kind == fault.NotFound || shown.Kind == fault.RateLimited || shown.Kind == fault.Invalid) {
		page := codePage{Alert: shown.Message}
		if code != "" {
			page.Code = inGroups(code)
		}
		web.SetRetryAfter(w, err)
		return h.Pages.Render(w, r, web.Status(err), "device", page)
	}
	if err != nil {
		return err
	}
	flowID, err := h.Flows.Begin(r.Context(), w, r, oidc.AuthRequest{
		ClientID: req.ClientID, UserCode: code, Form: url.Values{}, Scopes: req.Scopes, Resources: req.Resources, Details: req.Details, RequestedAt: h.Now(),
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, oidc.Onward{Flow: flowID}.Path())
}

// find looks a code up. A wrong one costs its network and its account a guess;
// what cannot be a code at all costs none. code is "" when it is not one.
func (h *Handler) find(r *http.Request, typed string) (code string, req *oidc.DecoupledRequest, err error) {
	code, ok := readUserCode(typed)
	if !ok {
		return "", nil, fault.New(fault.Invalid, "The code has eight letters, such as WDJB-MJHT. Look at your device again.")
	}
	buckets := []string{"device:" + h.Source(r)}
	login, err := h.Sessions.Current(r)
	if err != nil {
		return "", nil, err
	}
	if login != nil {
		buckets = append(buckets, "device:"+login.Subject.String())
	}
	for _, bucket := range buckets {
		if err := h.Limiter.Take(r.Context(), bucket, guesses()); err != nil {
			return code, nil, err
		}
	}
	if req, err = h.Authorizations.Find(r.Context(), code); err != nil {
		return code, nil, err
	}
	for _, bucket := range buckets {
		if err := h.Limiter.Refund(r.Context(), bucket, guesses()); err != nil {
			return code, nil, err
		}
	}
	return code, req, nil
}

// confirm asks the person. Even a client of the operator's is asked for, and
// even one that was allowed before: what is new is the device.
func (h *Handler) confirm(w http.ResponseWriter, r *http.Request, flowID string) error {
	code, login, err := h.resume(r, flowID)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, oidc.Onward{Flow: flowID}.Path())
	}
	req, err := h.Authorizations.Find(r.Context(), code)
	if err != nil {
		return err
	}
	c, err := h.Clients.Client(r.Context(), req.ClientID)
	if err != nil {
		return err
	}
	user, err := h.Users.User(r.Context(), login.Subject)
	if err != nil {
		return err
	}
	names := h.Names.Of(r.Context(), login.Subject, req.Resources, req.Details)
	asked := append(oidc.DetailMeanings(req.Details, names), oidc.Meanings(oidc.BeyondDetails(req.Scopes, req.Details))...)
	return h.Pages.Render(w, r, http.StatusOK, "device-confirm", confirmPage{
		Flow: flowID, Session: login.SID, Code: inGroups(code), App: c.App(), UserName: user.Name, UserEmail: user.Email,
		Scopes: asked, AskedAt: req.AskedAt.UTC(), AskedFrom: req.AskedFrom,
	})
}

// resume returns the user code of a flow of this browser, and who is signed in.
func (h *Handler) resume(r *http.Request, flowID string) (code string, login *oidc.Login, err error) {
	parked, _, _, err := h.Flows.Resume(r.Context(), r, flowID)
	if err != nil {
		return "", nil, err
	}
	if parked.UserCode == "" {
		return "", nil, fault.New(fault.NotFound, "This sign-in is not for a device.")
	}
	login, err = h.Sessions.Current(r)
	return parked.UserCode, login, err
}

// answer records what the person decided.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, form url.Values) error {
	flowID, seen := form.Get("flow"), h.Now()
	code, login, err := h.resume(r, flowID)
	if err != nil {
		return err
	}
	if login == nil || login.SID != form.Get("session") {
		return web.SeeOther(w, r, oidc.Onward{Flow: flowID}.Path()) // not the session that was asked: ask the one that is there
	}
	req, err := h.Authorizations.Find(r.Context(), code)
	if err != nil {
		return err
	}
	c, err := h.Clients.Client(r.Context(), req.ClientID)
	if err != nil {
		return err
	}
	allowed := form.Get("action") == "allow"
	if allowed {
		err = h.allow(r.Context(), code, req, login, seen)
	} else {
		err = h.Authorizations.Deny(r.Context(), code)
	}
	if fault.Is(err, fault.Unauthenticated) {
		return web.SeeOther(w, r, oidc.Onward{Flow: flowID}.Path()) // signed out just now: ask who signs in
	}
	if err != nil {
		return err
	}
	h.audit(r, req, login, allowed)
	if _, err := h.Flows.Finish(r.Context(), flowID); err != nil {
		// The device has its answer. The flow ends by itself.
		web.Annotate(r.Context(), slog.String("flow_error", err.Error()))
	}
	return h.Pages.Render(w, r, http.StatusOK, "device-done", donePage{App: c.App().Name, Allowed: allowed})
}

// allow remembers the consent too: without it the device would get no tokens.
func (h *Handler) allow(ctx context.Context, code string, req *oidc.DecoupledRequest, login *oidc.Login, seen time.Time) error {
	agreed := oidc.Agreement{Login: login, Seen: seen, ClientID: req.ClientID, Scopes: oidc.BeyondDetails(req.Scopes, req.Details), Resources: req.Resources}
	return h.Consents.Grant(ctx, agreed, func(ctx context.Context, _ pgx.Tx) (func(context.Context) error, error) {
		return h.Authorizations.Approve(ctx, code, *login)
	})
}

func (h *Handler) audit(r *http.Request, req *oidc.DecoupledRequest, login *oidc.Login, allowed bool) {
	e := audit.Event{
		OccurredAt: h.Now(), Action: "device.denied", Result: audit.Denied, Actor: audit.Person(login.Subject),
		ClientID: req.ClientID, SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context()),
		Details: map[string]any{"asked_from": req.AskedFrom, "scopes": req.Scopes},
	}
	if allowed {
		e.Action, e.Result = "device.approved", audit.Success
	}
	h.Audit.Put(e)
}
