package apikey

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/valid"
	"larder/internal/web"
)

// Routes take handlers that only operators reach.
type Routes interface {
	Handle(method, path string, h web.Handler)
}

// Handler serves /admin/v1/service-accounts and /admin/v1/api-keys.
type Handler struct {
	Keys    *Keys
	Actor   func(ctx context.Context) audit.Actor // who calls
	Cursors func() paging.Signer
}

// Mount adds the routes.
func (h *Handler) Mount(rt Routes) {
	rt.Handle(http.MethodGet, "/admin/v1/service-accounts", h.listAccounts)
	rt.Handle(http.MethodPost, "/admin/v1/service-accounts", h.createAccount)
	rt.Handle(http.MethodDelete, "/admin/v1/service-accounts/{id}", h.disableAccount)
	rt.Handle(http.MethodGet, "/admin/v1/api-keys", h.list)
	rt.Handle(http.MethodPost, "/admin/v1/api-keys", h.create)
	rt.Handle(http.MethodDelete, "/admin/v1/api-keys/{id}", h.revoke)
}

func (h *Handler) listAccounts(w http.ResponseWriter, r *http.Request) error {
	return h.page(w, r, "service_accounts", "family_id", func(family, after id.ID, limit int) (any, id.ID, int, error) {
		all, err := h.Keys.Accounts(r.Context(), family, after, limit)
		if len(all) == 0 {
			return []ServiceAccount{}, id.ID{}, 0, err
		}
		return all, all[len(all)-1].ID, len(all), err
	})
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	return h.page(w, r, "api_keys", "service_account_id", func(account, after id.ID, limit int) (any, id.ID, int, error) {
		all, err := h.Keys.List(r.Context(), account, after, limit)
		if len(all) == 0 {
			return []Key{}, id.ID{}, 0, err
		}
		return all, all[len(all)-1].ID, len(all), err
	})
}

// page answers one page of a collection that the parameter filter narrows.
// read returns the rows, the id of the last and how many there are.
func (h *Handler) page(w http.ResponseWriter, r *http.Request, member, filter string,
	read func(narrowed, after id.ID, limit int) (any, id.ID, int, error),
) error {
	query := r.URL.Query()
	narrowed, err := optionalID(query, filter)
	if err != nil {
		return err
	}
	collection := "admin/" + member + " " + query.Get(filter)
	var after id.ID
	limit, err := h.Cursors().Page(r, collection, &after)
	if err != nil {
		return err
	}
	rows, last, n, err := read(narrowed, after, limit)
	if err != nil {
		return err
	}
	answer := map[string]any{member: rows}
	if n == limit {
		if answer["next"], err = h.Cursors().Next(r, collection, last); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, answer)
}

func optionalID(query url.Values, name string) (id.ID, error) {
	s := query.Get(name)
	if s == "" {
		return id.ID{}, nil
	}
	v, err := id.Parse(s)
	if err != nil {
		return v, valid.Parameter(name, "must be a UUID")
	}
	return v, nil
}

func (h *Handler) createAccount(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		FamilyID id.ID  `json:"family_id"`
		Name     string `json:"name"`
	}
	if err := web.DecodeJSON(r, &body); err != nil {
		return err
	}
	made, err := h.Keys.CreateAccount(r.Context(), body.FamilyID, body.Name, h.Actor(r.Context()))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, made)
}

func (h *Handler) disableAccount(w http.ResponseWriter, r *http.Request) error {
	account, err := pathID(r)
	if err != nil {
		return err
	}
	changed, err := h.Keys.DisableAccount(r.Context(), account, h.Actor(r.Context()))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, changed)
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		ServiceAccountID id.ID      `json:"service_account_id"`
		Scopes           []string   `json:"scopes"`
		ExpiresAt        *time.Time `json:"expires_at"`
	}
	if err := web.DecodeJSON(r, &body); err != nil {
		return err
	}
	var expiresAt time.Time
	if body.ExpiresAt != nil {
		expiresAt = *body.ExpiresAt
	}
	made, value, err := h.Keys.Create(r.Context(), body.ServiceAccountID, body.Scopes, expiresAt, h.Actor(r.Context()))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, struct {
		Key
		APIKey string `json:"api_key"` // this once
	}{made, value.Reveal()})
}

func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) error {
	key, err := pathID(r)
	if err != nil {
		return err
	}
	if err := h.Keys.Revoke(r.Context(), key, h.Actor(r.Context())); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func pathID(r *http.Request) (id.ID, error) {
	v, err := id.Parse(web.Var(r, "id"))
	if err != nil {
		return v, fault.New(fault.NotFound, "There is nothing of this id.")
	}
	return v, nil
}
