package auditchain

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	forgetDays  = 100 // of chains, looked at in a round
	forgetLimit = 250 // events deleted in one transaction

	// What a day's checkpoint names was written on that day or before.
	selectOver = `SELECT family_id, day FROM {schema}.audit_checkpoints WHERE day < $1 ORDER BY day LIMIT $2`

	selectOldest = `
SELECT c.seq, c.hash, c.event_id FROM {schema}.audit_chain c
 WHERE c.family_id = $1 AND c.seq <= (SELECT seq FROM {schema}.audit_checkpoints WHERE family_id = $1 AND day = $2) ORDER BY c.seq LIMIT $3`

	keepBase = `
INSERT INTO {schema}.audit_bases (family_id, seq, hash, token) VALUES ($1, $2, $3, $4)
ON CONFLICT (family_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, token = excluded.token`

	deleteEvents      = `DELETE FROM {events} WHERE family_id = $1 AND id = ANY ($2)`
	deleteLinks       = `DELETE FROM {schema}.audit_chain WHERE family_id = $1 AND seq <= $2`
	deleteCheckpoints = `DELETE FROM {schema}.audit_checkpoints WHERE family_id = $1 AND day = $2`
)

// Forget deletes the events of days that are over for longer than Kept, each
// with its link, and signs where the chain begins from then on. It returns how
// many went, and whether there is more. A day that cannot be forgotten holds up
// no other. Where another replica works on the chain it does nothing.
func (c *Chain) Forget(ctx context.Context) (n int64, more bool, err error) {
	if c.Kept == 0 {
		return 0, false, nil
	}
	type day struct {
		family id.ID
		date   time.Time
	}
	var days []day
	err = c.Begin(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, c.Tables.sql(selectOver), c.Now().Add(-c.Kept).UTC().Truncate(24*time.Hour), forgetDays)
		if err != nil {
			return err
		}
		days, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d day, err error) { return d, row.Scan(&d.family, &d.date) })
		return err
	})
	if err != nil {
		return 0, false, postgres.Translate(err)
	}
	for _, d := range days {
		for left := true; left; {
			gone := 0
			one := c.alone(ctx, func(tx pgx.Tx) (err error) {
				gone, err = c.forget(ctx, tx, d.family, d.date)
				return err
			})
			if one != nil {
				err = errors.Join(err, one)
				break
			}
			n += int64(gone)
			left = gone == forgetLimit
		}
	}
	return n, n > 0 && err == nil && len(days) == forgetDays, err
}

// forget deletes the oldest events of a chain up to a day's end.
func (c *Chain) forget(ctx context.Context, tx pgx.Tx, family id.ID, day time.Time) (int, error) {
	rows, err := tx.Query(ctx, c.Tables.sql(selectOldest), family, day, forgetLimit)
	if err != nil {
		return 0, err
	}
	var last Place
	var events []id.ID
	for rows.Next() {
		var event id.ID
		if err := rows.Scan(&last.Seq, &last.Hash, &event); err != nil {
			return 0, err
		}
		events = append(events, event)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	b := &pgx.Batch{}
	if len(events) > 0 {
		token, err := c.Seals.sign(baseType, Checkpoint{family, last.Seq, last.Hash, c.Now().UTC()})
		if err != nil {
			return 0, err
		}
		b.Queue(c.Tables.sql(keepBase), family, last.Seq, last.Hash, token)
		b.Queue(c.Tables.sql(deleteEvents), family, events)
		b.Queue(c.Tables.sql(deleteLinks), family, last.Seq)
	}
	if len(events) < forgetLimit {
		b.Queue(c.Tables.sql(deleteCheckpoints), family, day)
	}
	return len(events), tx.SendBatch(ctx, b).Close()
}
