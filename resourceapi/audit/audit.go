package audit

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

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
	Seals   *Seals
}

// Actor is who acted.
type Actor struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Event is one entry. Count is how many equal denials it stands for.
type Event struct {
	ID         id.ID          `json:"id"`
	OccurredAt time.Time      `json:"occurred_at"`
	Action     string         `json:"action"`
	Result     string         `json:"result"`
	Actor      Actor          `json:"actor"`
	ClientID   string         `json:"client_id,omitempty"`
	Target     string         `json:"target,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Policies   []string       `json:"policies"`
	Count      int            `json:"count"`
	SourceIP   string         `json:"source_ip,omitempty"`
	UserAgent  string         `json:"user_agent,omitempty"`
	RequestID  string         `json:"request_id,omitempty"`
	Details    map[string]any `json:"details"`
}

const (
	selectEvents = `
SELECT ` + eventColumns + `
  FROM grocery.audit_events e
 WHERE e.family_id = $1 AND (e.occurred_at, e.id) < ($2, $3) AND e.occurred_at >= $4
   AND ($5 = '' OR e.action = $5) AND ($6 = '' OR e.result = $6) AND ($7 = '' OR e.actor_id = $7) AND ($8 = '' OR e.target = $8)
 ORDER BY e.occurred_at DESC, e.id DESC LIMIT $9`

	eventColumns = `e.id, e.occurred_at, e.action, e.result, e.actor_kind, e.actor_id, coalesce(e.client_id, ''), coalesce(e.target, ''), coalesce(e.reason, ''),
       e.policies, e.count, coalesce(e.source_ip, ''), coalesce(e.user_agent, ''), coalesce(e.request_id, ''), e.details`
)

// columns are the places for eventColumns.
func (e *Event) columns() []any {
	return []any{
		&e.ID, &e.OccurredAt, &e.Action, &e.Result, &e.Actor.Kind, &e.Actor.ID, &e.ClientID, &e.Target, &e.Reason,
		&e.Policies, &e.Count, &e.SourceIP, &e.UserAgent, &e.RequestID, &e.Details,
	}
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
	action, result, actor, target string
	since                         time.Time
	before                        place
	limit                         int
	copied                        bool // it is for a copy, which the log tells of
}

func (h *Log) filter(family id.ID, r *http.Request) (f filter, collection string, err error) {
	query := r.URL.Query()
	f = filter{action: query.Get("action"), result: query.Get("result"), actor: query.Get("actor"), target: query.Get("target"), since: time.Unix(0, 0)}
	f.before = place{h.DB.Now().Add(time.Hour), lastID()}
	for _, bound := range []struct {
		name string
		to   *time.Time
	}{{"since", &f.since}, {"until", &f.before.OccurredAt}} {
		if s := query.Get(bound.name); s != "" {
			if *bound.to, err = time.Parse(time.RFC3339, s); err != nil {
				return f, "", valid.Parameter(bound.name, "must be a time such as 2026-01-31T08:00:00Z")
			}
		}
	}
	if f.result != "" && f.result != "success" && f.result != "failure" && f.result != "denied" {
		return f, "", valid.Parameter("result", "must be success, failure or denied")
	}
	if len(f.action) > 64 || len(f.actor) > 255 || len(f.target) > 255 {
		return f, "", valid.Parameter("action", "is too long, or another filter is")
	}
	collection = "audit/" + family.String() + "/" + url.Values{"a": {f.action}, "r": {f.result}, "w": {f.actor}, "t": {f.target}, "s": {f.since.String()}}.Encode()
	f.limit, err = h.Cursors.Page(r, collection, &f.before)
	return f, collection, err
}

type page struct {
	Events []Event `json:"events"`
	Next   string  `json:"next,omitempty"`
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

func (h *Log) selectPage(ctx context.Context, family id.ID, f filter) ([]Event, error) {
	events := []Event{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Queue(selectEvents, family, f.before.OccurredAt, f.before.ID, f.since, f.action, f.result, f.actor, f.target, f.limit+1).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					var e Event
					if err := rows.Scan(e.columns()...); err != nil {
						return err
					}
					e.OccurredAt = e.OccurredAt.UTC()
					events = append(events, e)
				}
				return rows.Err()
			})
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
