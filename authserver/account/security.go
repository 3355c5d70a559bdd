package account

import (
	"context"
	"net/http"
	"net/url"

	"larder/authserver/oidc"
	"larder/internal/id"
)

// SecondFactors is the part of signing in, and of /account/security, that
// follows the password.
type SecondFactors interface {
	// Required reports whether the person owes a second factor at this device.
	Required(ctx context.Context, user id.ID, device string) (bool, error)
	// View describes the factors for the page.
	View(ctx context.Context, user id.ID, device string) (oidc.Factors, error)
	// Act answers a button of that part of the page.
	Act(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error
}

// securityPage is what security.html shows.
type securityPage struct {
	Email   string
	Factors oidc.Factors
}

func (h *Handler) showSecurity(w http.ResponseWriter, r *http.Request) error {
	login, user, err := h.present(w, r)
	if err != nil {
		return err
	}
	if login == nil {
		return seeOther(w, r, oidc.Onward{Page: "security"}.Via("/login"))
	}
	device, _ := h.Devices.Ensure(w, r)
	factors, err := h.Factors.View(r.Context(), user.ID, device)
	if err != nil {
		return err
	}
	return h.Pages.Render(w, r, http.StatusOK, "security", securityPage{Email: user.Email, Factors: factors})
}

// changeSecurity leads to whoever answers the button that was pressed.
func (h *Handler) changeSecurity(w http.ResponseWriter, r *http.Request) error {
	form, err := h.anyForm(w, r)
	if err != nil {
		return err
	}
	login, _, err := h.present(w, r)
	if err != nil {
		return err
	}
	if login == nil {
		return seeOther(w, r, oidc.Onward{Page: "security"}.Via("/login"))
	}
	return h.Factors.Act(w, r, login, form)
}
