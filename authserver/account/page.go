package account

import (
	"net/http"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
)

// accountPage is what account.html shows.
type accountPage struct {
	Name, Email string
	SignedInAt  time.Time
}

func (h *Handler) showAccount(w http.ResponseWriter, r *http.Request) error {
	login, user, err := h.present(w, r)
	if err != nil {
		return err
	}
	if login == nil {
		return seeOther(w, r, "/login")
	}
	return h.Pages.Render(w, r, http.StatusOK, "account", accountPage{Name: user.Name, Email: user.Email, SignedInAt: login.AuthTime})
}

// present returns who is signed in at this browser, nil when nobody is. An
// account that went while its browser was signed in is signed out.
func (h *Handler) present(w http.ResponseWriter, r *http.Request) (*oidc.Login, *oidc.User, error) {
	login, err := h.Sessions.Current(r)
	if login == nil || err != nil {
		return nil, nil, err
	}
	user, err := h.Accounts.User(r.Context(), login.Subject)
	if fault.Is(err, fault.NotFound) || err == nil && user.Disabled {
		return nil, nil, h.Sessions.End(r.Context(), w, r)
	}
	if err != nil {
		return nil, nil, err
	}
	return login, user, nil
}

func (h *Handler) logout(w http.ResponseWriter, r *http.Request) error {
	if _, err := h.form(w, r, "logout"); err != nil {
		return err
	}
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if err := h.Sessions.End(r.Context(), w, r); err != nil {
		return err
	}
	if login != nil {
		h.audit(r, "logout.succeeded", audit.Success, login.Subject, "")
	}
	return h.Pages.LoggedOut(w, r, "", "")
}
