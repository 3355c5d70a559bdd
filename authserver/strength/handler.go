package strength

import (
	"context"
	"net/http"
	"time"

	"larder/internal/limit"
	"larder/internal/password"
	"larder/internal/web"
)

const (
	path    = "/password/strength"
	maxForm = 8 << 10 // bytes: a password of 1024, a name and an address, escaped
)

// Pages knows the language of a request.
type Pages interface {
	Say(r *http.Request, text string) string
}

// Limits counts tries.
type Limits interface {
	Take(ctx context.Context, bucket string, rates ...limit.Rate) error
}

// Handler serves the path.
type Handler struct {
	Pages  Pages
	Limits Limits
	Source func(r *http.Request) string // where a request comes from
}

// Mount adds the path to rt, which reports errors as problems.
func (h *Handler) Mount(rt *web.Router) { rt.Handle(http.MethodPost, path, h.rate) }

// perSource lets a few people behind one address type at once.
func perSource() limit.Rate { return limit.Rate{Burst: 120, Every: 250 * time.Millisecond} }

// answer is what form.js shows.
type answer struct {
	Strength int    `json:"strength"` // 0 to 4
	Enough   bool   `json:"enough"`
	Says     string `json:"says"` // in the language of the page
}

func (h *Handler) rate(w http.ResponseWriter, r *http.Request) error {
	if err := web.FromOwnPage(r); err != nil {
		return err
	}
	if err := h.Limits.Take(r.Context(), "strength:source:"+h.Source(r), perSource()); err != nil {
		return err
	}
	form, err := web.Form(w, r, maxForm)
	if err != nil {
		return err
	}
	rating := password.Rate(form.Get("password"), form.Get("email"), form.Get("name"))
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusOK, answer{Strength: rating.Strength, Enough: rating.Enough, Says: h.Pages.Say(r, rating.Says)})
}
