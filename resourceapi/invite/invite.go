package invite

import (
	"net/http"
	"net/mail"
	"strconv"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	defaultLife = 7 * 24 * time.Hour
	maxLife     = 30 * 24 * time.Hour
	maxUses     = 50
	maxGrants   = 20
	maxOpen     = 100 // invitations of one family
	maxMembers  = 100 // people in one family
)

// Invitations answers for invitations.
type Invitations struct {
	DB    *tenant.DB
	Mails *Mails
}

// Grant is what a guest will be allowed on one list.
type Grant struct {
	ListID id.ID    `json:"list_id"`
	Verbs  []string `json:"verbs"`
}

// Invitation is an open invitation. Token, and the link that carries it, are
// there in the answer that made it and never again; of one that is mailed they
// go to Email alone.
type Invitation struct {
	ID              id.ID      `json:"id"`
	Token           string     `json:"token,omitempty"`
	Link            string     `json:"link,omitempty"`
	Email           string     `json:"email,omitempty"`
	Role            string     `json:"role"`
	Grants          []Grant    `json:"grants"`
	ExpiresAt       time.Time  `json:"expires_at"`
	UsesLeft        int        `json:"uses_left"`
	AccessExpiresAt *time.Time `json:"access_expires_at"`
	CreatedBy       string     `json:"created_by"`
	CreatedAt       time.Time  `json:"created_at"`
	Permissions     []string   `json:"permissions"`

	sealedEmail []byte
}

// Mount adds the routes.
func (h *Invitations) Mount(rt *web.Router) {
	rt.Handle(http.MethodPost, "/v1/invitations/accept", h.accept)
	rt.Handle(http.MethodPost, "/v1/invitations/preview", h.preview)
	rt.Handle(http.MethodPost, "/v1/families/{family_id}/invitations", h.create)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/invitations", h.list)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/invitations/{invitation_id}", h.get)
	rt.Handle(http.MethodDelete, "/v1/families/{family_id}/invitations/{invitation_id}", h.revoke)
}

type draft struct {
	Role            string     `json:"role"`
	Grants          []Grant    `json:"grants"`
	ExpiresAt       *time.Time `json:"expires_at"`
	Uses            *int       `json:"uses"`
	AccessExpiresAt *time.Time `json:"access_expires_at"`
	Email           *string    `json:"email"`
	Language        *string    `json:"language"` // of the mail, BCP 47
}

// check fills in what may be left out: one use within a week.
func (d *draft) check(now time.Time) error {
	var f valid.Form
	f.OneOf("/role", d.Role, "admin", "member", "guest")
	if d.ExpiresAt == nil {
		d.ExpiresAt = new(now.Add(defaultLife))
	}
	if !d.ExpiresAt.After(now) || d.ExpiresAt.After(now.Add(maxLife)) {
		f.Fault("/expires_at", "must be within the next 30 days")
	}
	if d.Uses == nil {
		d.Uses = new(1)
	}
	if *d.Uses < 1 || *d.Uses > maxUses {
		f.Fault("/uses", "must be 1 to "+strconv.Itoa(maxUses))
	}
	d.checkGuest(&f, now)
	d.checkMail(&f)
	return f.Err()
}

func (d *draft) checkGuest(f *valid.Form, now time.Time) {
	if d.Role != "guest" {
		if len(d.Grants) > 0 {
			f.Fault("/grants", "are for guests; members reach every shared list")
		}
		if d.AccessExpiresAt != nil {
			f.Fault("/access_expires_at", "is for guests")
		}
		d.Grants = nil
	}
	if d.AccessExpiresAt != nil && !d.AccessExpiresAt.After(now) {
		f.Fault("/access_expires_at", "must be in the future")
	}
	if len(d.Grants) > maxGrants {
		f.Fault("/grants", "must be at most "+strconv.Itoa(maxGrants))
		return
	}
	seen := make(map[id.ID]bool)
	for i, g := range d.Grants {
		pointer := "/grants/" + strconv.Itoa(i)
		if g.ListID.IsZero() || seen[g.ListID] {
			f.Fault(pointer+"/list_id", "must name a list, once")
		}
		seen[g.ListID] = true
		if !policy.Grantable(g.Verbs) {
			f.Fault(pointer+"/verbs", "must be some of view, check, add, edit, manage")
		}
	}
}

func (d *draft) checkMail(f *valid.Form) {
	if d.Email == nil {
		if d.Language != nil {
			f.Fault("/language", "is for an invitation that is mailed")
		}
		return
	}
	if parsed, err := mail.ParseAddress(*d.Email); err != nil || parsed.Address != *d.Email || len(*d.Email) > 254 {
		f.Fault("/email", "must be an e-mail address")
	}
	if *d.Uses != 1 {
		f.Fault("/uses", "must be 1 for an invitation that is mailed")
	}
	if d.Language != nil {
		f.Text("/language", *d.Language, 2, 35)
	}
}

func (h *Invitations) create(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var d draft
	if err := web.DecodeJSON(r, &d); err != nil {
		return err
	}
	made, err := h.insert(r.Context(), family, d)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/families/"+family.String()+"/invitations/"+made.ID.String())
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusCreated, made)
}

func (h *Invitations) list(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	open, err := h.selectOpen(r.Context(), family, nil)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"invitations": open})
}

// named reads which invitation of which family is meant.
func named(r *http.Request) (family, invitation id.ID, err error) {
	if family, err = web.ID(r, "family_id"); err != nil {
		return family, invitation, err
	}
	invitation, err = web.ID(r, "invitation_id")
	return family, invitation, err
}

func (h *Invitations) get(w http.ResponseWriter, r *http.Request) error {
	family, invitation, err := named(r)
	if err != nil {
		return err
	}
	found, err := h.selectOpen(r.Context(), family, &invitation)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return noSuchInvitation()
	}
	return web.JSON(w, http.StatusOK, found[0])
}

func noSuchInvitation() error { return fault.New(fault.NotFound, "There is no such invitation.") }

func (h *Invitations) revoke(w http.ResponseWriter, r *http.Request) error {
	family, invitation, err := named(r)
	if err != nil {
		return err
	}
	if err := h.delete(r.Context(), family, invitation); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
