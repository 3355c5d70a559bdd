package federation

import (
	"net/http"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/web"
)

// signIn signs in whom the provider names: somebody we know by this identity, or
// somebody new. An address that has an account leads to /login/link and no
// further.
func (h *Handler) signIn(w http.ResponseWriter, r *http.Request, p *Provider, to oidc.Onward, who *profile) error {
	ctx := r.Context()
	known, err := h.Identities.find(ctx, p.issuer, who.Subject)
	if err == nil {
		return h.welcome(w, r, p, to, who, known)
	}
	if !fault.Is(err, fault.NotFound) {
		return h.refused(w, r, p, to, err)
	}
	owner, err := h.Identities.Accounts.ByEmail(ctx, who.Email)
	if err == nil {
		return h.proposeLink(w, r, p, to, who, owner)
	}
	if !fault.Is(err, fault.NotFound) {
		return h.refused(w, r, p, to, err)
	}
	user, identity, err := h.Identities.register(ctx, p, who, h.Pages.Language(r))
	if err != nil {
		return h.refused(w, r, p, to, err)
	}
	return h.complete(w, r, p, to, oidc.Login{Subject: user, Identity: identity})
}

// welcome signs in somebody whose identity is linked to an account.
func (h *Handler) welcome(w http.ResponseWriter, r *http.Request, p *Provider, to oidc.Onward, who *profile, known *Identity) error {
	user, err := h.Identities.Accounts.User(r.Context(), known.UserID)
	if err != nil {
		return h.refused(w, r, p, to, err)
	}
	if user.Disabled || known.Suspended {
		reason, message := "disabled", "This account cannot sign in. Ask the people who run Larder."
		if !user.Disabled {
			reason, message = "identity_suspended", p.Title+" has told us that this account of yours is disabled there. Sign in another way."
		}
		h.record(r, "login.failed", audit.Failure, user.ID, p.Name, reason)
		return h.refused(w, r, p, to, fault.New(fault.Forbidden, message).WithCode(reason))
	}
	if err := h.Identities.used(r.Context(), known, who); err != nil {
		return h.refused(w, r, p, to, err)
	}
	return h.complete(w, r, p, to, oidc.Login{Subject: user.ID, Identity: known.ID, PasswordSet: user.PasswordSet})
}

// complete begins the session, or asks for the second factor that is owed: who
// signs in elsewhere has shown one factor and no more. auth_time is when the
// answer came; what the provider says of its own is not asked.
func (h *Handler) complete(w http.ResponseWriter, r *http.Request, p *Provider, to oidc.Onward, login oidc.Login) error {
	login.AuthTime, login.ACR, login.AMR = h.Now(), oidc.ACRFederated, []string{oidc.AMRFederated}
	owes, err := h.enter(w, r, login)
	if err != nil {
		return err
	}
	if owes {
		h.record(r, "login.provider_accepted", audit.Success, login.Subject, p.Name, "")
		return web.SeeOther(w, r, to.Via("/login/mfa"))
	}
	h.record(r, "login.succeeded", audit.Success, login.Subject, p.Name, "")
	return web.SeeOther(w, r, to.Path())
}

// enter begins a session, or holds the sign-in of somebody who owes a second
// factor.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request, login oidc.Login) (owes bool, err error) {
	device, _ := h.Devices.Ensure(w, r)
	if owes, err = h.Factors.Weigh(r, &login, device); err != nil {
		return false, err
	}
	if owes {
		return true, h.Sessions.Hold(r.Context(), w, r, login)
	}
	return false, h.Sessions.Start(r.Context(), w, r, login)
}
