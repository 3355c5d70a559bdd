package grant

import (
	"context"
	"net/http"

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

// Handler serves /admin/v1/grants.
type Handler struct {
	Grants  *Grants
	Actor   func(ctx context.Context) audit.Actor // who calls
	Cursors func() paging.Signer
}

// Mount adds the routes.
func (h *Handler) Mount(rt Routes) {
	rt.Handle(http.MethodGet, "/admin/v1/grants", h.list)
	rt.Handle(http.MethodDelete, "/admin/v1/grants/{id}", h.revoke)
}

type grantPage struct {
	Grants []Grant `json:"grants"`
	Next   string  `json:"next,omitempty"`
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	filter := Filter{ClientID: query.Get("client_id")}
	if s := query.Get("user_id"); s != "" {
		var err error
		if filter.UserID, err = id.Parse(s); err != nil {
			return valid.Parameter("user_id", "must be a UUID")
		}
	}
	collection := "admin/grants " + filter.UserID.String() + " " + filter.ClientID
	var before id.ID
	limit, err := h.Cursors().Page(r, collection, &before)
	if err != nil {
		return err
	}
	all, err := h.Grants.List(r.Context(), filter, before, limit)
	if err != nil {
		return err
	}
	answer := grantPage{Grants: all}
	if len(all) == limit {
		if answer.Next, err = h.Cursors().Next(r, collection, all[limit-1].ID); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, answer)
}

func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) error {
	grant, err := id.Parse(web.Var(r, "id"))
	if err != nil {
		return fault.New(fault.NotFound, "There is no such grant in force.")
	}
	if err := h.Grants.Revoke(r.Context(), grant, h.Actor(r.Context())); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
