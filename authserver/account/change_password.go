package account

import (
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/secret"
	"larder/internal/web"
)

// changePassword answers action=password of /account/security. Every session
// ends with the old password; this browser gets a new one.
func (h *Handler) changePassword(w http.ResponseWriter, r *http.Request, login *oidc.Login, user *oidc.User, form url.Values) error {
	var set time.Time
	err := h.Reauthenticate(w, r, user, form.Get("current_password"))
	if err == nil {
		set, err = h.Accounts.setPassword(r.Context(), audit.Person(user.ID), user.ID, secret.String(form.Get("password")), func(pgx.Tx) error { return nil })
	}
	if err != nil && correctable(err) {
		return h.renderSecurity(w, r, login, user, err)
	}
	if err != nil {
		return err
	}
	// The time stays that of the sign-in: a password alone must not make two
	// factors look fresh.
	fresh := oidc.Login{Subject: user.ID, AuthTime: login.AuthTime, ACR: login.ACR, AMR: login.AMR, PasswordSet: set}
	if err := h.Sessions.Start(r.Context(), w, r, fresh); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/account/security?done=password")
}

// explain puts an error into a page's words and status.
func explain(w http.ResponseWriter, err error) (alert string, status int) {
	if shown, ok := web.Shown(err); ok {
		alert = shown.Message
	}
	web.SetRetryAfter(w, err)
	return alert, web.Status(err)
}
