package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/postgres"
	"larder/resourceapi/tenant"
)

const (
	roundLimit = 500 // events
	roundEvery = 2 * time.Second

	// Only one replica chains at a time; the others find the lock taken.
	lockChain = `SELECT pg_try_advisory_xact_lock(7263061)`

	// In another cluster, after a restore, transactions may be counted from less
	// than before: the keeper then begins anew, and what is chained already stays.
	selectSettled = `
SELECT CASE WHEN s.tx < pg_snapshot_xmin(pg_current_snapshot()) THEN s.tx ELSE '0' END, s.last_family::text, s.last_event::text FROM grocery.audit_settled s`

	moveSettled = `UPDATE grocery.audit_settled SET tx = $1, last_family = $2::uuid, last_event = $3::uuid`

	selectUnchained = `
SELECT e.tx, e.family_id, EXISTS (SELECT FROM grocery.audit_chain c WHERE c.family_id = e.family_id AND c.event_id = e.id), ` + eventColumns + `
  FROM grocery.audit_events e
 WHERE (e.tx, e.family_id, e.id) > ($1, $2::uuid, $3::uuid) AND e.tx < pg_snapshot_xmin(pg_current_snapshot())
 ORDER BY e.tx, e.family_id, e.id LIMIT $4`

	selectHeads = `
SELECT f, c.seq, c.hash FROM unnest($1::uuid[]) f
 CROSS JOIN LATERAL (SELECT seq, hash FROM grocery.audit_chain WHERE family_id = f ORDER BY seq DESC LIMIT 1) c`

	insertLinks = `
INSERT INTO grocery.audit_chain (family_id, seq, event_id, hash) SELECT family, seq, event, hash FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bytea[]) AS link (family, seq, event, hash)`

	// The log outside hears of a family's checkpoint once an hour.
	keepCheckpoint = `
INSERT INTO grocery.audit_checkpoints AS c (family_id, day, seq, token) VALUES ($1, $2, $3, $4)
ON CONFLICT (family_id, day) DO UPDATE SET seq = excluded.seq, token = excluded.token,
   told_at = CASE WHEN c.told_at < now() - interval '1 hour' THEN now() ELSE c.told_at END
RETURNING told_at = now()`
)

// Chain chains what the families' audit logs got, behind the requests.
type Chain struct {
	DB    *tenant.DB
	Seals *Seals
	Log   *slog.Logger
}

// Run chains until ctx is done.
func (c *Chain) Run(ctx context.Context) {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	for {
		n, err := c.Round(ctx)
		if err != nil && ctx.Err() == nil {
			c.Log.LogAttrs(ctx, slog.LevelWarn, "the audit log waits to be chained", slog.String("error", err.Error()))
		}
		if n == roundLimit && err == nil {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// position is the last event that was chained.
type position struct {
	tx            uint64
	family, event string
}

// Round chains up to 500 settled events and returns how many it looked at; none
// where another replica is at it.
func (c *Chain) Round(ctx context.Context) (n int, err error) {
	err = c.DB.Keeper(ctx, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, lockChain).Scan(&mine); err != nil || !mine {
			return err
		}
		var at position
		if err := tx.QueryRow(ctx, selectSettled).Scan(&at.tx, &at.family, &at.event); err != nil {
			return err
		}
		entries, seen, err := unchained(ctx, tx, &at)
		if n = seen; err != nil || n == 0 {
			return err
		}
		if err := c.append(ctx, tx, entries); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, moveSettled, at.tx, at.family, at.event)
		return err
	})
	return n, postgres.Translate(err)
}

// unchained reads what comes next and moves at behind it.
func unchained(ctx context.Context, tx pgx.Tx, at *position) (entries []entry, seen int, err error) {
	rows, err := tx.Query(ctx, selectUnchained, at.tx, at.family, at.event, roundLimit)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var e entry
		var chained bool
		if err := rows.Scan(append([]any{&at.tx, &e.FamilyID, &chained}, e.columns()...)...); err != nil {
			return nil, 0, err
		}
		e.OccurredAt = e.OccurredAt.UTC()
		at.family, at.event = e.FamilyID.String(), e.ID.String()
		if seen++; !chained {
			entries = append(entries, e)
		}
	}
	return entries, seen, rows.Err()
}

type head struct {
	seq  int64
	hash []byte
}

func (c *Chain) append(ctx context.Context, tx pgx.Tx, entries []entry) error {
	heads, err := headsOf(ctx, tx, entries)
	if err != nil {
		return err
	}
	var (
		families, events []id.ID
		seqs             []int64
		hashes           [][]byte
	)
	for i := range entries {
		e := &entries[i]
		h := heads[e.FamilyID]
		if h.hash, err = e.hash(h.hash); err != nil {
			return err
		}
		h.seq++
		heads[e.FamilyID] = h
		families, events = append(families, e.FamilyID), append(events, e.ID)
		seqs, hashes = append(seqs, h.seq), append(hashes, h.hash)
	}
	if _, err := tx.Exec(ctx, insertLinks, families, seqs, events, hashes); err != nil {
		return err
	}
	return c.checkpoint(ctx, tx, heads)
}

// headsOf returns where the chains of the entries' families end.
func headsOf(ctx context.Context, tx pgx.Tx, entries []entry) (map[id.ID]head, error) {
	heads := make(map[id.ID]head)
	var families []id.ID
	for i := range entries {
		family := entries[i].FamilyID
		if _, known := heads[family]; !known {
			heads[family] = head{hash: root(family)}
			families = append(families, family)
		}
	}
	rows, err := tx.Query(ctx, selectHeads, families)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var family id.ID
		var h head
		if err := rows.Scan(&family, &h.seq, &h.hash); err != nil {
			return nil, err
		}
		heads[family] = h
	}
	return heads, rows.Err()
}

func (c *Chain) checkpoint(ctx context.Context, tx pgx.Tx, heads map[id.ID]head) error {
	now := c.DB.Now().UTC()
	b := &pgx.Batch{}
	for family, h := range heads {
		token, err := c.Seals.sign(Checkpoint{family, h.seq, h.hash, now})
		if err != nil {
			return err
		}
		b.Queue(keepCheckpoint, family, now.Truncate(24*time.Hour), h.seq, token).QueryRow(func(row pgx.Row) error {
			var tell bool
			if err := row.Scan(&tell); err != nil {
				return err
			}
			if tell {
				c.Log.LogAttrs(ctx, slog.LevelInfo, "audit checkpoint", slog.String("family_id", family.String()), slog.String("checkpoint", token))
			}
			return nil
		})
	}
	return tx.SendBatch(ctx, b).Close()
}
