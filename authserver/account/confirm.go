package account

import (
	"net/http"
	"time"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/limit"
	"larder/internal/web"
)

// mailRate is how often an address may be changed, or asked to be confirmed.
func mailRate() limit.Rate { return limit.Rate{Burst: 5, Every: 10 * time.Minute} }

// showEmailLink shows what the link of a mail is about. Mail scanners open
// links too: it changes nothing.
func (h *Handler) showEmailLink(w http.ResponseWriter, r *http.Request) error {
	address, err := h.Accounts.PendingEmail(r.Context(), web.Var(r, "token"))
	if fault.Is(err, fault.NotFound) {
		return h.linkOver(w, r, err)
	}
	if err != nil {
		return err
	}
	return h.Pages.Render(w, r, http.StatusOK, "confirm", oidc.ConfirmPage{
		Title: "Use this address?", Lead: "Your Larder account will have the email address", Address: address, Button: "Confirm this address",
	})
}

// useEmailLink takes the new address. It needs no session: mails are opened on
// other devices, and who holds the link has the mailbox.
func (h *Handler) useEmailLink(w http.ResponseWriter, r *http.Request) error {
	if err := h.pressed(w, r, "verify"); err != nil {
		return err
	}
	err := h.Accounts.ConfirmEmail(r.Context(), web.Var(r, "token"))
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
		return h.linkOver(w, r, err)
	}
	if err != nil {
		return err
	}
	return h.Pages.Render(w, r, http.StatusOK, "message", oidc.MessagePage{
		Title: "Your address is confirmed", Message: "From now on you sign in with it.", LinkPath: "/account", LinkTo: "Go to your account",
	})
}

func (h *Handler) linkOver(w http.ResponseWriter, r *http.Request, err error) error {
	alert, status := explain(w, err)
	return h.Pages.Render(w, r, status, "message", oidc.MessagePage{
		Title: "This link does not work", Message: alert, Failed: true, LinkPath: "/account", LinkTo: "Go to your account",
	})
}
