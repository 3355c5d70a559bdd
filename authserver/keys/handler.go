package keys

import (
	"context"
	"net/http"

	"larder/internal/audit"
	"larder/internal/web"
)

// Routes take handlers that only operators reach.
type Routes interface {
	Handle(method, path string, h web.Handler)
}

// Handler serves /admin/v1/keys.
type Handler struct {
	Keys  *Keys
	Actor func(ctx context.Context) audit.Actor // who calls
}

// Mount adds the routes.
func (h *Handler) Mount(rt Routes) {
	rt.Handle(http.MethodGet, "/admin/v1/keys", h.list)
	rt.Handle(http.MethodPost, "/admin/v1/keys/rotate", h.rotate)
	rt.Handle(http.MethodDelete, "/admin/v1/keys/{kid}", h.withdraw)
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	all, err := h.Keys.List(r.Context())
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string][]Status{"keys": all})
}

func (h *Handler) rotate(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Immediately bool `json:"immediately"`
	}
	if err := web.DecodeJSON(r, &body); err != nil {
		return err
	}
	if err := h.Keys.Rotate(r.Context(), body.Immediately, h.Actor(r.Context())); err != nil {
		return err
	}
	return h.list(w, r)
}

func (h *Handler) withdraw(w http.ResponseWriter, r *http.Request) error {
	if err := h.Keys.Withdraw(r.Context(), web.Var(r, "kid"), h.Actor(r.Context())); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
