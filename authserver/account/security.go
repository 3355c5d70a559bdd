package account

import (
	"context"
	"net/http"
	"net/url"

	"larder/authserver/oidc"
	"larder/internal/id"
	"larder/internal/password"
	"larder/internal/web"
)

// SecondFactors is the part of signing in, and of /account/security, that
// follows the password.
type SecondFactors interface {
	// Weigh decides what follows the password, and puts what it found into login.
	Weigh(r *http.Request, login *oidc.Login, device string) (owes bool, err error)
	// View describes the factors for the page.
	View(ctx context.Context, user id.ID, device string) (oidc.Factors, error)
	// Act answers a button of that part of the page.
	Act(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error
}

// securityPage is what security.html shows.
type securityPage struct {
	Email         string
	HasPassword   bool
	MinLength     int // of a new password
	Factors       oidc.Factors
	SignIns       []SignIn
	SID           string // of this browser's session
	Disowned      bool   // a sign-in was somebody else's
	Notice, Alert string
	Field         string // that the alert is about, "" for none
}

func (h *Handler) showSecurity(w http.ResponseWriter, r *http.Request) error {
	login, user, err := h.present(w, r)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, oidc.Onward{Page: "security"}.Via("/login"))
	}
	return h.renderSecurity(w, r, login, user, nil)
}

// renderSecurity shows the page, with the words of what went wrong if something
// did.
func (h *Handler) renderSecurity(w http.ResponseWriter, r *http.Request, login *oidc.Login, user *oidc.User, failed error) error {
	device, _ := h.Devices.Ensure(w, r)
	factors, err := h.Factors.View(r.Context(), user.ID, device)
	if err != nil {
		return err
	}
	signIns, err := h.Accounts.SignIns(r.Context(), user.ID)
	if err != nil {
		return err
	}
	for i := range signIns {
		signIns[i].Place = h.Places.Name(signIns[i].Address, h.Languages.Language(r))
	}
	page, status := securityPage{
		Email: user.Email, HasPassword: user.HasPassword, MinLength: password.MinLength, Factors: factors, SignIns: signIns, SID: login.SID,
	}, http.StatusOK
	switch {
	case failed != nil:
		page.Alert, status = explain(w, failed)
		page.Field = web.Field(failed)
	case r.URL.Query().Get("done") == "not-me":
		page.Disowned = true
	case r.URL.Query().Get("done") == "password":
		page.Notice = "Your password is changed. Every other device is signed out."
	}
	return h.Pages.Render(w, r, status, "security", page)
}

// changeSecurity leads to whoever answers the button that was pressed.
func (h *Handler) changeSecurity(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	login, user, err := h.present(w, r)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, oidc.Onward{Page: "security"}.Via("/login"))
	}
	if form.Get("action") == "password" {
		return h.changePassword(w, r, login, user, form)
	}
	if form.Get("action") == "not-me" {
		return h.disownSignIn(w, r, login, form.Get("sid"))
	}
	return h.Factors.Act(w, r, login, form)
}
