package audit

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/postgres"
)

const selectFamilies = `SELECT DISTINCT family_id FROM grocery.audit_events ORDER BY family_id`

// Families lists the families that have a log, also those that are deleted.
func (c *Chain) Families(ctx context.Context) (all []id.ID, err error) {
	err = c.DB.Keeper(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, selectFamilies)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowTo[id.ID])
		return err
	})
	return all, postgres.Translate(err)
}

// Selection is what of a family's log an operator wants to see; what is empty
// selects everything.
type Selection struct {
	Action, Result, Actor, Target string
	Since, Until                  time.Time
}

// Export writes a family's log, newest first, an event a line.
func (c *Chain) Export(ctx context.Context, family id.ID, s Selection, to io.Writer) error {
	if s.Until.IsZero() {
		s.Until = c.DB.Now().Add(time.Hour)
	}
	before, out := place{s.Until, lastID()}, json.NewEncoder(to)
	for {
		var part []Event
		err := c.DB.Keeper(ctx, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, selectEvents, family, before.OccurredAt, before.ID, s.Since, s.Action, s.Result, s.Actor, s.Target, exportPart)
			if err != nil {
				return err
			}
			part, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Event, err error) {
				err = row.Scan(e.columns()...)
				e.OccurredAt = e.OccurredAt.UTC()
				return e, err
			})
			return err
		})
		if err != nil {
			return postgres.Translate(err)
		}
		for i := range part {
			if err := out.Encode(entry{family, part[i]}); err != nil {
				return err
			}
		}
		if len(part) < exportPart {
			return nil
		}
		before = place{part[len(part)-1].OccurredAt, part[len(part)-1].ID}
	}
}

// lastID stands behind all others.
func lastID() id.ID {
	last := id.ID{}
	for i := range last {
		last[i] = 0xff
	}
	return last
}
