package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/auditchain"
	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/postgres"
	"larder/internal/valid"
	"larder/internal/web"
)

// Sender is a pool.
type Sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// AuditHandler serves GET /admin/v1/audit, the newest event first and each as
// authserver audit export has it, with the filters action, actor and since
// (RFC 3339).
type AuditHandler struct {
	DB      Sender
	Cursors func() paging.Signer
	Now     func() time.Time
}

// Mount adds the route.
func (h *AuditHandler) Mount(rt Routes) { rt.Handle(http.MethodGet, "/admin/v1/audit", h.list) }

type auditPage struct {
	Events []auditchain.Event `json:"events"`
	Next   string             `json:"next,omitempty"`
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
	wanted := auditchain.Selection{Action: query.Get("action"), Actor: query.Get("actor"), Until: before.At, Last: before.ID}
	if s := query.Get("since"); s != "" {
		if wanted.Since, err = time.Parse(time.RFC3339, s); err != nil {
			return valid.Parameter("since", "must be a time such as 2026-01-31T08:00:00Z")
		}
	}
	answer, b := auditPage{Events: []auditchain.Event{}}, &pgx.Batch{}
	auditchain.Auth().Page(b, auditchain.Nobody(), wanted, limit, &answer.Events)
	if err := h.DB.SendBatch(r.Context(), b).Close(); err != nil {
		return postgres.Translate(err)
	}
	if len(answer.Events) == limit {
		last := answer.Events[limit-1]
		if answer.Next, err = h.Cursors().Next(r, collection, place{last.OccurredAt, last.ID}); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, answer)
}
