package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/resourceapi/tenant"
)

const (
	claimRound = `
WITH mine AS (
  UPDATE grocery.webhook_rounds SET busy_until = now() + interval '2 minutes'
   WHERE family_id = $1 AND (busy_until IS NULL OR busy_until < now()) RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM mine) THEN 2 WHEN EXISTS (SELECT FROM grocery.webhook_rounds WHERE family_id = $1) THEN 1 ELSE 0 END`

	// A cursor that is ahead of us is of the cluster that a dump came from.
	selectEnabled = `
SELECT id, events, CASE WHEN after_tx <= pg_snapshot_xmin(pg_current_snapshot()) THEN after_tx ELSE '0' END, after_seq
  FROM grocery.webhooks WHERE family_id = $1 AND disabled_reason IS NULL FOR UPDATE`

	selectNews = `
SELECT tx, seq, event, list_id, entity_id, version, actor, occurred_at, tx < pg_snapshot_xmin(pg_current_snapshot())
  FROM grocery.change_feed WHERE family_id = $1 AND (tx, seq) > ($2, $3) ORDER BY tx, seq LIMIT $4`

	insertDelivery = `INSERT INTO grocery.webhook_deliveries (family_id, id, webhook_id, event, payload) VALUES ($1, $2, $3, $4, $5)`

	updateCursor = `UPDATE grocery.webhooks SET after_tx = $3, after_seq = $4 WHERE family_id = $1 AND id = $2`

	selectDue = `
SELECT d.id, d.webhook_id, w.url, d.payload, d.attempts, w.secret, CASE WHEN w.old_until > now() THEN w.old_secret END
  FROM grocery.webhook_deliveries d JOIN grocery.webhooks w ON w.family_id = d.family_id AND w.id = d.webhook_id
 WHERE d.family_id = $1 AND d.status = 'pending' AND d.next_at <= now() AND w.disabled_reason IS NULL
 ORDER BY d.next_at, d.id LIMIT $2`

	updateDelivered = `
UPDATE grocery.webhook_deliveries SET status = 'delivered', attempts = attempts + 1, last_status = $3, last_error = NULL, done_at = now()
 WHERE family_id = $1 AND id = $2`

	updateAgain = `
UPDATE grocery.webhook_deliveries SET attempts = attempts + 1, last_status = nullif($3, 0), last_error = $4, next_at = now() + $5::interval
 WHERE family_id = $1 AND id = $2`

	updateLeft = `UPDATE grocery.webhook_deliveries SET next_at = now() + $3::interval WHERE family_id = $1 AND id = $2`

	updateFailed = `
UPDATE grocery.webhook_deliveries SET status = 'failed', attempts = attempts + 1, last_status = nullif($3, 0), last_error = $4, done_at = now()
 WHERE family_id = $1 AND id = $2`

	// disableWebhooks comes before their deliveries are written to, in the order
	// in which who deletes a webhook locks them.
	disableWebhooks = `
UPDATE grocery.webhooks SET disabled_reason = 'the receiver answered 410', version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = ANY($2) AND disabled_reason IS NULL
RETURNING id, version, url`

	// forgetDeliveries asks for the oldest of each webhook, as the index has them:
	// else every round would read all that the family has.
	forgetDeliveries = `
DELETE FROM grocery.webhook_deliveries WHERE family_id = $1 AND id IN (
  SELECT d.id FROM grocery.webhooks w CROSS JOIN LATERAL (
    SELECT id FROM grocery.webhook_deliveries
     WHERE family_id = w.family_id AND webhook_id = w.id AND created_at < now() - interval '30 days' ORDER BY created_at LIMIT 100) d
   WHERE w.family_id = $1)`

	// finishRound has somebody look again in a minute, or when the next attempt
	// is due.
	finishRound = `
UPDATE grocery.webhook_rounds SET busy_until = NULL, due_at = least(now() + $2::interval, (
       SELECT min(d.next_at) FROM grocery.webhook_deliveries d JOIN grocery.webhooks w ON w.family_id = d.family_id AND w.id = d.webhook_id
        WHERE d.family_id = $1 AND d.status = 'pending' AND w.disabled_reason IS NULL))
 WHERE family_id = $1`

	maxNews = 200
	leftFor = 5 * time.Second
)

// delay says how long after so many attempts the next one is made; false when
// there is none.
func delay(attempts int) (time.Duration, bool) {
	delays := []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	if attempts > len(delays) {
		return 0, false
	}
	return delays[attempts-1], true
}

// What came of claiming a family, as claimRound says it.
const (
	noRound = iota // it has no webhooks any more
	othersRound
	myRound
)

// claim keeps other couriers from the family for two minutes.
func (c *Courier) claim(ctx context.Context, family id.ID) (got int, err error) {
	return got, c.db.Courier(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(func(row pgx.Row) error { return row.Scan(&got) }, claimRound, family)
		return tx.Send(ctx)
	})
}

// target is a webhook and how far it was told.
type target struct {
	id     id.ID
	events []string
	tx     uint64
	seq    int64
	news   []news
}

type news struct {
	tx      uint64
	seq     int64
	event   string
	settled bool
	payload payload
}

// payload is the body of a message.
type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	FamilyID id.ID  `json:"family_id"`
	ListID   *id.ID `json:"list_id,omitempty"`
	EntityID string `json:"entity_id"`
	Version  int64  `json:"version,omitempty"`
	Actor    string `json:"actor"`
}

func (n *news) scan(row pgx.Row, family id.ID) error {
	var list id.ID
	p := &n.payload
	err := row.Scan(&n.tx, &n.seq, &n.event, &list, &p.Data.EntityID, &p.Data.Version, &p.Data.Actor, &p.Timestamp, &n.settled)
	p.Type, p.Data.FamilyID = n.event, family
	if !list.IsZero() {
		p.Data.ListID = &list
	}
	return err
}

// plan writes deliveries down for what is new, and moves the cursors with it.
// soon says that there is more, or will be in a moment.
func (c *Courier) plan(ctx context.Context, family id.ID) (soon bool, err error) {
	return soon, c.db.Courier(ctx, family, func(tx *tenant.Tx) error {
		targets, err := readTargets(ctx, tx, family)
		if err != nil {
			return err
		}
		for _, t := range targets {
			soon = soon || len(t.news) == maxNews
			for _, n := range t.news {
				if !n.settled { // and so is nothing behind it
					soon = true
					break
				}
				t.tx, t.seq = n.tx, n.seq
				if len(t.events) > 0 && !slices.Contains(t.events, n.event) {
					continue
				}
				body, err := json.Marshal(n.payload)
				if err != nil {
					return err
				}
				tx.Queue(insertDelivery, family, id.New(), t.id, n.event, string(body))
			}
			tx.Queue(updateCursor, family, t.id, t.tx, t.seq)
		}
		tx.Queue(forgetDeliveries, family)
		return nil
	})
}

func readTargets(ctx context.Context, tx *tenant.Tx, family id.ID) (targets []*target, err error) {
	tx.Queue(selectEnabled, family).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			t := &target{}
			if err := rows.Scan(&t.id, &t.events, &t.tx, &t.seq); err != nil {
				return err
			}
			targets = append(targets, t)
		}
		return rows.Err()
	})
	if err := tx.Send(ctx); err != nil {
		return nil, err
	}
	for _, t := range targets {
		tx.Queue(selectNews, family, t.tx, t.seq, maxNews).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				t.news = append(t.news, news{})
				if err := t.news[len(t.news)-1].scan(rows, family); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	}
	return targets, tx.Send(ctx)
}

// due reads the messages to send.
func (c *Courier) due(ctx context.Context, family id.ID) (messages []message, err error) {
	return messages, c.db.Courier(ctx, family, func(tx *tenant.Tx) error {
		tx.Queue(selectDue, family, maxDue).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var m message
				if err := rows.Scan(&m.id, &m.webhook, &m.url, &m.payload, &m.attempts, &m.secret, &m.oldSecret); err != nil {
					return err
				}
				messages = append(messages, m)
			}
			return rows.Err()
		})
		return tx.Send(ctx)
	})
}

// finish records what became of the messages and lets go of the family.
func (c *Courier) finish(ctx context.Context, family id.ID, messages []message, soon bool) error {
	for _, m := range messages {
		soon = soon || !m.tried && m.behind == nil // its receiver had no turn for us
	}
	again := time.Minute
	if soon {
		again = time.Second
	}
	return c.db.Courier(ctx, family, func(tx *tenant.Tx) error {
		if err := disable(ctx, tx, family, messages); err != nil {
			return err
		}
		for _, m := range messages {
			wait, more := delay(m.attempts + 1)
			switch {
			case m.behind != nil:
				wait, _ := delay(m.behind.attempts + 1)
				tx.Queue(updateLeft, family, m.id, max(wait, leftFor))
			case !m.tried:
				tx.Queue(updateLeft, family, m.id, again)
			case m.delivered():
				tx.Queue(updateDelivered, family, m.id, m.status)
			case m.status != http.StatusGone && more:
				tx.Queue(updateAgain, family, m.id, m.status, m.failure, wait)
			default:
				tx.Queue(updateFailed, family, m.id, m.status, m.failure)
			}
		}
		tx.Queue(finishRound, family, again)
		return nil
	})
}

// disable has the webhooks hear no more whose receivers answered 410, unless
// they are gone or disabled already.
func disable(ctx context.Context, tx *tenant.Tx, family id.ID, messages []message) error {
	var gone []id.ID
	for _, m := range messages {
		if m.status == http.StatusGone {
			gone = append(gone, m.webhook)
		}
	}
	var disabled []tenant.Change
	tx.Queue(disableWebhooks, family, gone).Query(func(rows pgx.Rows) error {
		var webhook id.ID
		var version int64
		var address string
		_, err := pgx.ForEachRow(rows, []any{&webhook, &version, &address}, func() error {
			disabled = append(disabled, tenant.Change{Event: "webhook.disabled", Entity: webhook.String(), Version: version, Details: audited(address)})
			return nil
		})
		return err
	})
	if err := tx.Send(ctx); err != nil {
		return err
	}
	for _, change := range disabled {
		tx.Record(ctx, change)
	}
	return nil
}
