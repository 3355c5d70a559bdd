package mfa

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
)

const maxForm = 16 << 10 // bytes of a posted form

// Sessions signs a browser in. Held is who gave a password there and owes a
// second factor.
type Sessions interface {
	Current(r *http.Request) (*oidc.Login, error)
	Held(r *http.Request) (*oidc.Login, error)
	Start(ctx context.Context, w http.ResponseWriter, r *http.Request, login oidc.Login) error
}

// Flows knows the authorization request for which somebody signs in.
type Flows interface {
	Resume(ctx context.Context, r *http.Request, flowID string) (req *oidc.AuthRequest, approvedSID string, denied bool, err error)
	Deny(ctx context.Context, flowID string) error
}

// Clients knows who asked for the sign-in.
type Clients interface {
	Client(ctx context.Context, clientID string) (*oidc.Client, error)
}

// Users knows who signs in.
type Users interface {
	User(ctx context.Context, subject id.ID) (*oidc.User, error)
}

// Devices recognises browsers.
type Devices interface {
	Ensure(w http.ResponseWriter, r *http.Request) (device string, fresh bool)
}

// Pages renders.
type Pages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
	RenderFlow(w http.ResponseWriter, r *http.Request, status int, name, redirectURI string, data any) error
}

// Auditor takes audit events off the request's path.
type Auditor interface {
	Put(e audit.Event)
}

// Passkeys are factors that are kept elsewhere.
type Passkeys interface {
	List(ctx context.Context, user id.ID) ([]oidc.Passkey, error)
	// Act answers a button of theirs, for somebody who has given proof.
	Act(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error
}

// Messages are the weaker factor, kept elsewhere: codes that are sent.
type Messages interface {
	Ways(ctx context.Context, user id.ID) ([]oidc.MessageWay, error)
	// Mailbox is the way to the verified address, for those who chose none.
	Mailbox(ctx context.Context, user id.ID) ([]oidc.MessageWay, error)
	SMS() bool
	Send(ctx context.Context, user id.ID, device, source, channel string) error
	Check(ctx context.Context, user id.ID, device, code string) (amr []string, err error)
	// Act answers a button of theirs, for somebody who has given proof.
	Act(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error
}

// Handler serves /login/mfa, and by Act its part of /account/security.
type Handler struct {
	Factors  *Factors
	Throttle *Throttle
	Passkeys Passkeys
	Messages Messages
	Sessions Sessions
	Flows    Flows
	Clients  Clients
	Users    Users
	Devices  Devices
	Pages    Pages
	Audit    Auditor
	Risks    Risks // nil weighs nothing
	// Source names where a request comes from, see limit.Source.
	Source func(r *http.Request) string
	Now    func() time.Time
}

// Mount adds the page to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/login/mfa", h.showCode)
	rt.Handle(http.MethodPost, "/login/mfa", h.answerCode)
}

// View is Factors.View, and what is kept elsewhere.
func (h *Handler) View(ctx context.Context, user id.ID, device string) (oidc.Factors, error) {
	v, err := h.Factors.View(ctx, user, device)
	if err != nil {
		return v, err
	}
	if v.Passkeys, err = h.Passkeys.List(ctx, user); err != nil {
		return v, err
	}
	v.SMS = h.Messages.SMS()
	v.Messages, err = h.Messages.Ways(ctx, user)
	return v, err
}

// codePage is what mfa.html and mfa-required.html show.
type codePage struct {
	Flow, Next string
	Email      string
	AppName    string // of the client that waits; "" without one
	Alert      string
	Held       bool // nobody is signed in yet, so somebody else may
	// What the person has.
	App, Passkey bool
	Messages     []oidc.MessageWay
	Sent         bool // a code is under way
}

// debtor is who stands before the page.
type debtor struct {
	oidc.Login
	held bool
}

// who returns the person at this browser who gave a password and owes a second
// factor, or else who is signed in; nil when nobody is either.
func (h *Handler) who(r *http.Request) (*debtor, error) {
	held, err := h.Sessions.Held(r)
	if err != nil {
		return nil, err
	}
	if held != nil {
		return &debtor{Login: *held, held: true}, nil
	}
	login, err := h.Sessions.Current(r)
	if login == nil || err != nil {
		return nil, err
	}
	return &debtor{Login: *login}, nil
}

func (h *Handler) showCode(w http.ResponseWriter, r *http.Request) error {
	to := oidc.OnwardFrom(r.URL.Query())
	req, err := h.resume(r, to.Flow)
	if err != nil {
		return err
	}
	d, err := h.who(r)
	if err != nil {
		return err
	}
	if d == nil {
		return web.SeeOther(w, r, to.Via("/login"))
	}
	if !d.held && d.ACR == oidc.ACRMFA {
		return web.SeeOther(w, r, to.Path())
	}
	enrolled, err := h.Factors.Enrolled(r.Context(), d.Subject)
	if err != nil {
		return err
	}
	ways, err := h.ways(r.Context(), d)
	if err != nil {
		return err
	}
	switch {
	case !enrolled && len(ways) > 0 && (d.held || !slices.Contains(d.AMR, oidc.AMRChannels)):
		return h.renderCode(w, r, http.StatusOK, "mfa-message", req, d, to, "")
	case enrolled:
		alert := ""
		if r.URL.Query().Get("passkey") == "refused" {
			alert = "That passkey was not accepted. Try again, or take another way."
		}
		return h.renderCode(w, r, http.StatusOK, "mfa", req, d, to, alert)
	case d.held: // the factor went meanwhile
		return web.SeeOther(w, r, to.Via("/login"))
	case req == nil:
		return web.SeeOther(w, r, "/account/security")
	}
	return h.renderCode(w, r, http.StatusOK, "mfa-required", req, d, to, "")
}

// answerCode completes the sign-in, or raises it to two factors.
func (h *Handler) answerCode(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	to := oidc.OnwardFrom(form)
	req, err := h.resume(r, to.Flow)
	if err != nil {
		return err
	}
	if form.Get("action") == "deny" && req != nil {
		if err := h.Flows.Deny(r.Context(), to.Flow); err != nil {
			return err
		}
		return web.SeeOther(w, r, to.Path())
	}
	d, err := h.who(r)
	if err != nil {
		return err
	}
	if d == nil {
		return web.SeeOther(w, r, to.Via("/login"))
	}
	enrolled, err := h.Factors.Enrolled(r.Context(), d.Subject)
	if err != nil {
		return err
	}
	device, _ := h.Devices.Ensure(w, r)
	name, try := "mfa", h.Factors.check
	if !enrolled {
		name, try = "mfa-message", h.messaged(device)
	}
	var amr []string
	switch form.Get("action") {
	case "verify":
		amr, err = h.tryCode(r, d.Subject, device, form.Get("code"), try)
	case "send":
		if enrolled {
			return web.NoButton()
		}
		if err = h.Messages.Send(r.Context(), d.Subject, device, h.Source(r), form.Get("channel")); err == nil {
			return h.renderCode(w, r, http.StatusOK, name, req, d, to, "")
		}
	default:
		return web.NoButton()
	}
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.RateLimited) {
		web.SetRetryAfter(w, err)
		return h.renderCode(w, r, statusOf(err), name, req, d, to, web.Message(err))
	}
	if err != nil {
		return err
	}
	if err := h.raise(w, r, d.Login, amr); err != nil {
		return err
	}
	if form.Get("remember") == "yes" {
		if err := h.Factors.Trust(r.Context(), d.Subject, device, r.UserAgent()); err != nil {
			return err
		}
	}
	return web.SeeOther(w, r, to.Path())
}

// checker spends a code, or tells, for the audit log, why it refused; its error
// then is fault.Unauthenticated with words for the person, or nil for the usual
// ones.
type checker func(ctx context.Context, user id.ID, code string) (amr []string, reason string, err error)

// messaged checks codes that were sent to a device.
func (h *Handler) messaged(device string) checker {
	return func(ctx context.Context, user id.ID, code string) (amr []string, reason string, err error) {
		amr, err = h.Messages.Check(ctx, user, device, code)
		if fault.Is(err, fault.Unauthenticated) {
			return nil, wrongCode, err
		}
		return amr, "", err
	}
}

// tryCode is one try at a code, limited and audited.
func (h *Handler) tryCode(r *http.Request, user id.ID, device, code string, check checker) (amr []string, err error) {
	ctx := r.Context()
	bucket, err := h.Throttle.take(ctx, user, device)
	if err != nil {
		if fault.Is(err, fault.RateLimited) {
			h.audit(r, "mfa.failed", audit.Denied, user, "rate_limited", "")
		}
		return nil, err
	}
	amr, reason, err := check(ctx, user, code)
	if reason != "" {
		h.audit(r, "mfa.failed", audit.Failure, user, reason, "")
	}
	switch {
	case err != nil:
		return nil, err
	case reason != "":
		return nil, fault.New(fault.Unauthenticated, "This code is not right, or was used already. Wait for the next one and try again.")
	}
	return amr, h.Throttle.succeeded(ctx, bucket, user, device)
}

// raise starts a session that says two factors, or that a second channel was
// seen. Its auth_time stays that of the first factor: a code alone does not make
// an old sign-in a fresh one.
func (h *Handler) raise(w http.ResponseWriter, r *http.Request, login oidc.Login, amr []string) error {
	raised := login.OneFactor()
	raised.SID, raised.AMR, raised.Risk = login.SID, append(raised.AMR, amr...), login.Risk.Answer()
	if slices.Contains(amr, oidc.AMRMFA) {
		raised.ACR = oidc.ACRMFA
	}
	if err := h.Sessions.Start(r.Context(), w, r, raised); err != nil {
		return err
	}
	h.audit(r, "login.succeeded", audit.Success, login.Subject, "", raised.ACR)
	return nil
}

// resume returns the parked request of a flow, nil without a flow.
func (h *Handler) resume(r *http.Request, flowID string) (*oidc.AuthRequest, error) {
	if flowID == "" {
		return nil, nil //nolint:nilnil // signing in for its own sake
	}
	req, _, _, err := h.Flows.Resume(r.Context(), r, flowID)
	return req, err
}

func (h *Handler) renderCode(w http.ResponseWriter, r *http.Request, status int, name string, req *oidc.AuthRequest, d *debtor, to oidc.Onward, alert string) error {
	user, err := h.Users.User(r.Context(), d.Subject)
	if err != nil {
		return err
	}
	has, err := h.View(r.Context(), d.Subject, "")
	if err != nil {
		return err
	}
	ways, err := h.ways(r.Context(), d)
	if err != nil {
		return err
	}
	page := codePage{
		Flow: to.Flow, Next: to.Page, Email: user.Email, Alert: alert, Held: d.held,
		App: !has.TOTPSince.IsZero(), Passkey: len(has.Passkeys) > 0, Messages: ways,
		Sent: r.Method == http.MethodPost,
	}
	return h.render(w, r, status, name, req, &page.AppName, &page)
}

// render shows a page that may belong to a flow; appName takes the name of the
// client that waits.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, status int, name string, req *oidc.AuthRequest, appName *string, page any) error {
	if req == nil {
		return h.Pages.Render(w, r, status, name, page)
	}
	c, err := h.Clients.Client(r.Context(), req.ClientID)
	if err != nil {
		return err
	}
	if *appName = c.Metadata.ClientName; *appName == "" {
		*appName = c.ID
	}
	return h.Pages.RenderFlow(w, r, status, name, req.Form.Get("redirect_uri"), page)
}

func (h *Handler) audit(r *http.Request, action string, result audit.Result, user id.ID, reason, acr string) {
	e := audit.Event{
		OccurredAt: h.Now(), Action: action, Result: result, Reason: reason, Actor: audit.Actor{Kind: "anonymous"}, Target: user.String(),
		SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context()),
	}
	if result == audit.Success {
		e.Actor, e.Target = audit.Person(user), ""
		e.Details = map[string]any{"acr": acr}
	}
	h.Audit.Put(e)
}

// statusOf is the status of a page that asks again. A 401 must name an HTTP
// authentication scheme, and there is none (RFC 9110 §15.5.2).
func statusOf(err error) int {
	if status := web.Status(err); status != http.StatusUnauthorized {
		return status
	}
	return http.StatusForbidden
}
