package federation

import (
	"net/http"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
)

// identitiesPage is what identities.html shows.
type identitiesPage struct {
	Linked        []linkedView
	Offered       []oidc.SignInProvider
	HasPassword   bool
	Notice, Alert string
}

type linkedView struct {
	Identity
	Title string
}

func (h *Handler) showIdentities(w http.ResponseWriter, r *http.Request) error {
	login, user, err := h.present(w, r)
	if login == nil || err != nil {
		return err
	}
	if done, err := h.approved(w, r, login); done || err != nil {
		return err
	}
	return h.renderIdentities(w, r, user, nil)
}

// changeIdentities answers the buttons of the page: the name of a provider links
// an account there, unlink removes the one in the field "identity". Both need
// Proof.
func (h *Handler) changeIdentities(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	login, user, err := h.present(w, r)
	if login == nil || err != nil {
		return err
	}
	elsewhere, err := h.Factors.Proof(r.Context(), login, oidc.Onward{Page: "identities"})
	if err != nil {
		return err
	}
	if elsewhere != "" {
		return web.SeeOther(w, r, elsewhere)
	}
	if action := form.Get("action"); action != "unlink" {
		tx := transaction{Provider: action, To: oidc.Onward{Page: "identities"}, Link: user.ID, SID: login.SID}
		return h.begin(w, r, tx, "")
	}
	identity, err := id.Parse(form.Get("identity"))
	if err != nil {
		return fault.Wrap(fault.Invalid, "The form names no linked account.", err)
	}
	err = h.Identities.unlink(r.Context(), user.ID, identity)
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return h.renderIdentities(w, r, user, err)
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/account/identities?done=unlinked")
}

// present returns who is signed in; nobody is sent to the sign-in page.
func (h *Handler) present(w http.ResponseWriter, r *http.Request) (*oidc.Login, *oidc.User, error) {
	login, err := h.Sessions.Current(r)
	if err != nil {
		return nil, nil, err
	}
	if login != nil {
		user, err := h.Identities.Accounts.User(r.Context(), login.Subject)
		if err == nil && !user.Disabled {
			return login, user, nil
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, nil, err
		}
	}
	return nil, nil, web.SeeOther(w, r, oidc.Onward{Page: "identities"}.Via("/login"))
}

func (h *Handler) renderIdentities(w http.ResponseWriter, r *http.Request, user *oidc.User, failed error) error {
	all, err := h.Identities.List(r.Context(), user.ID)
	if err != nil {
		return err
	}
	page, status := identitiesPage{Offered: h.Identities.Offered(), HasPassword: user.HasPassword}, http.StatusOK
	for _, one := range all {
		page.Linked = append(page.Linked, linkedView{one, titleOf(one.Provider)})
	}
	switch done := r.URL.Query().Get("done"); {
	case failed != nil:
		status = web.Status(failed)
		page.Alert = web.Message(failed)
	case done == "linked":
		page.Notice = "The account is linked. You can sign in with it from now on."
	case done == "unlinked":
		page.Notice = "The account is unlinked."
	}
	return h.Pages.RenderFlow(w, r, status, "identities", "", page)
}
