package session

import (
	"net/http"
	"strconv"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/web"
)

const maxForm = 4 << 10 // bytes of a posted form

// Pages renders.
type Pages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
}

// Auditor takes audit events off the request's path.
type Auditor interface {
	Put(e audit.Event)
}

// Handler serves /account/sessions, where people see what is signed in and
// sign it out.
type Handler struct {
	Sessions *Sessions
	Pages    Pages
	Audit    Auditor
	Source   func(r *http.Request) string // where a request comes from
	Now      func() time.Time
}

// Mount adds the page to rt, which reports errors as pages.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/account/sessions", h.show)
	rt.Handle(http.MethodPost, "/account/sessions", h.end)
}

// sessionsPage is what sessions.html shows.
type sessionsPage struct {
	This   Info
	Others []Info
	Notice string
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, oidc.Onward{Page: "sessions"}.Via("/login"))
	}
	all, err := h.Sessions.List(r.Context(), login.Subject)
	if err != nil {
		return err
	}
	page := sessionsPage{Notice: notice(r.URL.Query().Get("ended"))}
	for _, one := range all {
		if one.SID == login.SID {
			page.This = one
		} else {
			page.Others = append(page.Others, one)
		}
	}
	return h.Pages.Render(w, r, http.StatusOK, "sessions", page)
}

// end signs out one other device or all of them.
func (h *Handler) end(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, oidc.Onward{Page: "sessions"}.Via("/login"))
	}
	var choose func(sid string) bool
	switch form.Get("action") {
	case "end":
		choose = func(sid string) bool { return sid == form.Get("sid") && sid != login.SID }
	case "end-others":
		choose = func(sid string) bool { return sid != login.SID }
	default:
		return web.NoButton()
	}
	ended, err := h.Sessions.EndOwn(r.Context(), login.Subject, choose)
	if err != nil {
		return err
	}
	if ended > 0 {
		h.audit(r, login.Subject, ended)
	}
	return web.SeeOther(w, r, "/account/sessions?ended="+strconv.Itoa(ended))
}

func (h *Handler) audit(r *http.Request, user id.ID, ended int) {
	h.Audit.Put(audit.Event{
		OccurredAt: h.Now(), Action: "session.ended", Result: audit.Success, Actor: audit.Person(user),
		SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context()), Details: map[string]any{"sessions": ended},
	})
}

func notice(ended string) string {
	n, err := strconv.Atoi(ended)
	switch {
	case err != nil || n < 0 || n > maxPerUser:
		return ""
	case n == 0:
		return "That device was signed out already."
	case n == 1:
		return "The device is signed out."
	}
	return strconv.Itoa(n) + " devices are signed out."
}
