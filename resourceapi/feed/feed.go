package feed

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/bearer"
	"larder/resourceapi/tenant"
)

const (
	pageSize    = 100 // changes read at a time
	readTimeout = 10 * time.Second
	retryAfter  = 2 * time.Second // for a stream whose read failed for now
	soon        = 50 * time.Millisecond
	pause       = 50 * time.Millisecond // between two readings of one stream
)

// Feed answers for the feeds of families.
type Feed struct {
	DB  *tenant.DB
	Hub *Hub
}

// Mount adds the route.
func (h *Feed) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/feed", h.follow)
}

// follow answers with an error only until the stream has begun.
func (h *Feed) follow(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	after, err := lastEventID(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	s := newStream(bearer.From(ctx), family)
	// It listens before it reads, so that no change falls in between.
	leave, err := h.Hub.join(s)
	if err != nil {
		return err
	}
	page, err := h.read(ctx, s, after)
	if err != nil || r.Method == http.MethodHead {
		defer leave()
		if err == nil {
			begin(w, h.DB.Now)
		}
		return err
	}
	if out := take(w, r, h.DB.Now); out != nil {
		go h.carry(detached(ctx, s), out, s, page, after, leave)
		return nil
	}
	defer leave()
	reason, err := h.run(ctx, begin(w, h.DB.Now), s, page, after)
	web.Annotate(ctx, ending(reason, err)...)
	return nil
}

// detached holds what reading the feed needs of the request, and no more: a
// request keeps tens of KiB alive.
func detached(ctx context.Context, s *stream) context.Context {
	return tenant.WithSource(bearer.With(web.Detached(ctx), s.caller), tenant.SourceFrom(ctx))
}

// carry looks after a stream that has left its request behind.
func (h *Feed) carry(ctx context.Context, out *writer, s *stream, page *tenant.Changes, after tenant.Cursor, leave func()) {
	began := h.DB.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer leave()
	defer out.close()
	go func() {
		out.await() // the client hangs up
		cancel()
	}()
	reason, err := h.run(ctx, out, s, page, after)
	h.Hub.log.LogAttrs(ctx, slog.LevelInfo, "stream", append(ending(reason, err),
		slog.String("request_id", web.RequestID(ctx)), slog.Duration("took", h.DB.Now().Sub(began)))...)
}

// run writes the stream to its end, and the end.
func (h *Feed) run(ctx context.Context, out *writer, s *stream, page *tenant.Changes, after tenant.Cursor) (reason string, err error) {
	reason, err = h.stream(ctx, out, s, page, after)
	if err == nil && reason != "" {
		err = out.event("end", "", ended{reason})
	}
	if err == nil {
		err = out.flush()
	}
	return reason, err
}

// ending says how a stream ended. With an error the client hung up or does not
// read: nobody is there to tell.
func ending(reason string, err error) []slog.Attr {
	attrs := []slog.Attr{slog.String("stream_end", reason)}
	if err != nil {
		attrs = append(attrs, slog.String("stream_error", err.Error()))
	}
	return attrs
}

func lastEventID(r *http.Request) (tenant.Cursor, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		return tenant.Cursor{}, nil
	}
	after, err := tenant.ParseCursor(text)
	if err != nil {
		return after, valid.Parameter("Last-Event-ID", "must be the id of an event of this feed")
	}
	return after, nil
}

// read reads a page with the caller's present rights.
func (h *Feed) read(ctx context.Context, s *stream, after tenant.Cursor) (*tenant.Changes, error) {
	release, err := h.Hub.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	changes, err := h.DB.Follow(ctx, s.family, after, pageSize)
	if err == nil {
		s.lookAgain(h.DB.Now(), changes.Until)
	}
	return changes, err
}

// readAside reads on a stack of its own, which goes when it is done: a stream
// would else keep one as deep as the database's for as long as it sleeps.
func (h *Feed) readAside(ctx context.Context, s *stream, after tenant.Cursor) (page *tenant.Changes, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil { // no request is there to answer for it
				h.Hub.log.LogAttrs(ctx, slog.LevelError, "panic", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
				err = fault.New(fault.Internal, "panic")
			}
		}()
		page, err = h.read(ctx, s, after)
	}()
	<-done
	return page, err
}

// The data of the events.
type (
	position struct {
		Reason string `json:"reason,omitempty"` // of a reset
	}
	ended struct {
		Reason string `json:"reason"`
	}
	change struct {
		Event      string    `json:"event"`
		ListID     *id.ID    `json:"list_id,omitempty"`
		EntityID   string    `json:"entity_id"`
		Version    int64     `json:"version,omitempty"`
		Actor      string    `json:"actor"`
		OccurredAt time.Time `json:"occurred_at"`
	}
)

func dataOf(s tenant.Seen) change {
	c := change{Event: s.Event, EntityID: s.Entity, Version: s.Version, Actor: s.Actor, OccurredAt: s.OccurredAt}
	if !s.List.IsZero() {
		c.ListID = &s.List
	}
	return c
}

// stream writes until the stream ends, and says why: "" when the client left.
func (h *Feed) stream(ctx context.Context, out *writer, s *stream, page *tenant.Changes, after tenant.Cursor) (reason string, err error) {
	if page.Reset == tenant.ResetNone {
		first := after
		if first.IsZero() {
			first = page.Next
		}
		if err := out.event("ready", first.String(), position{}); err != nil {
			return "", err
		}
	}
	for {
		if err := h.send(out, page); err != nil {
			return "", err
		}
		at := page.Next
		if page.More {
			s.signal(changed)
		}
		if page.Soon {
			time.AfterFunc(soon, func() { s.signal(changed) })
		}
		for page = nil; page == nil; {
			if page, reason, err = h.next(ctx, out, s, at); err != nil || reason != "" {
				return reason, err
			}
			if ctx.Err() != nil {
				return "", nil //nolint:nilerr // the client left: nothing failed
			}
		}
	}
}

// next waits for something to do: a page to send, the reason to end, or
// neither.
func (h *Feed) next(ctx context.Context, out *writer, s *stream, at tenant.Cursor) (*tenant.Changes, string, error) {
	select {
	case <-ctx.Done():
		return nil, "", nil
	case <-s.wake:
	}
	due := s.take()
	if reason := due.end(); reason != "" {
		return nil, reason, nil
	}
	if due&beat != 0 {
		if err := out.beat(); err != nil {
			return nil, "", err
		}
	}
	if due&changed == 0 {
		return nil, "", nil
	}
	if wait := s.read.Add(pause).Sub(h.DB.Now()); wait > 0 {
		time.AfterFunc(wait, func() { s.signal(changed) })
		return nil, "", nil
	}
	page, err := h.readAside(ctx, s, at)
	s.read = h.DB.Now()
	switch {
	case err == nil:
		return page, "", nil
	case ctx.Err() != nil:
		return nil, "", nil //nolint:nilerr // the client left: nothing failed
	case fault.Is(err, fault.Unavailable):
		time.AfterFunc(retryAfter, func() { s.signal(changed) })
		return nil, "", nil
	case fault.Is(err, fault.NotFound):
		return nil, "removed", nil
	}
	h.Hub.log.LogAttrs(ctx, slog.LevelWarn, "stream refused", slog.String("error", err.Error()), slog.String("request_id", web.RequestID(ctx)))
	return nil, "refused", nil
}

func (h *Feed) send(out *writer, page *tenant.Changes) error {
	if page.Reset != tenant.ResetNone {
		if err := out.event("reset", page.Next.String(), position{page.Reset}); err != nil {
			return err
		}
	}
	for _, row := range page.Rows {
		if err := out.event("change", row.Cursor.String(), dataOf(row)); err != nil {
			return err
		}
	}
	return out.flush()
}
