package audit

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"larder/internal/auditchain"
	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// Log answers for the audit log.
type Log struct {
	DB      *tenant.DB
	Cursors paging.Signer
	Chain   *auditchain.Chain
}

// Mount adds the routes.
func (h *Log) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/audit", h.list)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/audit/export", h.export)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/audit/verify", h.verify)
}

// place is where a page begins: before this event.
type place struct {
	OccurredAt time.Time `json:"t"`
	ID         id.ID     `json:"i"`
}

type filter struct {
	auditchain.Selection

	limit  int
	copied bool // it is for a copy, which the log tells of
}

func (h *Log) filter(family id.ID, r *http.Request) (f filter, collection string, err error) {
	query := r.URL.Query()
	f.Selection = auditchain.Selection{
		Action: query.Get("action"), Result: query.Get("result"), Actor: actorID(query.Get("actor")), Target: query.Get("target"), Seen: query.Get("seen"),
		Since: time.Unix(0, 0), Until: h.DB.Now().Add(time.Hour),
	}
	for _, bound := range []struct {
		name string
		to   *time.Time
	}{{"since", &f.Since}, {"until", &f.Until}} {
		if s := query.Get(bound.name); s != "" {
			if *bound.to, err = time.Parse(time.RFC3339, s); err != nil {
				return f, "", valid.Parameter(bound.name, "must be a time such as 2026-01-31T08:00:00Z")
			}
		}
	}
	if f.Result != "" && f.Result != "success" && f.Result != "failure" && f.Result != "denied" {
		return f, "", valid.Parameter("result", "must be success, failure or denied")
	}
	if f.Seen != "" && f.Seen != "true" && f.Seen != "false" {
		return f, "", valid.Parameter("seen", "must be true or false")
	}
	if len(f.Action) > 64 || len(f.Actor) > 255 || len(f.Target) > 255 {
		return f, "", valid.Parameter("action", "is too long, or another filter is")
	}
	collection = "audit/" + family.String() + "/" + url.Values{"a": {f.Action}, "r": {f.Result}, "w": {f.Actor}, "t": {f.Target}, "v": {f.Seen}, "s": {f.Since.String()}}.Encode()
	before := place{f.Until, lastID()}
	f.limit, err = h.Cursors.Page(r, collection, &before)
	f.Until, f.Last = before.OccurredAt, before.ID
	return f, collection, err
}

// actorID is what follows the kind, where somebody names an actor as created_by
// does: user:ann.
func actorID(name string) string {
	if kind, actor, found := strings.Cut(name, ":"); found && slices.Contains([]string{"user", "app", "api_key", "system"}, kind) {
		return actor
	}
	return name
}

// lastID stands behind all others.
func lastID() id.ID {
	last := id.ID{}
	for i := range last {
		last[i] = 0xff
	}
	return last
}

type page struct {
	Events []auditchain.Event `json:"events"`
	Next   string             `json:"next,omitempty"`
}

func (h *Log) list(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	f, collection, err := h.filter(family, r)
	if err != nil {
		return err
	}
	events, err := h.selectPage(r.Context(), family, f)
	if err != nil {
		return err
	}
	p := page{Events: events}
	if len(events) > f.limit {
		last := events[f.limit-1]
		p.Events = events[:f.limit]
		if p.Next, err = h.Cursors.Next(r, collection, place{last.OccurredAt, last.ID}); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, p)
}

func (h *Log) selectPage(ctx context.Context, family id.ID, f filter) ([]auditchain.Event, error) {
	events := []auditchain.Event{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		h.Chain.Tables.Page(tx, family, f.Selection, f.limit+1, &events)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.AuditRead, tx.Resource(policy.AuditResource, id.ID{})); err != nil {
			return err
		}
		if f.copied {
			tx.Copied(ctx, "audit.exported", nil)
		}
		return nil
	})
	return events, err
}
