package account

import (
	"net/http"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
)

// recently is how fresh the sign-in of somebody without a password must be.
const recently = 10 * time.Minute

// Reauthenticate lets the person at a signed-in browser prove that they are who
// the session says: by password, or, where there is none, by having signed in
// within the last minutes. It fails with fault.Forbidden and words for the page.
func (h *Handler) Reauthenticate(w http.ResponseWriter, r *http.Request, user *oidc.User, pass string) error {
	if user.HasPassword {
		_, err := h.CheckPassword(w, r, user, pass)
		return err
	}
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login == nil || login.Subject != user.ID || h.Now().Sub(login.AuthTime) > recently {
		return fault.New(fault.Forbidden, "Sign in once more to do this: your last sign-in is more than ten minutes ago. Nothing was changed.").WithCode("sign_in_again")
	}
	return nil
}

// CheckPassword lets somebody prove by password that an account is theirs. It is
// limited and audited as a sign-in is, and fails with fault.Forbidden, with words
// for the page, on a wrong password. set is when the password was.
func (h *Handler) CheckPassword(w http.ResponseWriter, r *http.Request, user *oidc.User, pass string) (set time.Time, err error) {
	ctx := r.Context()
	device, _ := h.Devices.Ensure(w, r)
	try, err := h.Throttle.open(ctx, user.Email, h.Source(r), device)
	if err != nil {
		h.auditReauth(r, audit.Denied, user.ID, err)
		return set, err
	}
	found, reason, err := h.Accounts.authenticate(ctx, user.Email, pass, try.count)
	if err != nil {
		h.auditReauth(r, audit.Denied, user.ID, err)
		return set, err
	}
	if reason != "" || found.user != user.ID {
		h.audit(r, "reauthentication.failed", audit.Failure, user.ID, reason)
		return set, fault.New(fault.Forbidden, "The password is not right. Nothing was changed.").WithCode("wrong_password")
	}
	return found.passwordSet, try.succeeded(ctx)
}

func (h *Handler) auditReauth(r *http.Request, result audit.Result, user id.ID, err error) {
	if fault.Is(err, fault.RateLimited) {
		h.audit(r, "reauthentication.failed", result, user, "rate_limited")
	}
}

// correctable reports whether a form comes back to the person with the error's
// words, rather than an error page.
func correctable(err error) bool {
	return fault.Is(err, fault.Invalid) || fault.Is(err, fault.RateLimited) || fault.Is(err, fault.Forbidden)
}
