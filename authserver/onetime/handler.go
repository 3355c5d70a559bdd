package onetime

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
)

// Browsers signs a browser in.
type Browsers interface {
	Start(ctx context.Context, w http.ResponseWriter, r *http.Request, login oidc.Login) error
}

// Devices recognises browsers.
type Devices interface {
	Ensure(w http.ResponseWriter, r *http.Request) (device string, fresh bool)
}

// Pages renders.
type Pages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
}

// Handler answers buttons of /account/security.
type Handler struct {
	Codes    *Codes
	Browsers Browsers
	Devices  Devices
	Pages    Pages
	Source   func(r *http.Request) string // where a request comes from
}

// phonePage is what phone.html shows.
type phonePage struct {
	Number string
	Sent   bool // a code is under way to the number
	Alert  string
}

// Ways is Codes.Ways.
func (h *Handler) Ways(ctx context.Context, user id.ID) ([]oidc.MessageWay, error) {
	return h.Codes.Ways(ctx, user)
}

// Mailbox is Codes.Mailbox.
func (h *Handler) Mailbox(ctx context.Context, user id.ID) ([]oidc.MessageWay, error) {
	return h.Codes.Mailbox(ctx, user)
}

// SMS reports whether there is a way to send text messages.
func (h *Handler) SMS() bool { return h.Codes.SMS }

// Send is Codes.Send.
func (h *Handler) Send(ctx context.Context, user id.ID, device, source, channel string) error {
	return h.Codes.Send(ctx, user, device, source, channel)
}

// Check is Codes.Check.
func (h *Handler) Check(ctx context.Context, user id.ID, device, code string) ([]string, error) {
	return h.Codes.Check(ctx, user, device, code)
}

// Act answers a button, for somebody who has proven to be who the session says:
//
//	mail-codes      send codes by mail
//	phone           send codes to a telephone number; asks for it, then tries it
//	phone-verify    take the code that came there
//	codes-off       end the way of the field "channel"
func (h *Handler) Act(w http.ResponseWriter, r *http.Request, login *oidc.Login, form url.Values) error {
	ctx := r.Context()
	device, _ := h.Devices.Ensure(w, r)
	switch form.Get("action") {
	case "mail-codes":
		if err := h.Codes.EnableMail(ctx, login.Subject); err != nil {
			return err
		}
	case "codes-off":
		if err := h.Codes.Disable(ctx, login.Subject, form.Get("channel")); err != nil {
			return err
		}
	case "phone":
		if !form.Has("phone") {
			return h.Pages.Render(w, r, http.StatusOK, "phone", &phonePage{})
		}
		page := phonePage{Number: form.Get("phone"), Sent: true}
		if err := h.Codes.Propose(ctx, login.Subject, device, h.Source(r), page.Number); err != nil {
			page.Sent = false
			return h.again(w, r, page, err)
		}
		return h.Pages.Render(w, r, http.StatusOK, "phone", &page)
	case "phone-verify":
		if err := h.Codes.Confirm(ctx, login.Subject, device, form.Get("code")); err != nil {
			return h.again(w, r, phonePage{Number: form.Get("phone"), Sent: true}, err)
		}
		// Whoever read the message has shown the second channel.
		if !slices.Contains(login.AMR, oidc.AMRChannels) {
			shown := *login
			shown.AMR = append(slices.Clone(login.AMR), oidc.AMRSMS, oidc.AMRChannels)
			if err := h.Browsers.Start(ctx, w, r, shown); err != nil {
				return err
			}
		}
	default:
		return web.NoButton()
	}
	return web.SeeOther(w, r, "/account/security")
}

// again shows the page with the words of what went wrong, if a person can mend it.
func (h *Handler) again(w http.ResponseWriter, r *http.Request, page phonePage, err error) error {
	status := http.StatusUnprocessableEntity
	switch {
	case fault.Is(err, fault.RateLimited):
		status = http.StatusTooManyRequests
		web.SetRetryAfter(w, err)
	case !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Unauthenticated):
		return err
	}
	page.Alert = web.Message(err)
	return h.Pages.Render(w, r, status, "phone", &page)
}
