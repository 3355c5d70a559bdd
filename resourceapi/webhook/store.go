package webhook

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectWebhooks = `
SELECT id, url, events, disabled_reason, version, created_by, created_at, updated_at
  FROM grocery.webhooks WHERE family_id = $1 ORDER BY created_at, id`

	selectWebhook = `
SELECT id, url, events, disabled_reason, version, created_by, created_at, updated_at
  FROM grocery.webhooks WHERE family_id = $1 AND id = $2`

	lockWebhook = selectWebhook + ` FOR UPDATE`

	countWebhooks = `SELECT count(*) FROM grocery.webhooks WHERE family_id = $1`

	insertWebhook = `
INSERT INTO grocery.webhooks (family_id, id, url, events, secret, created_by) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id, url, events, disabled_reason, version, created_by, created_at, updated_at`

	// insertRound locks a round that is there, so that it does not end meanwhile.
	insertRound = `INSERT INTO grocery.webhook_rounds (family_id) VALUES ($1) ON CONFLICT (family_id) DO UPDATE SET due_at = excluded.due_at`

	// endRound, behind lockRound, sees the webhooks that others made meanwhile.
	lockRound = `SELECT FROM grocery.webhook_rounds WHERE family_id = $1 FOR UPDATE`
	endRound  = `DELETE FROM grocery.webhook_rounds r WHERE family_id = $1 AND NOT EXISTS (SELECT FROM grocery.webhooks w WHERE w.family_id = r.family_id)`

	// updateWebhook lets one that is enabled again begin with what comes now.
	updateWebhook = `
UPDATE grocery.webhooks
   SET url = $3, events = $4, disabled_reason = CASE WHEN $5 THEN NULL ELSE coalesce(disabled_reason, 'by an admin') END,
       after_tx = CASE WHEN $5 AND disabled_reason IS NOT NULL THEN pg_snapshot_xmin(pg_current_snapshot()) ELSE after_tx END,
       after_seq = CASE WHEN $5 AND disabled_reason IS NOT NULL THEN 0 ELSE after_seq END,
       version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, url, events, disabled_reason, version, created_by, created_at, updated_at`

	updateSecret = `
UPDATE grocery.webhooks SET old_secret = secret, old_until = now() + $4::interval, secret = $3, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, url, events, disabled_reason, version, created_by, created_at, updated_at`

	deleteWebhook = `DELETE FROM grocery.webhooks WHERE family_id = $1 AND id = $2`
)

func (h *Webhook) scan(row pgx.Row) error {
	err := row.Scan(&h.ID, &h.URL, &h.Events, &h.DisabledReason, &h.Version, &h.CreatedBy, &h.CreatedAt, &h.UpdatedAt)
	h.Enabled = h.DisabledReason == nil
	return err
}

func (h *Webhooks) selectAll(ctx context.Context, family id.ID) ([]Webhook, error) {
	all := []Webhook{}
	return all, h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tenant.Rows(tx, &all, (*Webhook).scan, selectWebhooks, family)
		if err := tx.SendFor(ctx, policy.WebhookList); err != nil {
			return err
		}
		may := permitted(ctx, tx)
		for i := range all {
			all[i].Permissions = may
		}
		return nil
	})
}

// permitted lists what the caller may do to a webhook: to one as to the other.
func permitted(ctx context.Context, tx *tenant.Tx) []string {
	return tx.Permitted(ctx, tx.FamilyResource(), policy.WebhookList, policy.WebhookManage)
}

// find sends, and asks for leave before it says whether the thing is there:
// who may not know of webhooks does not learn which there are.
func find(ctx context.Context, tx *tenant.Tx, action policy.Action) error {
	err := tx.Send(ctx)
	if err != nil && (!fault.Is(err, fault.NotFound) || !tx.Inside()) {
		return err
	}
	if refused := tx.May(ctx, action, tx.FamilyResource()); refused != nil {
		return refused
	}
	return err
}

func (h *Webhooks) selectOne(ctx context.Context, family, webhook id.ID) (*Webhook, error) {
	var found Webhook
	return &found, h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(found.scan, selectWebhook, family, webhook)
		if err := find(ctx, tx, policy.WebhookList); err != nil {
			return err
		}
		found.Permissions = permitted(ctx, tx)
		return nil
	})
}

func (h *Webhooks) insert(ctx context.Context, family id.ID, d draft) (*Webhook, error) {
	var made Webhook
	webhook, secret := id.New(), newSecret()
	if d.Events == nil {
		d.Events = []string{}
	}
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var count int
		tx.Row(func(row pgx.Row) error { return row.Scan(&count) }, countWebhooks, family)
		if err := tx.SendFor(ctx, policy.WebhookManage); err != nil {
			return err
		}
		if count >= maxWebhooks {
			return fault.New(fault.Conflict, "The family has too many webhooks. Delete some first.").WithCode("too_many")
		}
		tx.Row(made.scan, insertWebhook, family, webhook, d.URL, d.Events, h.Secrets.Seal(place(family, webhook), []byte(secret)), tx.Principal())
		tx.Queue(insertRound, family)
		made.Permissions = permitted(ctx, tx)
		tx.Record(ctx, tenant.Change{Event: "webhook.created", Entity: webhook.String(), Version: 1, Details: audited(d.URL)})
		return nil
	})
	made.Secret = secret
	return &made, err
}

func (h *Webhooks) update(ctx context.Context, family, webhook id.ID, apply func(*Webhook) error) (*Webhook, error) {
	var changed Webhook
	return &changed, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(changed.scan, lockWebhook, family, webhook)
		if err := find(ctx, tx, policy.WebhookManage); err != nil {
			return err
		}
		if err := apply(&changed); err != nil {
			return err
		}
		version := changed.Version + 1
		changed.Permissions = permitted(ctx, tx)
		tx.Row(changed.scan, updateWebhook, family, webhook, changed.URL, changed.Events, changed.Enabled)
		tx.Record(ctx, tenant.Change{Event: "webhook.updated", Entity: webhook.String(), Version: version, Details: audited(changed.URL)})
		return nil
	})
}

func (h *Webhooks) replaceSecret(ctx context.Context, family, webhook id.ID, guard func(version int64) error) (*Webhook, error) {
	var changed Webhook
	secret := newSecret()
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(changed.scan, lockWebhook, family, webhook)
		if err := find(ctx, tx, policy.WebhookManage); err != nil {
			return err
		}
		if err := guard(changed.Version); err != nil {
			return err
		}
		version := changed.Version + 1
		changed.Permissions = permitted(ctx, tx)
		tx.Row(changed.scan, updateSecret, family, webhook, h.Secrets.Seal(place(family, webhook), []byte(secret)), bothFor)
		tx.Record(ctx, tenant.Change{Event: "webhook.secret_rotated", Entity: webhook.String(), Version: version})
		return nil
	})
	changed.Secret = secret
	return &changed, err
}

func (h *Webhooks) delete(ctx context.Context, family, webhook id.ID, guard func(version int64) error) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var there Webhook
		tx.Row(there.scan, lockWebhook, family, webhook)
		if err := find(ctx, tx, policy.WebhookManage); err != nil {
			return err
		}
		if err := guard(there.Version); err != nil {
			return err
		}
		tx.Queue(deleteWebhook, family, webhook)
		tx.Queue(lockRound, family)
		tx.Queue(endRound, family)
		tx.Record(ctx, tenant.Change{Event: "webhook.deleted", Entity: webhook.String(), Details: audited(there.URL)})
		return nil
	})
}
