package federation

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/secret"
	"larder/internal/web"
)

const (
	linkPath = "/login/link"
	linkLife = 10 * time.Minute
)

// proposal is an identity that may become part of an account, once the account's
// owner has shown to be the one who holds both. It lies sealed in Redis.
type proposal struct {
	key      string
	Provider string      `json:"provider"`
	Subject  string      `json:"subject"`
	Email    string      `json:"email"`
	Relay    bool        `json:"relay,omitempty"`
	Token    string      `json:"token,omitempty"` // Apple's refresh token
	User     id.ID       `json:"user"`
	To       oidc.Onward `json:"to"`
	// ApprovedAt is when the password was given and the second factor was still
	// owed.
	ApprovedAt time.Time `json:"approved_at,omitzero"`
}

func (p *proposal) profile() *profile {
	return &profile{Subject: p.Subject, Email: p.Email, PrivateRelay: p.Relay, RefreshToken: secret.String(p.Token)}
}

// linkView is what link.html shows.
type linkView struct {
	Provider    string
	Email       string
	Onward      string // the sign-in page, with where it leads
	CanLink     bool   // there is a password to prove oneself by, and a proven address
	HasPassword bool
	Alert       string
}

func (h *Handler) linkCookie(value string, life time.Duration) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // Secure wherever the issuer is https
		Name: "larder-link", Value: value, Path: "/", MaxAge: int(life.Seconds()), Secure: h.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if h.Secure {
		c.Name = "__Host-" + c.Name
	}
	return c
}

// proposeLink remembers an identity whose address has an account, and asks who
// holds the account.
func (h *Handler) proposeLink(w http.ResponseWriter, r *http.Request, p *Provider, to oidc.Onward, who *profile, user *oidc.User) error {
	cookie := secret.New().Reveal()
	err := h.keep(r.Context(), &proposal{
		key: proposalKey(cookie), Provider: p.Name, Subject: who.Subject, Email: who.Email, Relay: who.PrivateRelay,
		Token: who.RefreshToken.Reveal(), User: user.ID, To: to,
	})
	if err != nil {
		return err
	}
	http.SetCookie(w, h.linkCookie(cookie, linkLife))
	h.record(r, "identity.link_proposed", audit.Denied, user.ID, p.Name, "address_has_account")
	return web.SeeOther(w, r, linkPath)
}

func (h *Handler) keep(ctx context.Context, p *proposal) error {
	plain, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return cache.Translate(h.Redis.Set(ctx, p.key, h.Keyring().Seal(p.key, plain), linkLife).Err())
}

// proposed returns the proposal of this browser, nil without one.
func (h *Handler) proposed(r *http.Request) (*proposal, error) {
	c, err := r.Cookie(h.linkCookie("", 0).Name)
	if err != nil || len(c.Value) != tokenLength {
		return nil, nil //nolint:nilerr,nilnil // no cookie: nothing was proposed
	}
	p := &proposal{key: proposalKey(c.Value)}
	box, err := h.Redis.Get(r.Context(), p.key).Bytes()
	if errors.Is(err, cache.ErrNone) {
		return nil, nil //nolint:nilnil // over
	}
	if err != nil {
		return nil, cache.Translate(err)
	}
	plain, err := h.Keyring().Open(p.key, box)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // not ours
	}
	return p, json.Unmarshal(plain, p)
}

// forget ends a proposal; one caller gets true.
func (h *Handler) forget(w http.ResponseWriter, r *http.Request, p *proposal) (bool, error) {
	http.SetCookie(w, h.linkCookie("", -time.Second))
	n, err := h.Redis.Del(r.Context(), p.key).Result()
	return n == 1, cache.Translate(err)
}

func proposalKey(cookie string) string { return "federation-link:" + hash(cookie) }

// linkTo returns the proposal of this browser with its provider and account.
// Without any the browser has been sent to sign in.
func (h *Handler) linkTo(w http.ResponseWriter, r *http.Request) (*proposal, *Provider, *oidc.User, error) {
	found, err := h.proposed(r)
	if err != nil {
		return nil, nil, nil, err
	}
	if found == nil {
		return nil, nil, nil, web.SeeOther(w, r, "/login")
	}
	p := h.Identities.provider(found.Provider)
	if p == nil {
		return nil, nil, nil, over()
	}
	user, err := h.Identities.Accounts.User(r.Context(), found.User)
	return found, p, user, err
}

func (h *Handler) showLink(w http.ResponseWriter, r *http.Request) error {
	found, p, user, err := h.linkTo(w, r)
	if found == nil || err != nil {
		return err
	}
	return h.renderLink(w, r, found, p, user, nil)
}

func (h *Handler) renderLink(w http.ResponseWriter, r *http.Request, found *proposal, p *Provider, user *oidc.User, failed error) error {
	page, status := linkView{
		Provider: p.Title, Email: user.Email, Onward: found.To.Via("/login"), HasPassword: user.HasPassword,
		CanLink: user.HasPassword && user.EmailVerified && !user.Disabled,
	}, http.StatusOK
	if failed != nil {
		status = web.Status(failed)
		page.Alert = web.Message(failed)
		web.SetRetryAfter(w, failed)
	}
	return h.Pages.RenderFlow(w, r, status, "link", "", page)
}

// answerLink takes the password of the account. With it the identity is linked,
// at once or after the second factor that is owed.
func (h *Handler) answerLink(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	found, p, user, err := h.linkTo(w, r)
	if found == nil || err != nil {
		return err
	}
	switch form.Get("action") {
	case "login":
	case "deny":
		if _, err := h.forget(w, r, found); err != nil {
			return err
		}
		return web.SeeOther(w, r, found.To.Via("/login"))
	default:
		return web.NoButton()
	}
	if !user.HasPassword || !user.EmailVerified || user.Disabled {
		return h.renderLink(w, r, found, p, user, fault.New(fault.Forbidden, "These cannot be linked from here."))
	}
	set, err := h.Passwords.CheckPassword(w, r, user, form.Get("password"))
	if err != nil {
		if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.RateLimited) {
			return h.renderLink(w, r, found, p, user, err)
		}
		return err
	}
	now := h.Now()
	owes, err := h.enter(w, r, oidc.Login{Subject: user.ID, AuthTime: now, ACR: oidc.ACRPassword, AMR: []string{oidc.AMRPassword}, PasswordSet: set})
	if err != nil {
		return err
	}
	if owes {
		found.ApprovedAt = now
		if err := h.keep(r.Context(), found); err != nil {
			return err
		}
		return web.SeeOther(w, r, oidc.Onward{Page: "identities"}.Via("/login/mfa"))
	}
	h.record(r, "login.succeeded", audit.Success, user.ID, p.Name, "")
	return h.finishLink(w, r, found, p)
}

// finishLink links what was proposed and leads on to where the sign-in was
// going.
func (h *Handler) finishLink(w http.ResponseWriter, r *http.Request, found *proposal, p *Provider) error {
	first, err := h.forget(w, r, found)
	if err != nil {
		return err
	}
	if first {
		if err := h.Identities.link(r.Context(), p, found.profile(), found.User); err != nil {
			return h.refused(w, r, p, found.To, err)
		}
	}
	return web.SeeOther(w, r, found.To.Path())
}

// approved finishes a proposal whose second step has been shown in this session;
// it reports whether it has answered.
func (h *Handler) approved(w http.ResponseWriter, r *http.Request, login *oidc.Login) (bool, error) {
	found, err := h.proposed(r)
	if found == nil || err != nil || found.ApprovedAt.IsZero() {
		return false, err
	}
	p := h.Identities.provider(found.Provider)
	if p == nil || login.Subject != found.User || login.AuthTime.Before(found.ApprovedAt.Truncate(time.Second)) {
		return false, nil
	}
	if elsewhere, err := h.Factors.Proof(r.Context(), login, oidc.Onward{Page: "identities"}); elsewhere != "" || err != nil {
		return false, err
	}
	return true, h.finishLink(w, r, found, p)
}

// linkHere adds an identity to the account that is signed in, if it is the
// session that asked.
func (h *Handler) linkHere(w http.ResponseWriter, r *http.Request, p *Provider, tx *transaction, who *profile) error {
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login == nil || login.Subject != tx.Link || login.SID != tx.SID {
		return h.notLinked(w, r, p, fault.New(fault.Forbidden, "You are not signed in any more as who began this. Nothing was linked."))
	}
	if err := h.Identities.link(r.Context(), p, who, login.Subject); err != nil {
		return h.notLinked(w, r, p, err)
	}
	return web.SeeOther(w, r, "/account/identities?done=linked")
}
