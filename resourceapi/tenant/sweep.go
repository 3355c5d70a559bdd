package tenant

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/sweep"
)

const (
	sweepFamilies = 500 // that a sweep looks into

	sweepKeys = `
DELETE FROM grocery.idempotency_keys WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM grocery.idempotency_keys WHERE done_at < now() - interval '24 hours' LIMIT $1))`

	// sweepOf walks on from one family to the next, as the index has them, and
	// deletes the oldest rows of each that are over: so it needs no index that
	// every change would have to write to. A family that was deleted is met, too.
	sweepOf = `
WITH RECURSIVE family AS (
  (SELECT family_id FROM grocery.{table} WHERE family_id > $1::text::uuid ORDER BY family_id LIMIT 1)
  UNION ALL
  SELECT (SELECT t.family_id FROM grocery.{table} t WHERE t.family_id > f.family_id ORDER BY t.family_id LIMIT 1) FROM family f WHERE f.family_id IS NOT NULL
), page AS MATERIALIZED (
  SELECT family_id FROM family WHERE family_id IS NOT NULL LIMIT $2
), gone AS (
  DELETE FROM grocery.{table} WHERE ctid = ANY (ARRAY(
    SELECT o.place FROM page CROSS JOIN LATERAL (
      SELECT t.ctid AS place, t.{time} AS at FROM grocery.{table} t WHERE t.family_id = page.family_id ORDER BY {order} LIMIT 200) o
     WHERE o.at < now() - {kept}))
  RETURNING 1
)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM page), coalesce((SELECT family_id FROM page ORDER BY family_id DESC LIMIT 1)::text, '')`
)

// Sweeps delete what is over of families in which nothing happens any more, and
// the answers of more than a day ago.
func (db *DB) Sweeps() []sweep.Task {
	return []sweep.Task{
		sweep.Statement(db.Pool, "idempotency_keys", sweepKeys),
		db.sweepOf("change_feed", "occurred_at", "t.tx, t.seq", "interval '30 days'"),
		db.sweepOf("operations", "done_at", "t.done_at", "interval '7 days'"),
		db.sweepOf("item_history", "changed_at", "t.changed_at", "make_interval(days => (SELECT f.history_days FROM grocery.families f WHERE f.id = page.family_id))"),
	}
}

// sweepOf looks into some families each time, and begins anew behind the last.
func (db *DB) sweepOf(table, time, order, kept string) sweep.Task {
	sql := strings.NewReplacer("{table}", table, "{time}", time, "{order}", order, "{kept}", kept).Replace(sweepOf)
	after := id.ID{}.String()
	return sweep.Task{Table: table, Do: func(ctx context.Context) (gone int64, more bool, err error) {
		var looked int
		var last string
		err = db.as(ctx, "sweeper", asSweeper, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, sql, after, sweepFamilies).Scan(&gone, &looked, &last)
		})
		if err != nil {
			return 0, false, postgres.Translate(err)
		}
		if after = last; looked < sweepFamilies {
			after = id.ID{}.String()
		}
		return gone, false, nil
	}}
}
