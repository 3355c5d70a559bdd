package account

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/language"
	"larder/internal/web"
)

// accountPage is what account.html shows.
type accountPage struct {
	Name, Email   string
	EmailVerified bool
	HasPassword   bool
	Claims        map[string]string // standard claims and the parts of the address, by name
	Spoken, Told  []tongue          // the languages of our pages, and others that apps may speak
	SignedInAt    time.Time
	DeleteAt      *time.Time // nil while the account stays
	Nudge         bool       // a second factor is offered
	NewEmail      string     // that was asked for in vain
	Notice, Alert string
	Field         string // that the alert is about, "" for none
}

// tongue is a language that a person may prefer, under its own name.
type tongue struct{ Tag, Name string }

// spoken are the languages of our own pages and mails.
func spoken() []tongue { return languages()[:len(language.Tags())] }

// told are those that only apps may speak.
func told() []tongue { return languages()[len(language.Tags()):] }

// languages begins with those of language.Tags.
func languages() []tongue {
	return []tongue{
		{"en", "English"},
		{"de", "Deutsch"},
		{"fr", "Français"},
		{"es", "Español"},
		{"it", "Italiano"},
		{"nl", "Nederlands"},
		{"pl", "Polski"},
		{"pt", "Português"},
		{"tr", "Türkçe"},
		{"uk", "Українська"},
	}
}

func (h *Handler) showAccount(w http.ResponseWriter, r *http.Request) error {
	login, user, err := h.present(w, r)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, "/login")
	}
	return h.renderAccount(w, r, login, user, nil, nil)
}

// renderAccount shows the page, with the words of what went wrong if something
// did, and what the form said then.
func (h *Handler) renderAccount(w http.ResponseWriter, r *http.Request, login *oidc.Login, user *oidc.User, form url.Values, failed error) error {
	due, err := h.Accounts.Deletion(r.Context(), user.ID)
	if err != nil {
		return err
	}
	nudge := false
	if due == nil {
		if nudge, err = h.nudges(r, login); err != nil {
			return err
		}
	}
	page := accountPage{
		Name: user.Name, Email: user.Email, EmailVerified: user.EmailVerified, HasPassword: user.HasPassword,
		Claims: shownClaims(user.Profile), Spoken: spoken(), Told: told(),
		SignedInAt: login.AuthTime, DeleteAt: due, Nudge: nudge, Notice: accountNotice(r.URL.Query().Get("done")),
	}
	status := http.StatusOK
	if failed != nil {
		page.Notice = ""
		if form.Get("action") == "email" {
			page.NewEmail = form.Get("email")
		}
		page.Alert, status = explain(w, failed)
		page.Field = web.Field(failed)
	}
	return h.Pages.Render(w, r, status, "account", page)
}

func accountNotice(done string) string {
	switch done {
	case "profile":
		return "Your profile is saved."
	case "email":
		return "We have written to that address. Open the link in the mail to confirm that it is yours; until then nothing changes."
	case "kept":
		return "Your account stays. Good to have you back."
	}
	return ""
}

// changeAccount answers the buttons of /account.
func (h *Handler) changeAccount(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	if form.Get("action") == "logout" {
		// The button is the end-session endpoint's, which tells the apps too. A
		// page from before it was posts it here; 307 has the browser do so again.
		http.Redirect(w, r, "/logout", http.StatusTemporaryRedirect)
		return nil
	}
	login, user, err := h.present(w, r)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, "/login")
	}
	done := ""
	switch form.Get("action") {
	case "profile":
		if done, err = "profile", h.saveProfile(r, user, form); err == nil {
			h.Languages.Remember(w, r, form.Get("locale"))
		}
	case "email":
		done, err = "email", h.requestEmail(w, r, user, form)
	case "confirm":
		done, err = "email", h.confirmAddress(r, user)
	case "later":
		done, err = "later", h.Accounts.DismissNudge(r.Context(), user.ID)
	case "keep":
		done, err = "kept", h.Accounts.Keep(r.Context(), audit.Person(user.ID), user.ID)
	default:
		err = web.NoButton()
	}
	if err != nil && correctable(err) {
		return h.renderAccount(w, r, login, user, form, err)
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/account?done="+done)
}

// shownClaims are the claims as a form shows them.
func shownClaims(profile map[string]any) map[string]string {
	shown := map[string]string{}
	for _, name := range ClaimNames() {
		shown[name], _ = profile[name].(string)
	}
	address, _ := profile["address"].(map[string]any)
	for _, part := range AddressParts() {
		shown[part], _ = address[part].(string)
	}
	return shown
}

// saveProfile changes what the form has fields for, and leaves the rest.
func (h *Handler) saveProfile(r *http.Request, user *oidc.User, form url.Values) error {
	if strings.TrimSpace(form.Get("name")) == "" {
		_, err := cleanName("")
		return err
	}
	claims, address := map[string]any{}, map[string]any{}
	for _, name := range ClaimNames() {
		if form.Has(name) && name != "phone_number_verified" && name != "address" {
			claims[name] = form.Get(name)
		}
	}
	for _, part := range AddressParts() {
		if form.Has(part) {
			address[part] = form.Get(part)
		}
	}
	if len(address) > 0 {
		claims["address"] = address
	}
	return h.Accounts.SetClaims(r.Context(), audit.Person(user.ID), user.ID, form.Get("name"), claims)
}

// requestEmail begins a change of address for somebody who proves to be the
// person (ASVS 6.2.2, A12 of the security cases).
func (h *Handler) requestEmail(w http.ResponseWriter, r *http.Request, user *oidc.User, form url.Values) error {
	if err := h.Reauthenticate(w, r, user, form.Get("password")); err != nil {
		return err
	}
	return h.mailAddress(r, user, form.Get("email"))
}

// confirmAddress mails the link to the address that the account has.
func (h *Handler) confirmAddress(r *http.Request, user *oidc.User) error {
	if user.EmailVerified {
		return nil
	}
	return h.mailAddress(r, user, user.Email)
}

func (h *Handler) mailAddress(r *http.Request, user *oidc.User, address string) error {
	if err := h.Throttle.Limiter.Take(r.Context(), "email-change:"+user.ID.String(), mailRate()); err != nil {
		return err
	}
	return h.Accounts.RequestEmail(r.Context(), audit.Person(user.ID), user.ID, address, h.Languages.Language(r))
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
