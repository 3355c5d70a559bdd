package auditchain

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	roundLimit = 500 // events
	roundEvery = 2 * time.Second

	// Only one replica chains at a time; the others find the lock taken.
	lockChain = `SELECT pg_try_advisory_xact_lock({lock})`

	// In another cluster, after a restore, transactions may be counted from less
	// than before: the keeper then begins anew, and what is chained already stays.
	selectSettled = `
SELECT CASE WHEN s.tx < pg_snapshot_xmin(pg_current_snapshot()) THEN s.tx ELSE '0' END, s.last_family::text, s.last_event::text FROM {schema}.audit_settled s`

	moveSettled = `UPDATE {schema}.audit_settled SET tx = $1, last_family = $2::uuid, last_event = $3::uuid`

	selectUnchained = `
SELECT e.tx, e.family_id, EXISTS (SELECT FROM {schema}.audit_chain c WHERE c.family_id = e.family_id AND c.event_id = e.id), ` + Columns + `
  FROM {events} e
 WHERE (e.tx, e.family_id, e.id) > ($1, $2::uuid, $3::uuid) AND e.tx < pg_snapshot_xmin(pg_current_snapshot())
 ORDER BY e.tx, e.family_id, e.id LIMIT $4`

	// A chain of which everything was forgotten goes on behind its base.
	selectHeads = `
SELECT f, h.seq, h.hash FROM unnest($1::uuid[]) f
 CROSS JOIN LATERAL (
   (SELECT seq, hash FROM {schema}.audit_chain WHERE family_id = f ORDER BY seq DESC LIMIT 1)
   UNION ALL SELECT seq, hash FROM {schema}.audit_bases WHERE family_id = f
   ORDER BY seq DESC LIMIT 1) h`

	insertLinks = `
INSERT INTO {schema}.audit_chain (family_id, seq, event_id, hash) SELECT family, seq, event, hash FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bytea[]) AS link (family, seq, event, hash)`

	// The log outside hears of a family's checkpoint once an hour.
	keepCheckpoint = `
INSERT INTO {schema}.audit_checkpoints AS c (family_id, day, seq, token) VALUES ($1, $2, $3, $4)
ON CONFLICT (family_id, day) DO UPDATE SET seq = excluded.seq, token = excluded.token,
   told_at = CASE WHEN c.told_at < now() - interval '1 hour' THEN now() ELSE c.told_at END
RETURNING told_at = now()`
)

// Tables are those of one service's audit log.
type Tables struct{ schema, events, lock string }

// Auth are the authserver's, whose view of the events gives them all to Nobody.
func Auth() Tables { return Tables{"auth", "auth.audit_log", "7263062"} }

// Grocery are the API's.
func Grocery() Tables { return Tables{"grocery", "grocery.audit_events", "7263061"} }

// sql returns a statement for these tables.
func (t Tables) sql(text string) string {
	return strings.NewReplacer("{schema}", t.schema, "{events}", t.events, "{lock}", t.lock).Replace(text)
}

// Chain chains what the log got, behind the requests.
type Chain struct {
	Tables Tables
	// Begin calls f with a transaction that sees all of the log and commits it
	// unless f fails.
	Begin func(ctx context.Context, f func(tx pgx.Tx) error) error
	Seals *Seals
	Now   func() time.Time
	Log   *slog.Logger
	// Kept is for how long events are kept; 0 has Forget forget nothing.
	Kept time.Duration
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

// alone calls f with a transaction, unless another replica works on the chain.
func (c *Chain) alone(ctx context.Context, f func(tx pgx.Tx) error) error {
	return postgres.Translate(c.Begin(ctx, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, c.Tables.sql(lockChain)).Scan(&mine); err != nil || !mine {
			return err
		}
		return f(tx)
	}))
}

// Round chains up to 500 settled events and returns how many it looked at; none
// where another replica is at it.
func (c *Chain) Round(ctx context.Context) (n int, err error) {
	err = c.alone(ctx, func(tx pgx.Tx) error {
		var at position
		if err := tx.QueryRow(ctx, c.Tables.sql(selectSettled)).Scan(&at.tx, &at.family, &at.event); err != nil {
			return err
		}
		entries, seen, err := c.unchained(ctx, tx, &at)
		if n = seen; err != nil || n == 0 {
			return err
		}
		if err := c.append(ctx, tx, entries); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, c.Tables.sql(moveSettled), at.tx, at.family, at.event)
		return err
	})
	return n, err
}

// unchained reads what comes next and moves at behind it.
func (c *Chain) unchained(ctx context.Context, tx pgx.Tx, at *position) (entries []Entry, seen int, err error) {
	rows, err := tx.Query(ctx, c.Tables.sql(selectUnchained), at.tx, at.family, at.event, roundLimit)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		var chained bool
		if err := e.Scan(rows, &at.tx, &e.FamilyID, &chained); err != nil {
			return nil, 0, err
		}
		at.family, at.event = e.FamilyID.String(), e.ID.String()
		if seen++; !chained {
			entries = append(entries, e)
		}
	}
	return entries, seen, rows.Err()
}

// Place is an entry of a chain.
type Place struct {
	Seq  int64  `json:"s"`
	Hash []byte `json:"h"`
}

func (c *Chain) append(ctx context.Context, tx pgx.Tx, entries []Entry) error {
	heads, err := c.headsOf(ctx, tx, entries)
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
		if h.Hash, err = e.hash(h.Hash); err != nil {
			return err
		}
		h.Seq++
		heads[e.FamilyID] = h
		families, events = append(families, e.FamilyID), append(events, e.ID)
		seqs, hashes = append(seqs, h.Seq), append(hashes, h.Hash)
	}
	if _, err := tx.Exec(ctx, c.Tables.sql(insertLinks), families, seqs, events, hashes); err != nil {
		return err
	}
	return c.checkpoint(ctx, tx, heads)
}

// headsOf returns where the chains of the entries' families end.
func (c *Chain) headsOf(ctx context.Context, tx pgx.Tx, entries []Entry) (map[id.ID]Place, error) {
	heads := make(map[id.ID]Place)
	var families []id.ID
	for i := range entries {
		family := entries[i].FamilyID
		if _, known := heads[family]; !known {
			heads[family] = Place{Hash: root(family)}
			families = append(families, family)
		}
	}
	rows, err := tx.Query(ctx, c.Tables.sql(selectHeads), families)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var family id.ID
		var h Place
		if err := rows.Scan(&family, &h.Seq, &h.Hash); err != nil {
			return nil, err
		}
		heads[family] = h
	}
	return heads, rows.Err()
}

func (c *Chain) checkpoint(ctx context.Context, tx pgx.Tx, heads map[id.ID]Place) error {
	now := c.Now().UTC()
	b := &pgx.Batch{}
	for family, h := range heads {
		token, err := c.Checkpoint(family, h)
		if err != nil {
			return err
		}
		b.Queue(c.Tables.sql(keepCheckpoint), family, now.Truncate(24*time.Hour), h.Seq, token).QueryRow(func(row pgx.Row) error {
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

// Checkpoint signs that the family's chain has this entry now.
func (c *Chain) Checkpoint(family id.ID, at Place) (string, error) {
	return c.Seals.sign(checkpointType, Checkpoint{family, at.Seq, at.Hash, c.Now().UTC()})
}
