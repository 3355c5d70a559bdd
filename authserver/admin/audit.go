package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/postgres"
	"larder/internal/valid"
	"larder/internal/web"
)

const selectAudit = `
SELECT id, occurred_at, action, result, actor_kind, actor_id, coalesce(client_id, ''), coalesce(target, ''), coalesce(reason, ''),
       policies, count, coalesce(source_ip, ''), coalesce(user_agent, ''), coalesce(request_id, ''), details
  FROM auth.audit_events
 WHERE (occurred_at, id) < ($1, $2)
   AND ($3 = '' OR action = $3)
   AND ($4 = '' OR actor_id = $4)
   AND occurred_at >= $5
 ORDER BY occurred_at DESC, id DESC
 LIMIT $6`

// Querier is a pool.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// AuditHandler serves GET /admin/v1/audit, the newest event first, with the
// filters action, actor and since (RFC 3339).
type AuditHandler struct {
	DB      Querier
	Cursors func() paging.Signer
	Now     func() time.Time
}

// Mount adds the route.
func (h *AuditHandler) Mount(rt Routes) { rt.Handle(http.MethodGet, "/admin/v1/audit", h.list) }

// auditEvent is a row of the audit log.
type auditEvent struct {
	ID         id.ID          `json:"id"`
	OccurredAt time.Time      `json:"occurred_at"`
	Action     string         `json:"action"`
	Result     string         `json:"result"`
	ActorKind  string         `json:"actor_kind"`
	ActorID    string         `json:"actor_id"`
	ClientID   string         `json:"client_id,omitempty"`
	Target     string         `json:"target,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Policies   []string       `json:"policies,omitempty"`
	Count      int            `json:"count"`
	SourceIP   string         `json:"source_ip,omitempty"`
	UserAgent  string         `json:"user_agent,omitempty"`
	RequestID  string         `json:"request_id,omitempty"`
	Details    map[string]any `json:"details,omitempty"`
}

type auditPage struct {
	Events []auditEvent `json:"events"`
	Next   string       `json:"next,omitempty"`
}

// place is where a page of the log ends.
type place struct {
	At time.Time `json:"at"`
	ID id.ID     `json:"id"`
}

func (h *AuditHandler) list(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	collection := "admin/audit " + query.Get("action") + " " + query.Get("actor") + " " + query.Get("since")
	before := place{At: h.Now().Add(time.Hour)} // replicas' clocks differ, by less than that
	limit, err := h.Cursors().Page(r, collection, &before)
	if err != nil {
		return err
	}
	var since time.Time
	if s := query.Get("since"); s != "" {
		if since, err = time.Parse(time.RFC3339, s); err != nil {
			return valid.Parameter("since", "must be a time such as 2026-01-31T08:00:00Z")
		}
	}
	rows, err := h.DB.Query(r.Context(), selectAudit, before.At, before.ID.String(), query.Get("action"), query.Get("actor"), since, limit)
	if err != nil {
		return postgres.Translate(err)
	}
	events, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return postgres.Translate(err)
	}
	answer := auditPage{Events: events}
	if len(events) == limit {
		last := events[limit-1]
		if answer.Next, err = h.Cursors().Next(r, collection, place{last.OccurredAt, last.ID}); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, answer)
}

func scanEvent(row pgx.CollectableRow) (e auditEvent, err error) {
	return e, row.Scan(&e.ID, &e.OccurredAt, &e.Action, &e.Result, &e.ActorKind, &e.ActorID, &e.ClientID, &e.Target, &e.Reason,
		&e.Policies, &e.Count, &e.SourceIP, &e.UserAgent, &e.RequestID, &e.Details)
}
