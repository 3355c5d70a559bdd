package audit

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// Log answers for the audit log.
type Log struct {
	DB      *tenant.DB
	Cursors paging.Signer
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

const selectEvents = `
SELECT id, occurred_at, action, result, actor_kind, actor_id, coalesce(client_id, ''), coalesce(target, ''), coalesce(reason, ''),
       policies, count, coalesce(source_ip, ''), coalesce(user_agent, ''), coalesce(request_id, ''), details
  FROM grocery.audit_events
 WHERE family_id = $1 AND (occurred_at, id) < ($2, $3) AND occurred_at >= $4
   AND ($5 = '' OR action = $5) AND ($6 = '' OR result = $6) AND ($7 = '' OR actor_id = $7)
 ORDER BY occurred_at DESC, id DESC LIMIT $8`

func (e *Event) scan(row pgx.Row) error {
	return row.Scan(&e.ID, &e.OccurredAt, &e.Action, &e.Result, &e.Actor.Kind, &e.Actor.ID, &e.ClientID, &e.Target, &e.Reason,
		&e.Policies, &e.Count, &e.SourceIP, &e.UserAgent, &e.RequestID, &e.Details)
}

// Mount adds the route.
func (h *Log) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/audit", h.list)
}

// place is where a page begins: before this event.
type place struct {
	OccurredAt time.Time `json:"t"`
	ID         id.ID     `json:"i"`
}

type filter struct {
	action, result, actor string
	since                 time.Time
	before                place
	limit                 int
}

func (h *Log) filter(family id.ID, query url.Values) (f filter, collection string, err error) {
	f = filter{action: query.Get("action"), result: query.Get("result"), actor: query.Get("actor"), since: time.Unix(0, 0)}
	last := id.ID{}
	for i := range last {
		last[i] = 0xff
	}
	f.before = place{h.DB.Now().Add(time.Hour), last}
	if f.limit, err = paging.Limit(query); err != nil {
		return f, "", err
	}
	for name, to := range map[string]*time.Time{"since": &f.since, "until": &f.before.OccurredAt} {
		if s := query.Get(name); s != "" {
			if *to, err = time.Parse(time.RFC3339, s); err != nil {
				return f, "", parameter(name, "must be a time such as 2026-01-31T08:00:00Z")
			}
		}
	}
	if f.result != "" && f.result != "success" && f.result != "failure" && f.result != "denied" {
		return f, "", parameter("result", "must be success, failure or denied")
	}
	if len(f.action) > 64 || len(f.actor) > 255 {
		return f, "", parameter("action", "is too long")
	}
	collection = "audit/" + family.String() + "/" + url.Values{"a": {f.action}, "r": {f.result}, "w": {f.actor}, "s": {f.since.String()}}.Encode()
	if cursor := query.Get("cursor"); cursor != "" {
		err = h.Cursors.Open(collection, cursor, &f.before)
	}
	return f, collection, err
}

func parameter(name, detail string) error {
	return fault.New(fault.Invalid, "A parameter is not allowed.").WithFields(fault.Field{Pointer: name, Detail: detail})
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
	f, collection, err := h.filter(family, r.URL.Query())
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
		cursor, err := h.Cursors.Seal(collection, place{last.OccurredAt, last.ID})
		if err != nil {
			return err
		}
		p.Events, p.Next = events[:f.limit], paging.Next(r, cursor)
	}
	return web.JSON(w, http.StatusOK, p)
}

func (h *Log) selectPage(ctx context.Context, family id.ID, f filter) ([]Event, error) {
	events := []Event{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Queue(selectEvents, family, f.before.OccurredAt, f.before.ID, f.since, f.action, f.result, f.actor, f.limit+1).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					var e Event
					if err := e.scan(rows); err != nil {
						return err
					}
					events = append(events, e)
				}
				return rows.Err()
			})
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.AuditRead, tx.Resource(policy.AuditResource, id.ID{}))
	})
	return events, err
}
