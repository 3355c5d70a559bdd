package client

import (
	"context"
	"net/http"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/paging"
	"larder/internal/precondition"
	"larder/internal/secret"
	"larder/internal/web"
)

const collection = "admin/clients"

// Routes take handlers that only operators reach.
type Routes interface {
	Handle(method, path string, h web.Handler)
}

// Handler serves /admin/v1/clients.
type Handler struct {
	Clients *Clients
	Actor   func(ctx context.Context) audit.Actor // who calls
	Cursors func() paging.Signer
}

// Mount adds the routes.
func (h *Handler) Mount(rt Routes) {
	rt.Handle(http.MethodGet, "/admin/v1/clients", h.list)
	rt.Handle(http.MethodPost, "/admin/v1/clients", h.create)
	rt.Handle(http.MethodGet, "/admin/v1/clients/{id}", h.show)
	rt.Handle(http.MethodPut, "/admin/v1/clients/{id}", h.replace)
	rt.Handle(http.MethodPatch, "/admin/v1/clients/{id}", h.setDisabled)
	rt.Handle(http.MethodPost, "/admin/v1/clients/{id}/secret", h.rotateSecret)
	rt.Handle(http.MethodDelete, "/admin/v1/clients/{id}/secret", h.dropOldSecret)
}

// view is a client as operators see it. ClientSecret is there only in the
// answer that makes it.
type view struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	oidc.Metadata
	Secrets   int       `json:"secrets"`
	CreatedAt time.Time `json:"created_at"`
	Disabled  bool      `json:"disabled"`
}

func viewOf(c *oidc.Client, value secret.String) view {
	return view{
		ClientID: c.ID, ClientSecret: value.Reveal(), Metadata: c.Metadata,
		Secrets: len(c.SecretHashes), CreatedAt: c.CreatedAt, Disabled: c.Disabled,
	}
}

func answer(w http.ResponseWriter, status int, c *oidc.Client, value secret.String) error {
	precondition.SetETag(w, c.Version)
	return web.JSON(w, status, viewOf(c, value))
}

type clientPage struct {
	Clients []view `json:"clients"`
	Next    string `json:"next,omitempty"`
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	var after string
	limit, err := h.Cursors().Page(r, collection, &after)
	if err != nil {
		return err
	}
	some, err := h.Clients.List(r.Context(), after, limit)
	if err != nil {
		return err
	}
	page := clientPage{Clients: make([]view, 0, len(some))}
	for _, c := range some {
		page.Clients = append(page.Clients, viewOf(c, ""))
	}
	if len(some) == limit {
		if page.Next, err = h.Cursors().Next(r, collection, some[limit-1].ID); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, page)
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		ClientID string `json:"client_id"`
		oidc.Metadata
	}
	if err := web.DecodeJSON(r, &body); err != nil {
		return err
	}
	made, value, err := h.Clients.Create(r.Context(), body.ClientID, body.Metadata, h.Actor(r.Context()))
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/admin/v1/clients/"+made.ID)
	return answer(w, http.StatusCreated, made, value)
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	found, err := h.Clients.Show(r.Context(), web.Var(r, "id"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, found, "")
}

func (h *Handler) replace(w http.ResponseWriter, r *http.Request) error {
	var m oidc.Metadata
	if err := web.DecodeJSON(r, &m); err != nil {
		return err
	}
	old, err := h.Clients.Show(r.Context(), web.Var(r, "id"))
	if err != nil {
		return err
	}
	if err := precondition.Require(r, old.Version); err != nil {
		return err
	}
	changed, value, err := h.Clients.Update(r.Context(), old.ID, old.Version, m, h.Actor(r.Context()))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, changed, value)
}

func (h *Handler) setDisabled(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Disabled *bool `json:"disabled"`
	}
	if err := web.DecodeJSON(r, &body); err != nil {
		return err
	}
	if body.Disabled == nil {
		return fault.New(fault.Invalid, "Nothing is to be changed.").WithFields(fault.Field{Pointer: "/disabled", Detail: "must be true or false"})
	}
	changed, err := h.Clients.SetDisabled(r.Context(), web.Var(r, "id"), *body.Disabled, h.Actor(r.Context()))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, changed, "")
}

func (h *Handler) rotateSecret(w http.ResponseWriter, r *http.Request) error {
	value, err := h.Clients.RotateSecret(r.Context(), web.Var(r, "id"), h.Actor(r.Context()))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]string{"client_id": web.Var(r, "id"), "client_secret": value.Reveal()})
}

func (h *Handler) dropOldSecret(w http.ResponseWriter, r *http.Request) error {
	if err := h.Clients.DropOldSecret(r.Context(), web.Var(r, "id"), h.Actor(r.Context())); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
