package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// Delivery is one message and what became of it.
type Delivery struct {
	ID            id.ID           `json:"id"` // its webhook-id, with msg_ before it
	Event         string          `json:"event"`
	Payload       json.RawMessage `json:"payload"`
	Status        string          `json:"status"` // pending, delivered, failed
	Attempts      int             `json:"attempts"`
	NextAttemptAt *time.Time      `json:"next_attempt_at"` // while pending
	LastStatus    *int            `json:"last_status"`     // what the receiver answered
	LastError     *string         `json:"last_error"`
	CreatedAt     time.Time       `json:"created_at"`
	DoneAt        *time.Time      `json:"done_at"`
}

const (
	selectDeliveries = `
SELECT id, event, payload, status, attempts, CASE WHEN status = 'pending' THEN next_at END, last_status, last_error, created_at, done_at
  FROM grocery.webhook_deliveries WHERE family_id = $1 AND webhook_id = $2 AND (created_at, id) < ($3, $4)
 ORDER BY created_at DESC, id DESC LIMIT $5`

	// replayDelivery begins the attempts anew, as long as the receiver is to be
	// told anything at all.
	replayDelivery = `
UPDATE grocery.webhook_deliveries SET status = 'pending', attempts = 0, next_at = now(), done_at = NULL
 WHERE family_id = $1 AND webhook_id = $2 AND id = $3
RETURNING id, event, payload, status, attempts, CASE WHEN status = 'pending' THEN next_at END, last_status, last_error, created_at, done_at`

	dueNow = `UPDATE grocery.webhook_rounds SET due_at = now() WHERE family_id = $1`
)

func (d *Delivery) scan(row pgx.Row) error {
	var payload string
	err := row.Scan(&d.ID, &d.Event, &payload, &d.Status, &d.Attempts, &d.NextAttemptAt, &d.LastStatus, &d.LastError, &d.CreatedAt, &d.DoneAt)
	d.Payload = json.RawMessage(payload)
	return err
}

// spot is where a page begins: before this delivery.
type spot struct {
	CreatedAt time.Time `json:"t"`
	ID        id.ID     `json:"i"`
}

func (h *Webhooks) deliveries(w http.ResponseWriter, r *http.Request) error {
	family, webhook, err := path(r)
	if err != nil {
		return err
	}
	before, collection := spot{CreatedAt: h.DB.Now().Add(time.Hour), ID: id.ID{15: 1}}, "deliveries/"+family.String()+"/"+webhook.String()
	limit, err := h.Cursors.Page(r, collection, &before)
	if err != nil {
		return err
	}
	found, err := h.selectDeliveries(r.Context(), family, webhook, before, limit+1)
	if err != nil {
		return err
	}
	page := map[string]any{"deliveries": found}
	if len(found) > limit {
		last := found[limit-1]
		page["deliveries"] = found[:limit]
		if page["next"], err = h.Cursors.Next(r, collection, spot{last.CreatedAt, last.ID}); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, page)
}

func (h *Webhooks) selectDeliveries(ctx context.Context, family, webhook id.ID, before spot, limit int) ([]Delivery, error) {
	found := []Delivery{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		var of Webhook
		tenant.Rows(tx, &found, (*Delivery).scan, selectDeliveries, family, webhook, before.CreatedAt, before.ID, limit)
		tx.Row(of.scan, selectWebhook, family, webhook)
		return find(ctx, tx, policy.WebhookList)
	})
	return found, err
}

func (h *Webhooks) replay(w http.ResponseWriter, r *http.Request) error {
	family, webhook, err := path(r)
	if err != nil {
		return err
	}
	delivery, err := web.ID(r, "delivery_id")
	if err != nil {
		return err
	}
	d, err := h.updateReplay(r.Context(), family, webhook, delivery)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusAccepted, d)
}

func (h *Webhooks) updateReplay(ctx context.Context, family, webhook, delivery id.ID) (*Delivery, error) {
	var d Delivery
	return &d, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var of Webhook
		tx.Row(of.scan, lockWebhook, family, webhook)
		if err := find(ctx, tx, policy.WebhookManage); err != nil {
			return err
		}
		if !of.Enabled {
			return fault.New(fault.Conflict, "The webhook is disabled. Enable it first.").WithCode("webhook_disabled")
		}
		tx.Row(d.scan, replayDelivery, family, webhook, delivery)
		tx.Queue(dueNow, family)
		tx.Record(ctx, tenant.Change{Event: "webhook.replayed", Entity: webhook.String(), Version: of.Version, Details: map[string]any{"delivery_id": delivery}})
		return nil
	})
}
