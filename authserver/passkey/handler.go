package passkey

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/risk"
	"larder/internal/web"
)

const maxForm = 32 << 10 // bytes of a posted form, with an answer in it

// Browsers signs a browser in. Held is who gave a password there and owes a
// second factor.
type Browsers interface {
	Current(r *http.Request) (*oidc.Login, error)
	Held(r *http.Request) (*oidc.Login, error)
	Start(ctx context.Context, w http.ResponseWriter, r *http.Request, login oidc.Login) error
}

// Flows knows the authorization request for which somebody signs in.
type Flows interface {
	Resume(ctx context.Context, r *http.Request, flowID string) (req *oidc.AuthRequest, approvedSID string, denied bool, err error)
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
	RenderFlow(w http.ResponseWriter, r *http.Request, status int, name, redirectURI string, data any) error
}

// Auditor takes audit events off the request's path.
type Auditor interface {
	Put(e audit.Event)
}

// Limiter slows down.
type Limiter interface {
	Take(ctx context.Context, bucket string, rates ...limit.Rate) error
}

// Risks weighs sign-ins.
type Risks interface {
	Assess(ctx context.Context, user id.ID, device, source string, password bool) (*risk.Assessment, error)
}

// Handler serves /login/passkey, and by Act its part of /account/security.
type Handler struct {
	Passkeys *Passkeys
	Issuer   string
	Browsers Browsers
	Flows    Flows
	Users    Users
	Devices  Devices
	Limits   Limiter
	Pages    Pages
	Audit    Auditor
	Risks    Risks // nil weighs nothing
	// Source names where a request comes from, see limit.Source.
	Source func(r *http.Request) string
	Now    func() time.Time
}

// Mount adds the pages to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodPost, "/login/passkey/options", h.ask)
	rt.Handle(http.MethodPost, "/login/passkey", h.signIn)
	rt.Handle(http.MethodGet, "/.well-known/passkey-endpoints", h.endpoints)
}

// List is Passkeys.List.
func (h *Handler) List(ctx context.Context, user id.ID) ([]oidc.Passkey, error) {
	return h.Passkeys.List(ctx, user)
}

// endpoints tells password managers where passkeys are looked after (W3C A
// Well-Known URL for Relying Party Passkey Endpoints).
func (h *Handler) endpoints(w http.ResponseWriter, _ *http.Request) error {
	if err := h.Passkeys.on(); err != nil {
		return err
	}
	page := h.Issuer + "/account/security"
	return web.JSON(w, http.StatusOK, map[string]string{"enroll": page, "manage": page})
}

// A page asks each time that it is opened, and a family is behind one address.
func askRates() []limit.Rate { return []limit.Rate{{Burst: 600, Every: 100 * time.Millisecond}} }

func answerRates() []limit.Rate { return []limit.Rate{{Burst: 300, Every: time.Second}} }

// ask hands out a challenge: with step=second for the passkeys of who gave a
// password here, or is signed in.
func (h *Handler) ask(w http.ResponseWriter, r *http.Request) error {
	if err := web.FromOwnPage(r); err != nil {
		return err
	}
	if err := h.Limits.Take(r.Context(), "passkey-ask:"+h.Source(r), askRates()...); err != nil {
		return err
	}
	var user id.ID
	if r.URL.Query().Get("step") == "second" {
		login, err := h.who(r)
		if err != nil {
			return err
		}
		if login == nil {
			return fault.New(fault.Forbidden, "Nobody has begun to sign in here.")
		}
		user = login.Subject
	}
	device, _ := h.Devices.Ensure(w, r)
	options, err := h.Passkeys.Ask(r.Context(), device, user)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(options) //nolint:gosec // JSON that we made, and nosniff
	return err
}

// who gave a password here and owes a second factor, or else is signed in.
func (h *Handler) who(r *http.Request) (*oidc.Login, error) {
	held, err := h.Browsers.Held(r)
	if held != nil || err != nil {
		return held, err
	}
	return h.Browsers.Current(r)
}

// signIn takes the answer to a challenge. It is a whole sign-in, also where a
// password went before.
func (h *Handler) signIn(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	if form.Get("action") != "passkey" {
		return web.NoButton()
	}
	to := oidc.OnwardFrom(form)
	if _, err := h.redirectURI(r, to); err != nil {
		return err
	}
	if err := h.Limits.Take(r.Context(), "passkey-answer:"+h.Source(r), answerRates()...); err != nil {
		return err
	}
	device, _ := h.Devices.Ensure(w, r)
	proof, user, err := h.prove(r, device, form.Get("credential"))
	if fault.Is(err, fault.Unauthenticated) {
		h.audit(r, "login.failed", audit.Failure, proof, "passkey_"+reasonOf(err))
		return h.again(w, r, to, form.Get("step"))
	}
	if err != nil {
		return err
	}
	login := oidc.Login{Subject: proof.User, AuthTime: h.Now(), ACR: oidc.ACRMFA, AMR: methods(), Passkey: proof.Passkey, PasswordSet: user.PasswordSet}
	held, err := h.Browsers.Held(r)
	if err != nil {
		return err
	}
	if proof.Asked && held != nil && held.Subject == proof.User {
		login.AMR, login.PasswordSet, login.Identity = append(slices.Clone(held.AMR), login.AMR...), held.PasswordSet, held.Identity
	}
	if h.Risks != nil { // told to resource servers; there is nothing stronger to ask for
		if login.Risk, err = h.Risks.Assess(r.Context(), proof.User, device, h.Source(r), false); err != nil {
			return err
		}
		login.Risk = login.Risk.Answer()
	}
	if err := h.Browsers.Start(r.Context(), w, r, login); err != nil {
		return err
	}
	h.audit(r, "login.succeeded", audit.Success, proof, "")
	if proof.Rewound {
		h.audit(r, "passkey.counter_rewound", audit.Success, proof, "")
	}
	return web.SeeOther(w, r, to.Path())
}

// methods are those that a passkey proves (RFC 8176 §2): possession of a key, a
// person who is there, and that they are its own, which makes two factors.
func methods() []string { return []string{oidc.AMRPossession, oidc.AMRUser, oidc.AMRMFA} }

// prove is Check for accounts that may sign in.
func (h *Handler) prove(r *http.Request, device, answer string) (proof Proof, user *oidc.User, err error) {
	if proof, err = h.Passkeys.Check(r.Context(), device, answer); err != nil {
		return proof, nil, err
	}
	user, err = h.Users.User(r.Context(), proof.User)
	if fault.Is(err, fault.NotFound) || err == nil && user.Disabled {
		return proof, nil, refused("disabled")
	}
	return proof, user, err
}

// again leads back to the page that the answer came from, with word of it.
func (h *Handler) again(w http.ResponseWriter, r *http.Request, to oidc.Onward, step string) error {
	path := to.Via("/login")
	if step == "second" {
		path = to.Via("/login/mfa")
	}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return web.SeeOther(w, r, path+separator+"passkey=refused")
}

// redirectURI is where the flow's forms may lead in the end, "" without one.
func (h *Handler) redirectURI(r *http.Request, to oidc.Onward) (string, error) {
	if to.Flow == "" {
		return "", nil
	}
	req, _, _, err := h.Flows.Resume(r.Context(), r, to.Flow)
	if err != nil {
		return "", err
	}
	return req.Form.Get("redirect_uri"), nil
}

func (h *Handler) audit(r *http.Request, action string, result audit.Result, proof Proof, reason string) {
	e := audit.Event{
		OccurredAt: h.Now(), Action: action, Result: result, Reason: reason, Actor: audit.Actor{Kind: "anonymous"},
		SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context()),
	}
	if !proof.User.IsZero() {
		e.Target = proof.User.String()
	}
	if result == audit.Success {
		e.Actor, e.Target = audit.Person(proof.User), proof.Passkey.String()
		e.Details = map[string]any{"acr": oidc.ACRMFA, "method": "passkey"}
	}
	h.Audit.Put(e)
}
