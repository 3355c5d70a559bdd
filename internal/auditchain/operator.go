package auditchain

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	exportPart = 1_000 // events read at once

	selectFamilies = `SELECT DISTINCT family_id FROM {events} ORDER BY family_id`

	selectEvents = `
SELECT ` + Columns + `
  FROM {events} e
 WHERE e.family_id = $1 AND (e.occurred_at, e.id) < ($2, $3) AND e.occurred_at >= $4
   AND ($5 = '' OR e.action = $5) AND ($6 = '' OR e.result = $6) AND ($7 = '' OR e.actor_id = $7) AND ($8 = '' OR e.target = $8)
   AND ($9 = '' OR (e.action LIKE '%.seen') = ($9 = 'true'))
 ORDER BY e.occurred_at DESC, e.id DESC LIMIT $10`
)

// Families lists the families that have a log, also those that are deleted.
func (c *Chain) Families(ctx context.Context) (all []id.ID, err error) {
	err = c.Begin(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, c.Tables.sql(selectFamilies))
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowTo[id.ID])
		return err
	})
	return all, postgres.Translate(err)
}

// Selection is what of a family's log somebody wants to see; what is empty
// selects everything.
type Selection struct {
	Action, Result, Actor, Target string
	// Seen is "true" for what somebody looked at, and "false" for everything else.
	Seen         string
	Since, Until time.Time // not before, and before
	// Last is the event, of those of Until, behind which the next one stands.
	Last id.ID
}

// Page queues the reading of at most limit events, the newest first.
func (t Tables) Page(b Queuer, family id.ID, s Selection, limit int, to *[]Event) {
	b.Queue(t.sql(selectEvents), family, s.Until, s.Last, s.Since, s.Action, s.Result, s.Actor, s.Target, s.Seen, limit).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var e Event
			if err := e.Scan(rows); err != nil {
				return err
			}
			*to = append(*to, e)
		}
		return rows.Err()
	})
}

// Export writes a family's log, newest first, an event a line.
func (c *Chain) Export(ctx context.Context, family id.ID, s Selection, to io.Writer) error {
	if s.Until.IsZero() {
		s.Until = c.Now().Add(time.Hour)
	}
	for out := json.NewEncoder(to); ; {
		var part []Event
		err := c.Begin(ctx, func(tx pgx.Tx) error {
			b := &pgx.Batch{}
			c.Tables.Page(b, family, s, exportPart, &part)
			return tx.SendBatch(ctx, b).Close()
		})
		if err != nil {
			return postgres.Translate(err)
		}
		for i := range part {
			if err := out.Encode(Entry{family, part[i]}); err != nil {
				return err
			}
		}
		if len(part) < exportPart {
			return nil
		}
		s.Until, s.Last = part[len(part)-1].OccurredAt, part[len(part)-1].ID
	}
}
