package tenant

import (
	"context"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"larder/internal/audit"
	"larder/internal/id"
)

// insertChange shares the family and the event with the audit row it comes with.
const insertChange = `
INSERT INTO grocery.change_feed (family_id, event, list_id, private_to, entity_id, version, actor)
VALUES ($16, $3, $17, nullif($18, ''), $19, $20, $21)`

// forgetChanges takes away some that are too old to be followed. Only the very
// oldest are looked at, so that it costs next to nothing when there are none.
const forgetChanges = `
DELETE FROM grocery.change_feed c USING (SELECT tx, seq, occurred_at FROM grocery.change_feed WHERE family_id = $1 ORDER BY tx, seq LIMIT 64) oldest
 WHERE c.family_id = $1 AND c.tx = oldest.tx AND c.seq = oldest.seq AND oldest.occurred_at < now() - interval '30 days'`

const forgetOneIn = 16 // changes

// Change is something that happened in a family: a row of its change feed, for
// whoever follows along, and a row of its audit log.
type Change struct {
	Event     string // noun.verb in the past: item.checked
	List      id.ID  // zero when it is about no list
	PrivateTo string // the owner of a personal list, who alone may follow it
	Entity    string // id of what changed
	Version   int64  // that it has now; 0 when it is gone or has none
	Details   map[string]any
}

// Record queues the change's rows behind the change itself.
func (tx *Tx) Record(ctx context.Context, c Change) {
	e := tx.event(ctx, c.Event, audit.Success, c.Details)
	e.Target, e.Policies = c.Entity, tx.policies
	audit.Grocery().BatchWith(tx.batch, e, insertChange, c.List, c.PrivateTo, c.Entity, c.Version, tx.Principal())
	tx.changed = true
	if rand.N(forgetOneIn) == 0 { //nolint:gosec // it need not be a secret when
		tx.batch.Queue(forgetChanges, tx.Family)
	}
}

// Saw queues a row of the audit log that the caller was shown a thing that few
// may see. No feed tells of it.
func (tx *Tx) Saw(ctx context.Context, event string, thing id.ID) {
	e := tx.event(ctx, event, audit.Success, nil)
	e.Target, e.Policies = thing.String(), tx.policies
	audit.Grocery().Batch(tx.batch, e)
}

// Copied notes in the audit log, behind the request, that the caller is given a copy
// of what event names, after May has let him. Whoever reads piece by piece is noted with what was seen.
func (tx *Tx) Copied(ctx context.Context, event string, details map[string]any) {
	e := tx.event(ctx, event, audit.Success, details)
	e.Target, e.Policies = tx.Family.String(), tx.policies
	tx.db.Denials.Put(e)
	tx.seen = nil // that is part of it
}

// PrepareDenial sets the family for the row of a queued audit event; it is the
// Prepare of the service's audit.Queue.
func PrepareDenial(b *pgx.Batch, e audit.Event) {
	b.Queue(`SELECT set_config('app.family', $1::uuid::text, true)`, e.FamilyID)
}
