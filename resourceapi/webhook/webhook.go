package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/precondition"
	"larder/internal/sealed"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/tenant"
)

const (
	maxWebhooks  = 20 // of one family
	maxEvents    = 50
	secretBytes  = 32
	secretPrefix = "whsec_"
	bothFor      = 24 * time.Hour // the old secret signs along after a rotation
)

// Addresses judges where a webhook may lead.
type Addresses interface {
	CheckURL(address string) error
}

// Webhooks answers for the webhooks of families.
type Webhooks struct {
	DB        *tenant.DB
	Cursors   paging.Signer
	Secrets   *sealed.Keyring
	Addresses Addresses
	// Registered, if set, hears of each family that registers a webhook.
	Registered func(family id.ID)
}

// Webhook is an address that is told of a family's changes. Secret is shown
// when it is made and never again; Permissions are the actions that the policy
// lets the caller do to it.
type Webhook struct {
	ID             id.ID     `json:"id"`
	URL            string    `json:"url"`
	Events         []string  `json:"events"` // none: all
	Enabled        bool      `json:"enabled"`
	DisabledReason *string   `json:"disabled_reason"`
	Version        int64     `json:"version"`
	CreatedBy      string    `json:"created_by"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	Permissions    []string  `json:"permissions"`
	Secret         string    `json:"secret,omitempty"`
}

// Mount adds the routes.
func (h *Webhooks) Mount(rt *web.Router) {
	const webhooks = "/v1/families/{family_id}/webhooks"
	rt.Handle(http.MethodGet, webhooks, h.list)
	rt.Handle(http.MethodPost, webhooks, h.create)
	rt.Handle(http.MethodGet, webhooks+"/{webhook_id}", h.get)
	rt.Handle(http.MethodPatch, webhooks+"/{webhook_id}", h.patch)
	rt.Handle(http.MethodDelete, webhooks+"/{webhook_id}", h.remove)
	rt.Handle(http.MethodPost, webhooks+"/{webhook_id}/secret", h.rotate)
	rt.Handle(http.MethodGet, webhooks+"/{webhook_id}/deliveries", h.deliveries)
	rt.Handle(http.MethodPost, webhooks+"/{webhook_id}/deliveries/{delivery_id}/replay", h.replay)
}

func path(r *http.Request) (family, webhook id.ID, err error) {
	if family, err = web.ID(r, "family_id"); err != nil {
		return family, webhook, err
	}
	webhook, err = web.ID(r, "webhook_id")
	return family, webhook, err
}

// newSecret returns a secret as receivers get it.
func newSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts the program instead
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

// place is where a secret is sealed for.
func place(family, webhook id.ID) string {
	return "grocery.webhooks/secret/" + family.String() + "/" + webhook.String()
}

func (h *Webhooks) checkURL(f *valid.Form, address string) {
	if err := h.Addresses.CheckURL(address); err != nil {
		f.Fault("/url", err.Error())
	}
}

func checkEvents(f *valid.Form, events []string) {
	nouns := []string{"family", "member", "invitation", "app", "list", "item", "webhook", "store", "favourite", "pantry", "recipe", "recurring"}
	for _, event := range events {
		noun, verb, _ := strings.Cut(event, ".")
		if !slices.Contains(nouns, noun) || verb == "" || len(verb) > 32 || strings.Trim(verb, "abcdefghijklmnopqrstuvwxyz_") != "" {
			f.Fault("/events", "must be names such as item.checked")
			return
		}
	}
	if len(events) > maxEvents {
		f.Fault("/events", "are too many")
	}
}

type draft struct {
	URL    string   `json:"url"`
	Events []string `json:"events"`
}

func (h *Webhooks) create(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var d draft
	if err := web.DecodeJSON(r, &d); err != nil {
		return err
	}
	var f valid.Form
	h.checkURL(&f, d.URL)
	checkEvents(&f, d.Events)
	if err := f.Err(); err != nil {
		return err
	}
	made, err := h.insert(r.Context(), family, d)
	if err != nil {
		return err
	}
	if h.Registered != nil {
		h.Registered(family)
	}
	w.Header().Set("Location", "/v1/families/"+family.String()+"/webhooks/"+made.ID.String())
	w.Header().Set("Cache-Control", "no-store")
	precondition.SetETag(w, made.Version, made.Permissions...)
	return web.JSON(w, http.StatusCreated, made)
}

func (h *Webhooks) list(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	all, err := h.selectAll(r.Context(), family)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"webhooks": all})
}

func (h *Webhooks) get(w http.ResponseWriter, r *http.Request) error {
	family, webhook, err := path(r)
	if err != nil {
		return err
	}
	found, err := h.selectOne(r.Context(), family, webhook)
	if err != nil {
		return err
	}
	if precondition.NotModified(w, r, found.Version, found.Permissions...) {
		return nil
	}
	return web.JSON(w, http.StatusOK, found)
}

type change struct {
	URL     valid.Field[string]   `json:"url"`
	Events  valid.Field[[]string] `json:"events"`
	Enabled valid.Field[bool]     `json:"enabled"`
}

func (h *Webhooks) apply(c change, to *Webhook) error {
	var f valid.Form
	to.URL = c.URL.Or(&f, "/url", to.URL)
	to.Events = c.Events.Or(&f, "/events", to.Events)
	to.Enabled = c.Enabled.Or(&f, "/enabled", to.Enabled)
	h.checkURL(&f, to.URL)
	checkEvents(&f, to.Events)
	return f.Err()
}

func (h *Webhooks) patch(w http.ResponseWriter, r *http.Request) error {
	family, webhook, err := path(r)
	if err != nil {
		return err
	}
	var c change
	if err := web.DecodeJSON(r, &c); err != nil {
		return err
	}
	changed, err := h.update(r.Context(), family, webhook, func(to *Webhook) error {
		if err := precondition.Check(r, to.Version); err != nil {
			return err
		}
		return h.apply(c, to)
	})
	if err != nil {
		return err
	}
	precondition.SetETag(w, changed.Version, changed.Permissions...)
	return web.JSON(w, http.StatusOK, changed)
}

func (h *Webhooks) remove(w http.ResponseWriter, r *http.Request) error {
	family, webhook, err := path(r)
	if err != nil {
		return err
	}
	if err := h.delete(r.Context(), family, webhook, func(version int64) error { return precondition.Require(r, version) }); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Webhooks) rotate(w http.ResponseWriter, r *http.Request) error {
	family, webhook, err := path(r)
	if err != nil {
		return err
	}
	changed, err := h.replaceSecret(r.Context(), family, webhook, func(version int64) error { return precondition.Check(r, version) })
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	precondition.SetETag(w, changed.Version, changed.Permissions...)
	return web.JSON(w, http.StatusOK, changed)
}

// audited is what the audit log says of an address: to whom it leads. Many
// services let in whoever knows the rest.
func audited(address string) map[string]any {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	return map[string]any{"host": u.Host}
}
