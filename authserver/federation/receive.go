package federation

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"larder/internal/fault"
	"larder/internal/limit"
	"larder/internal/web"
)

const maxToken = 64 << 10 // bytes of what a provider posts

// MountEvents adds what the providers post by themselves to rt, which reports
// errors as problems.
func (h *Handler) MountEvents(rt *web.Router) {
	for _, p := range h.Identities.Providers {
		switch p.Name {
		case google:
			rt.Handle(http.MethodPost, "/federation/google/events", func(w http.ResponseWriter, r *http.Request) error { return h.receiveSET(w, r, p) })
		case apple:
			rt.Handle(http.MethodPost, "/federation/apple/notifications", func(w http.ResponseWriter, r *http.Request) error { return h.receiveNotification(w, r, p) })
		}
	}
}

// receiveSET takes a security event token by push (RFC 8935): 202 when it is
// believed, and 400 with the words of §2.3 when not.
func (h *Handler) receiveSET(w http.ResponseWriter, r *http.Request, p *Provider) error {
	body, err := h.posted(w, r, "application/secevent+jwt")
	if err != nil {
		return err
	}
	events, err := p.securityEvents(r.Context(), string(body), h.Now())
	if errors.Is(err, errEvent) {
		web.Annotate(r.Context(), slog.String("event_refused", err.Error()))
		return web.JSON(w, http.StatusBadRequest, map[string]string{"err": "invalid_request", "description": errEvent.Error()})
	}
	if err != nil {
		return err
	}
	if err := h.Identities.act(r.Context(), p, events); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// receiveNotification takes what Apple's server says: 200 when it is believed.
func (h *Handler) receiveNotification(w http.ResponseWriter, r *http.Request, p *Provider) error {
	body, err := h.posted(w, r, "application/json")
	if err != nil {
		return err
	}
	var sent struct {
		Payload string `json:"payload"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return fault.Wrap(fault.Invalid, "The body must be JSON with a payload.", err)
	}
	events, err := p.notification(r.Context(), sent.Payload, h.Now())
	if errors.Is(err, errEvent) {
		return fault.Wrap(fault.Invalid, errEvent.Error(), err)
	}
	if err != nil {
		return err
	}
	if err := h.Identities.act(r.Context(), p, events); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (h *Handler) posted(w http.ResponseWriter, r *http.Request, want string) ([]byte, error) {
	if err := h.Limits.Take(r.Context(), "federation-events:"+h.Source(r), limit.Rate{Burst: 600, Every: 100 * time.Millisecond}); err != nil {
		return nil, err
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != want {
		return nil, fault.New(fault.UnsupportedMedia, "The body must be "+want+".")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxToken))
	if err != nil {
		return nil, web.ReadFault(err)
	}
	return body, nil
}
