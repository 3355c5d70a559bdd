package mfa

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/pquerna/otp"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
)

// recently is how fresh a sign-in must be for Proof.
const recently = 15 * time.Minute

// enrolPage is what totp.html shows.
type enrolPage struct {
	Flow, Next string
	AppName    string
	Alert      string
	QR         template.URL
	Secret     string // in base32
	OpenApp    template.URL
}

// Act answers a button of the second factors on /account/security:
//
//	totp       show a key to scan
//	verify     take the code that the app shows, make it the factor
//	recovery   replace the recovery codes
//	totp-off   remove the factor
//	forget     end the trust in the device of the field "device"
//
// The buttons of passkeys and of codes by message are theirs to answer, after the
// same proof.
func (h *Handler) Act(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error {
	var act func(http.ResponseWriter, *http.Request, *oidc.Login, url.Values) error
	switch form.Get("action") {
	case "totp":
		act = h.propose
	case "verify":
		act = h.confirm
	case "recovery":
		act = h.regenerate
	case "totp-off":
		act = h.remove
	case "forget":
		return h.forget(w, r, login, form) // only makes things safer
	case "passkey", "passkey-keep", "passkey-rename", "passkey-remove":
		act = h.Passkeys.Act
	case "mail-codes", "phone", "phone-verify", "codes-off":
		act = h.Messages.Act
	default:
		return web.NoButton()
	}
	elsewhere, err := h.Proof(r.Context(), login, oidc.BackFrom(form))
	if err != nil {
		return err
	}
	if elsewhere != "" {
		return web.SeeOther(w, r, elsewhere)
	}
	return act(w, r, login, form)
}

// Proof returns where the person has to go before they change how they, or
// something in their name, get in; "" if nowhere. To the sign-in page after a while,
// and to the code if there is a factor, or a way for codes, that this session did
// not show. From there they come back to what to names.
func (h *Handler) Proof(ctx context.Context, login *oidc.Login, to oidc.Onward) (elsewhere string, err error) {
	if h.Now().Sub(login.AuthTime) > recently {
		return to.Via("/login"), nil
	}
	if login.ACR == oidc.ACRMFA {
		return "", nil
	}
	enrolled, err := h.Factors.Enrolled(ctx, login.Subject)
	if err != nil {
		return "", err
	}
	if !enrolled {
		ways, err := h.Messages.Ways(ctx, login.Subject)
		if err != nil || len(ways) == 0 || slices.Contains(login.AMR, oidc.AMRChannels) {
			return "", err
		}
	}
	return to.Via("/login/mfa"), nil
}

func (h *Handler) propose(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error {
	user, err := h.Users.User(r.Context(), login.Subject)
	if err != nil {
		return err
	}
	key, err := h.Factors.Propose(r.Context(), login.Subject, login.SID, user.Email)
	if err != nil {
		return err
	}
	return h.showKey(w, r, http.StatusOK, form, key, "")
}

func (h *Handler) showKey(w http.ResponseWriter, r *http.Request, status int, form url.Values, key *otp.Key, alert string) error {
	to := oidc.BackFrom(form)
	req, err := h.resume(r, to.Flow)
	if err != nil {
		return err
	}
	picture, err := qrCode(key)
	if err != nil {
		return err
	}
	page := enrolPage{
		Flow: to.Flow, Next: to.Page, Alert: alert, QR: picture, Secret: key.Secret(),
		OpenApp: template.URL(key.URL()), //nolint:gosec // otpauth:, made by us
	}
	return h.render(w, r, status, "totp", req, &page.AppName, &page)
}

func (h *Handler) confirm(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error {
	to := oidc.BackFrom(form)
	req, err := h.resume(r, to.Flow)
	if err != nil {
		return err
	}
	codes, err := h.Factors.Confirm(r.Context(), login.Subject, login.SID, form.Get("code"))
	if fault.Is(err, fault.Unauthenticated) {
		key, again := h.Factors.Propose(r.Context(), login.Subject, login.SID, "")
		if again != nil {
			return again
		}
		return h.showKey(w, r, statusOf(err), form, key, web.Message(err))
	}
	if err != nil {
		return err
	}
	if err := h.raise(w, r, *login, []string{oidc.AMROTP, oidc.AMRMFA}); err != nil {
		return err
	}
	page := oidc.CodesPage{Codes: codes, Fresh: true, Onward: to.Path()}
	return h.render(w, r, http.StatusOK, "recovery-codes", req, &page.AppName, &page)
}

func (h *Handler) regenerate(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error {
	codes, err := h.Factors.Regenerate(r.Context(), login.Subject)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.Conflict, "There is no second step to have recovery codes for.")
	}
	if err != nil {
		return err
	}
	return h.Pages.Render(w, r, http.StatusOK, "recovery-codes", &oidc.CodesPage{Codes: codes, Onward: oidc.BackFrom(form).Path()})
}

// remove of the last factor ends every session, so this browser gets a new one,
// of one factor.
func (h *Handler) remove(w http.ResponseWriter, r *http.Request, login *oidc.Login, _ url.Values) error {
	last, err := h.Factors.RemoveApp(r.Context(), audit.Person(login.Subject), login.Subject)
	if err != nil {
		return err
	}
	if !last {
		return web.SeeOther(w, r, "/account/security")
	}
	if err := h.Sessions.Start(r.Context(), w, r, login.OneFactor()); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/account/security")
}

func (h *Handler) forget(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error {
	trust, err := id.Parse(form.Get("device"))
	if err != nil {
		return fault.Wrap(fault.Invalid, "The form names no device.", err)
	}
	if err := h.Factors.Forget(r.Context(), login.Subject, trust); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/account/security")
}
