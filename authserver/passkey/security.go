package passkey

import (
	"net/http"
	"net/url"
	"slices"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/useragent"
	"larder/internal/web"
)

// newPage is what passkey-new.html shows.
type newPage struct {
	Flow, Next string
	Alert      string
	Options    string // JSON for navigator.credentials.create
	Name       string // proposed
}

// Act answers a button of the passkeys on /account/security, once the person has
// proven to be who the session says:
//
//	passkey         set one up
//	passkey-keep    take what the authenticator made
//	passkey-rename  call it by another name
//	passkey-remove  take it away
func (h *Handler) Act(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error {
	switch form.Get("action") {
	case "passkey":
		return h.add(w, r, http.StatusOK, login, form, "")
	case "passkey-keep":
		return h.keep(w, r, login, form)
	}
	key, err := id.Parse(form.Get("passkey"))
	if err != nil {
		return fault.Wrap(fault.Invalid, "The form names no passkey.", err)
	}
	switch form.Get("action") {
	case "passkey-rename":
		err = h.Passkeys.Rename(r.Context(), login.Subject, key, form.Get("name"))
	case "passkey-remove":
		return h.remove(w, r, login, key)
	default:
		return web.NoButton()
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/account/security")
}

func (h *Handler) add(w http.ResponseWriter, r *http.Request, status int, login *oidc.Login, form url.Values, alert string) error {
	to := oidc.BackFrom(form)
	redirectURI, err := h.redirectURI(r, to)
	if err != nil {
		return err
	}
	options, err := h.Passkeys.Add(r.Context(), login.Subject, login.SID)
	if err != nil {
		return err
	}
	page := newPage{Flow: to.Flow, Next: to.Page, Alert: alert, Options: string(options), Name: useragent.Describe(r.UserAgent())}
	if name := form.Get("name"); name != "" && len(name) <= 4*maxName {
		page.Name = name
	}
	return h.Pages.RenderFlow(w, r, status, "passkey-new", redirectURI, &page)
}

// keep also raises the session: whoever has just used a new passkey has shown it.
func (h *Handler) keep(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error {
	to := oidc.BackFrom(form)
	redirectURI, err := h.redirectURI(r, to)
	if err != nil {
		return err
	}
	codes, err := h.Passkeys.Keep(r.Context(), login.Subject, login.SID, form.Get("name"), form.Get("credential"))
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Invalid) || fault.Is(err, fault.Conflict) {
		return h.add(w, r, http.StatusUnprocessableEntity, login, form, web.Message(err)+" Nothing was changed; try again.")
	}
	if err != nil {
		return err
	}
	if login.ACR != oidc.ACRMFA {
		raised := *login
		raised.ACR, raised.AMR = oidc.ACRMFA, append(slices.Clone(login.AMR), methods()...)
		if err := h.Browsers.Start(r.Context(), w, r, raised); err != nil {
			return err
		}
	}
	if codes == nil {
		return web.SeeOther(w, r, to.Path())
	}
	return h.Pages.RenderFlow(w, r, http.StatusOK, "recovery-codes", redirectURI, &oidc.CodesPage{Codes: codes, Fresh: true, Passkey: true, Onward: to.Path()})
}

// remove of the last factor ends every session, so this browser gets a new one,
// of one factor.
func (h *Handler) remove(w http.ResponseWriter, r *http.Request, login *oidc.Login, key id.ID) error {
	last, err := h.Passkeys.Remove(r.Context(), login.Subject, key)
	if err != nil {
		return err
	}
	if last {
		if err := h.Browsers.Start(r.Context(), w, r, login.OneFactor()); err != nil {
			return err
		}
	}
	return web.SeeOther(w, r, "/account/security")
}
