package account

import (
	"context"
	"net/http"
	"slices"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/risk"
	"larder/internal/web"
)

const maxForm = 16 << 10 // bytes of a posted form

// Sessions signs a browser in and out.
type Sessions interface {
	Current(r *http.Request) (*oidc.Login, error)
	Start(ctx context.Context, w http.ResponseWriter, r *http.Request, login oidc.Login) error
	// Hold remembers who gave a password here and owes a second factor.
	Hold(ctx context.Context, w http.ResponseWriter, r *http.Request, login oidc.Login) error
	End(ctx context.Context, w http.ResponseWriter, r *http.Request) error
}

// Flows knows the authorization request for which somebody signs in.
type Flows interface {
	Resume(ctx context.Context, r *http.Request, flowID string) (req *oidc.AuthRequest, approvedSID string, denied bool, err error)
}

// Clients knows who asked for the sign-in.
type Clients interface {
	Client(ctx context.Context, clientID string) (*oidc.Client, error)
}

// Devices recognises browsers.
type Devices interface {
	Ensure(w http.ResponseWriter, r *http.Request) (device string, fresh bool)
}

// Languages knows and remembers in which one a browser is spoken to.
type Languages interface {
	Language(r *http.Request) string
	Remember(w http.ResponseWriter, r *http.Request, locale string)
}

// Places tells in a language where an address is, "" if it does not know.
type Places interface {
	Name(address, language string) string
}

// Pages renders.
type Pages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
	RenderFlow(w http.ResponseWriter, r *http.Request, status int, name, redirectURI string, data any) error
}

// Providers are others who vouch for people.
type Providers interface {
	// Offered lists those to choose from.
	Offered() []oidc.SignInProvider
	// Begin sends the browser to one of them, to come back signed in. hint is an
	// address that the person may have.
	Begin(w http.ResponseWriter, r *http.Request, provider string, to oidc.Onward, hint string) error
}

// Auditor takes audit events off the request's path.
type Auditor interface {
	Put(e audit.Event)
}

// Handler serves /login, /account and /account/security.
type Handler struct {
	Accounts   *Accounts
	Factors    SecondFactors
	Enrolments Enrolments
	Throttle   *Throttle
	// Providers may sign people in too; nil for none.
	Providers Providers
	Sessions  Sessions
	Flows     Flows
	Clients   Clients
	Devices   Devices
	Pages     Pages
	Languages Languages
	Places    Places
	Audit     Auditor
	// Source names where a request comes from, see limit.Source.
	Source func(r *http.Request) string
	Now    func() time.Time
}

// Mount adds the pages to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/login", h.showLogin)
	rt.Handle(http.MethodPost, "/login", h.login)
	rt.Handle(http.MethodGet, unlockPath+"/{token}", h.showUnlock)
	rt.Handle(http.MethodPost, unlockPath+"/{token}", h.useUnlock)
	rt.Handle(http.MethodGet, risk.NewsPath+"/{token}", h.showNews)
	rt.Handle(http.MethodPost, risk.NewsPath+"/{token}", h.disownNews)
	rt.Handle(http.MethodGet, "/account", h.showAccount)
	rt.Handle(http.MethodPost, "/account", h.changeAccount)
	rt.Handle(http.MethodGet, emailPath+"/{token}", h.showEmailLink)
	rt.Handle(http.MethodPost, emailPath+"/{token}", h.useEmailLink)
	rt.Handle(http.MethodGet, "/account/security", h.showSecurity)
	rt.Handle(http.MethodPost, "/account/security", h.changeSecurity)
}

// loginPage is what login.html shows.
type loginPage struct {
	Flow  string
	Next  string // where to go on to, without a flow
	Email string
	Alert string
	App   *oidc.App

	Providers []oidc.SignInProvider
}

func (h *Handler) showLogin(w http.ResponseWriter, r *http.Request) error {
	to := oidc.OnwardFrom(r.URL.Query())
	if to == (oidc.Onward{}) {
		login, err := h.Sessions.Current(r)
		if err != nil {
			return err
		}
		if login != nil {
			return web.SeeOther(w, r, "/account")
		}
	}
	req, err := h.resume(r, to.Flow)
	if err != nil {
		return err
	}
	h.Devices.Ensure(w, r)
	page := loginPage{Flow: to.Flow, Next: to.Page}
	if r.URL.Query().Get("passkey") == "refused" {
		page.Alert = "That passkey was not accepted. Try again, or sign in with your password."
	}
	if req != nil && len(req.LoginHint) <= maxAddress {
		page.Email = req.LoginHint
	}
	return h.renderLogin(w, r, http.StatusOK, req, page)
}

// login signs in and sends the browser on: to the second factor if one is owed,
// else back to the dispatcher of its flow or to a page of ours.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	to := oidc.OnwardFrom(form)
	req, err := h.resume(r, to.Flow)
	if err != nil {
		return err
	}
	if action := form.Get("action"); action != "login" {
		return h.loginElsewhere(w, r, action, to, req)
	}
	email := form.Get("email")
	device, _ := h.Devices.Ensure(w, r)
	onward, err := h.enter(w, r, to, email, form.Get("password"), device)
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.RateLimited) || fault.Is(err, fault.Forbidden) {
		return h.refuse(w, r, req, loginPage{Flow: to.Flow, Next: to.Page, Email: email}, err)
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, onward)
}

// enter returns where the browser goes once the password was right.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request, to oidc.Onward, email, pass, device string) (onward string, err error) {
	login, err := h.signIn(r, email, pass, device)
	if err != nil {
		return "", err
	}
	owes, err := h.Factors.Weigh(r, &login, device)
	if err != nil {
		return "", err
	}
	if owes {
		if err := h.Sessions.Hold(r.Context(), w, r, login); err != nil {
			return "", err
		}
		h.audit(r, "login.password_accepted", audit.Success, login.Subject, "")
		return to.Via("/login/mfa"), nil
	}
	if err := h.Sessions.Start(r.Context(), w, r, login); err != nil {
		return "", err
	}
	h.audit(r, "login.succeeded", audit.Success, login.Subject, "")
	return to.Path(), nil
}

// loginElsewhere sends the browser to the provider whose button was pressed.
func (h *Handler) loginElsewhere(w http.ResponseWriter, r *http.Request, provider string, to oidc.Onward, req *oidc.AuthRequest) error {
	if !slices.ContainsFunc(h.offered(), func(p oidc.SignInProvider) bool { return p.Name == provider }) {
		return web.NoButton()
	}
	hint := ""
	if req != nil && len(req.LoginHint) <= maxAddress {
		hint = req.LoginHint
	}
	return h.Providers.Begin(w, r, provider, to, hint)
}

func (h *Handler) offered() []oidc.SignInProvider {
	if h.Providers == nil {
		return nil
	}
	return h.Providers.Offered()
}

// signIn is one attempt, throttled and audited.
func (h *Handler) signIn(r *http.Request, email, pass, device string) (oidc.Login, error) {
	ctx := r.Context()
	try, err := h.Throttle.open(ctx, email, h.Source(r), device)
	if err != nil {
		h.auditLimited(r, err)
		return oidc.Login{}, err
	}
	who, reason, err := h.Accounts.authenticate(ctx, email, pass, try.count)
	if err != nil {
		h.auditLimited(r, err)
		return oidc.Login{}, err
	}
	if reason != "" {
		h.audit(r, "login.failed", audit.Failure, who.user, reason)
		if err := h.notice(r, try, who.user); err != nil {
			return oidc.Login{}, err
		}
		return oidc.Login{}, fault.New(fault.Unauthenticated, "The email or the password is not right. Check both and try again.")
	}
	return oidc.Login{
		Subject: who.user, AuthTime: h.Now(), ACR: oidc.ACRPassword, AMR: []string{oidc.AMRPassword}, PasswordSet: who.passwordSet,
	}, try.succeeded(ctx)
}

// refuse shows the form again, with the address that was typed.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, req *oidc.AuthRequest, page loginPage, err error) error {
	page.Alert = web.Message(err)
	if len(page.Email) > maxAddress {
		page.Email = ""
	}
	web.SetRetryAfter(w, err)
	status := web.Status(err)
	if status == http.StatusUnauthorized {
		// A 401 must name an HTTP authentication scheme, and there is none
		// (RFC 9110 §15.5.2); credentials that do not suffice are a 403.
		status = http.StatusForbidden
	}
	return h.renderLogin(w, r, status, req, page)
}

// resume returns the parked request of a flow, nil without a flow.
func (h *Handler) resume(r *http.Request, flowID string) (*oidc.AuthRequest, error) {
	if flowID == "" {
		return nil, nil //nolint:nilnil // signing in for its own sake
	}
	req, _, _, err := h.Flows.Resume(r.Context(), r, flowID)
	return req, err
}

func (h *Handler) renderLogin(w http.ResponseWriter, r *http.Request, status int, req *oidc.AuthRequest, page loginPage) error {
	page.Providers = h.offered()
	if req == nil && len(page.Providers) == 0 {
		return h.Pages.Render(w, r, status, "login", page)
	}
	if req == nil { // the form may lead to a provider
		return h.Pages.RenderFlow(w, r, status, "login", "", page)
	}
	c, err := h.Clients.Client(r.Context(), req.ClientID)
	if err != nil {
		return err
	}
	app := c.App()
	page.App = &app
	return h.Pages.RenderFlow(w, r, status, "login", req.Form.Get("redirect_uri"), page)
}

// pressed reads a posted form of ours in which the given button was pressed.
func (h *Handler) pressed(w http.ResponseWriter, r *http.Request, action string) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	if form.Get("action") != action {
		return web.NoButton()
	}
	return nil
}

func (h *Handler) auditLimited(r *http.Request, err error) {
	if fault.Is(err, fault.RateLimited) {
		h.audit(r, "login.failed", audit.Denied, id.ID{}, "rate_limited")
	}
}

// audit never records what was typed as an address: people type passwords there.
func (h *Handler) audit(r *http.Request, action string, result audit.Result, user id.ID, reason string) {
	e := audit.Event{
		OccurredAt: h.Now(), Action: action, Result: result, Reason: reason,
		Actor: audit.Actor{Kind: "anonymous"}, SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context()),
	}
	switch {
	case result == audit.Success:
		e.Actor = audit.Person(user)
	case !user.IsZero():
		e.Target = user.String()
	}
	h.Audit.Put(e)
}
