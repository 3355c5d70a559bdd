package federation

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/oauth2"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/sealed"
	"larder/internal/secret"
	"larder/internal/web"
)

const (
	maxForm  = 16 << 10 // bytes of a posted form
	maxCode  = 2048     // bytes of an authorization code
	maxOther = 2048     // bytes of what else comes with it
)

// Sessions signs a browser in.
type Sessions interface {
	Current(r *http.Request) (*oidc.Login, error)
	Start(ctx context.Context, w http.ResponseWriter, r *http.Request, login oidc.Login) error
	// Hold remembers who owes a second factor here.
	Hold(ctx context.Context, w http.ResponseWriter, r *http.Request, login oidc.Login) error
}

// Factors knows who owes a second factor.
type Factors interface {
	// Weigh decides what follows the first factor, and puts what it found into login.
	Weigh(r *http.Request, login *oidc.Login, device string) (owes bool, err error)
	// Proof returns where the person has to go before they change how they get
	// in, "" if nowhere.
	Proof(ctx context.Context, login *oidc.Login, to oidc.Onward) (elsewhere string, err error)
}

// Passwords lets a person prove by password who they are, and tells when it was
// set; it fails with fault.Forbidden and words for the page.
type Passwords interface {
	CheckPassword(w http.ResponseWriter, r *http.Request, user *oidc.User, pass string) (set time.Time, err error)
}

// Devices recognises browsers.
type Devices interface {
	Ensure(w http.ResponseWriter, r *http.Request) (device string, fresh bool)
}

// Pages renders.
type Pages interface {
	Language(r *http.Request) string
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
	RenderFlow(w http.ResponseWriter, r *http.Request, status int, name, redirectURI string, data any) error
}

// Auditor takes audit events off the request's path.
type Auditor interface {
	Put(e audit.Event)
}

// Limits counts tries.
type Limits interface {
	Take(ctx context.Context, bucket string, rates ...limit.Rate) error
}

// Handler serves the callbacks, /login/link, /account/identities and what the
// providers send by themselves.
type Handler struct {
	Identities *Identities
	Sessions   Sessions
	Factors    Factors
	Passwords  Passwords
	Devices    Devices
	Pages      Pages
	Audit      Auditor
	Limits     Limits
	Redis      *redis.Client
	Keyring    func() *sealed.Keyring // seals what lies in Redis for minutes
	Secure     bool                   // the issuer is https
	Source     func(r *http.Request) string
	Now        func() time.Time
}

// Mount adds the pages to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	for _, p := range h.Identities.Providers {
		rt.Handle(http.MethodGet, callbackPath(p.Name), func(w http.ResponseWriter, r *http.Request) error { return h.callback(w, r, p) })
		if p.origin != "" {
			rt.Handle(http.MethodPost, callbackPath(p.Name), func(w http.ResponseWriter, r *http.Request) error { return h.formPost(w, r, p) })
		}
	}
	rt.Handle(http.MethodGet, linkPath, h.showLink)
	rt.Handle(http.MethodPost, linkPath, h.answerLink)
	rt.Handle(http.MethodGet, "/account/identities", h.showIdentities)
	rt.Handle(http.MethodPost, "/account/identities", h.changeIdentities)
}

func (h *Handler) transactions() *transactions {
	return &transactions{redis: h.Redis, keyring: h.Keyring, secure: h.Secure}
}

// perSource is how many trips a network may begin.
func perSource() limit.Rate { return limit.Rate{Burst: 200, Every: time.Second} }

// Offered lists the providers that people may choose from.
func (h *Handler) Offered() []oidc.SignInProvider { return h.Identities.Offered() }

// Begin sends the browser to a provider, to come back signed in and go on from
// there. hint is an address that the person may have.
func (h *Handler) Begin(w http.ResponseWriter, r *http.Request, provider string, to oidc.Onward, hint string) error {
	return h.begin(w, r, transaction{Provider: provider, To: to}, hint)
}

func (h *Handler) begin(w http.ResponseWriter, r *http.Request, tx transaction, hint string) error {
	p := h.Identities.provider(tx.Provider)
	if p == nil {
		return fault.New(fault.Invalid, "Nobody can sign in this way here.")
	}
	if err := h.Limits.Take(r.Context(), "federation:"+h.Source(r), perSource()); err != nil {
		return err
	}
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	tx.Nonce, tx.Verifier = secret.New().Reveal(), oauth2.GenerateVerifier()
	state, err := h.transactions().begin(r.Context(), w, tx, p.origin != "")
	if err != nil {
		return err
	}
	address, err := p.begin(state, tx.Nonce, tx.Verifier, hint, login != nil)
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, address)
}

// formPost takes Apple's form, which comes from another site and so without the
// cookies of a session. It only keeps what came; the GET that it sends the
// browser to has the cookies.
func (h *Handler) formPost(w http.ResponseWriter, r *http.Request, p *Provider) error {
	// A browser says where a form comes from; "null" stands for a page that
	// keeps it to itself. The state, not the origin, is what protects.
	if origin := r.Header.Get("Origin"); origin != "" && origin != "null" && origin != p.origin {
		return h.refused(w, r, p, oidc.Onward{}, fault.New(fault.Forbidden, "This form was not sent by "+p.Title+"."))
	}
	form, err := web.Form(w, r, maxForm)
	if err != nil {
		return err
	}
	a := answer{Code: form.Get("code"), Error: form.Get("error"), User: form.Get("user")}
	if len(a.Code) > maxCode || len(a.Error) > maxOther || len(a.User) > maxOther {
		return fault.New(fault.Invalid, "The form is too large.")
	}
	if err := h.transactions().park(r.Context(), r, p.Name, form.Get("state"), a); err != nil {
		return h.refused(w, r, p, oidc.Onward{}, err)
	}
	return web.SeeOther(w, r, callbackPath(p.Name)+"?state="+url.QueryEscape(form.Get("state")))
}

// callback ends a trip to a provider.
func (h *Handler) callback(w http.ResponseWriter, r *http.Request, p *Provider) error {
	q := r.URL.Query()
	for _, name := range []string{"state", "code", "error", "iss"} {
		if len(q[name]) > 1 {
			return h.refused(w, r, p, oidc.Onward{}, fault.New(fault.Forbidden, "A parameter came more than once."))
		}
	}
	tx, err := h.transactions().take(r.Context(), w, r, p.Name, q.Get("state"))
	if err != nil {
		return h.refused(w, r, p, oidc.Onward{}, err)
	}
	refuse := func(err error) error {
		if tx.Link.IsZero() {
			return h.refused(w, r, p, tx.To, err)
		}
		return h.notLinked(w, r, p, err)
	}
	a := tx.Answer
	if p.origin == "" {
		a = &answer{Code: q.Get("code"), Error: q.Get("error")}
	}
	switch {
	case a == nil: // a GET in place of the form_post that was asked for
		return refuse(over())
	case q.Has("iss") && !slices.Contains(p.issuers, q.Get("iss")): // RFC 9207 §2.4
		return refuse(errAnswer)
	case a.Error != "" || a.Code == "" || len(a.Code) > maxCode:
		return h.cancelled(w, r, p, tx, a.Error)
	}
	who, err := p.exchange(r.Context(), a.Code, tx.Nonce, tx.Verifier)
	if err != nil {
		return refuse(err)
	}
	if who.Name == "" {
		who.Name = nameFrom(a.User)
	}
	if !tx.Link.IsZero() {
		return h.linkHere(w, r, p, tx, who)
	}
	return h.signIn(w, r, p, tx.To, who)
}

// nameFrom reads the name out of Apple's form field. Nobody signed it, so it is
// a suggestion and nothing more; the address in it is not looked at.
func nameFrom(user string) string {
	var said struct {
		Name struct {
			First string `json:"firstName"`
			Last  string `json:"lastName"`
		} `json:"name"`
	}
	if json.Unmarshal([]byte(user), &said) != nil {
		return ""
	}
	return strings.TrimSpace(said.Name.First + " " + said.Name.Last)
}

func (h *Handler) cancelled(w http.ResponseWriter, r *http.Request, p *Provider, tx *transaction, reason string) error {
	page := oidc.MessagePage{Title: "You did not continue with " + p.Title, Message: "Nothing was changed.", LinkPath: tx.To.Via("/login"), LinkTo: "Choose how to sign in"}
	switch reason {
	case "access_denied", "user_cancelled_authorize", "user_cancelled_login":
	default:
		page.Message = p.Title + " could not sign you in. Nothing was changed."
		web.Annotate(r.Context(), slog.String("federation_error", bounded(reason)))
	}
	if !tx.Link.IsZero() {
		page.LinkPath, page.LinkTo = "/account/identities", "Go to your account"
	}
	return h.Pages.Render(w, r, http.StatusOK, "message", page)
}

// refused shows why a sign-in came to nothing, with a way on.
func (h *Handler) refused(w http.ResponseWriter, r *http.Request, p *Provider, to oidc.Onward, err error) error {
	page := oidc.MessagePage{Title: "Signing in with " + p.Title + " did not work", LinkPath: "/account", LinkTo: "Go on"}
	if to != (oidc.Onward{}) {
		page.LinkPath, page.LinkTo = to.Via("/login"), "Choose how to sign in"
	}
	return h.fail(w, r, p, page, err)
}

// notLinked shows why somebody who is signed in has no new identity.
func (h *Handler) notLinked(w http.ResponseWriter, r *http.Request, p *Provider, err error) error {
	return h.fail(w, r, p, oidc.MessagePage{
		Title: "Linking your " + p.Title + " account did not work", LinkPath: "/account/identities", LinkTo: "Go to your account",
	}, err)
}

func (h *Handler) fail(w http.ResponseWriter, r *http.Request, p *Provider, page oidc.MessagePage, err error) error {
	if errors.Is(err, errAnswer) {
		err = fault.Wrap(fault.Forbidden, "The answer of "+p.Title+" could not be verified, so nobody was signed in. Please try again.", err).WithCode("provider_answer")
	}
	shown, ok := web.Shown(err)
	if !ok {
		return err
	}
	web.Annotate(r.Context(), slog.String("federation_refused", err.Error()))
	h.record(r, "federation.refused", audit.Failure, id.ID{}, p.Name, reasonOf(shown))
	page.Message, page.Failed = shown.Message, true
	web.SetRetryAfter(w, err)
	return h.Pages.Render(w, r, web.Status(err), "message", page)
}

func reasonOf(shown *fault.Error) string {
	if shown.Code != "" {
		return shown.Code
	}
	if shown.Kind == fault.Unavailable {
		return "provider_unavailable"
	}
	return ""
}

func (h *Handler) record(r *http.Request, action string, result audit.Result, user id.ID, provider, reason string) {
	e := audit.Event{
		OccurredAt: h.Now(), Action: action, Result: result, Reason: reason, Actor: audit.Actor{Kind: "anonymous"},
		SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context()), Details: map[string]any{"provider": provider},
	}
	switch {
	case result == audit.Success:
		e.Actor = audit.Person(user)
	case !user.IsZero():
		e.Target = user.String()
	}
	h.Audit.Put(e)
}

func bounded(s string) string { return strings.ToValidUTF8(s[:min(len(s), 200)], "") }
