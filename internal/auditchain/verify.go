package auditchain

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	verifyLimit = 20_000 // entries at once
	maxFindings = 20

	// The entry behind which the chain begins comes first, if there is one: a
	// statement of its own could see it before something is forgotten, and the
	// links after.
	selectLinks = `
SELECT l.seq, l.event_id, l.hash, l.token, e.id IS NOT NULL, coalesce(e.id, l.event_id), coalesce(e.occurred_at, now()), coalesce(e.action, ''), coalesce(e.result, ''),
       coalesce(e.actor_kind, ''), coalesce(e.actor_id, ''), coalesce(e.client_id, ''), coalesce(e.target, ''), coalesce(e.reason, ''),
       coalesce(e.policies, '{}'), coalesce(e.count, 0), coalesce(e.source_ip, ''), coalesce(e.user_agent, ''), coalesce(e.request_id, ''), coalesce(e.details, '{}')
  FROM (SELECT family_id, seq, family_id AS event_id, hash, token FROM {schema}.audit_bases WHERE family_id = $1 AND seq > $2
        UNION ALL
        (SELECT family_id, seq, event_id, hash, '' FROM {schema}.audit_chain WHERE family_id = $1 AND seq > $2 ORDER BY seq LIMIT $3)) l
  LEFT JOIN {events} e ON e.family_id = l.family_id AND e.id = l.event_id AND l.token = ''
 ORDER BY l.seq, l.token DESC`

	// What the keeper has passed and is in no chain was put there, or its link
	// was taken away.
	selectStray = `
SELECT e.id, (e.tx, e.family_id, e.id) <= (s.tx, s.last_family, s.last_event)
  FROM {events} e CROSS JOIN {schema}.audit_settled s
 WHERE e.family_id = $1 AND NOT EXISTS (SELECT FROM {schema}.audit_chain c WHERE c.family_id = e.family_id AND c.event_id = e.id)
 ORDER BY e.id LIMIT 10000`

	selectCheckpoints = `
SELECT k.token, k.seq, CASE WHEN k.seq = b.seq THEN b.hash ELSE c.hash END, coalesce(k.seq < b.seq, false)
  FROM {schema}.audit_checkpoints k
  LEFT JOIN {schema}.audit_bases b ON b.family_id = k.family_id
  LEFT JOIN {schema}.audit_chain c ON c.family_id = k.family_id AND c.seq = k.seq
 WHERE k.family_id = $1 ORDER BY k.day DESC LIMIT 1000`

	selectLink = `
SELECT CASE WHEN b.seq = $2 THEN b.hash ELSE c.hash END, coalesce($2 < b.seq, false) FROM (VALUES ($1::uuid)) AS f (id)
  LEFT JOIN {schema}.audit_bases b ON b.family_id = f.id
  LEFT JOIN {schema}.audit_chain c ON c.family_id = f.id AND c.seq = $2`
)

// Finding is a place where the log is not as it was written.
type Finding struct {
	Seq     int64  `json:"seq,omitempty"`
	EventID *id.ID `json:"event_id,omitempty"`
	Fault   string `json:"fault"` // changed, deleted, missing, inserted, truncated, rewritten
	Detail  string `json:"detail"`
}

// Report is what came of verifying a family's log, or a part of it.
type Report struct {
	Intact     bool            `json:"intact"`
	Entries    int             `json:"entries"`             // that were looked at
	Unsettled  int             `json:"unsettled"`           // too new to be in the chain
	Forgotten  int64           `json:"forgotten,omitempty"` // were older than the log is kept
	Findings   []Finding       `json:"findings"`
	Checkpoint string          `json:"checkpoint,omitempty"` // signed: keep it elsewhere
	Key        jose.JSONWebKey `json:"key"`
	Next       string          `json:"next,omitempty"`
}

func (r *Report) find(f Finding) {
	if r.Intact = false; len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, f)
	}
}

// Queuer is a batch of a transaction that may read the family's log.
type Queuer interface {
	Queue(sql string, args ...any) *pgx.QueuedQuery
}

// Verification walks along a family's chain.
type Verification struct {
	Report

	At   Place // as far as the chain was followed
	Full bool  // there may be more

	family id.ID
	tables Tables
	seals  *Seals
}

// links queues the next part of the chain behind a place.
func (v *Verification) links(b Queuer, behind int64) {
	b.Queue(v.tables.sql(selectLinks), v.family, behind, verifyLimit).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var at Place
			var event id.ID
			var token string
			var there bool
			e := Entry{FamilyID: v.family}
			if err := e.Scan(rows, &at.Seq, &event, &at.Hash, &token, &there); err != nil {
				return err
			}
			if token != "" {
				v.begin(at, token)
			} else if err := v.link(at, event, there, &e); err != nil {
				return err
			}
		}
		v.Full = v.Entries == verifyLimit
		return rows.Err()
	})
}

// begin goes on behind the entry that was forgotten last.
func (v *Verification) begin(at Place, token string) {
	c, err := v.seals.open(baseType, token)
	switch {
	case err != nil || c.FamilyID != v.family || c.Seq != at.Seq || !bytes.Equal(c.Hash, at.Hash):
		v.find(Finding{Seq: at.Seq, Fault: "rewritten", Detail: "this service did not sign that the chain begins here"})
	case v.Entries > 0:
		v.find(Finding{Seq: at.Seq, Fault: "inserted", Detail: "the chain begins here, and entries stand before it"})
	default:
		v.At, v.Forgotten = at, at.Seq
	}
}

func (v *Verification) link(at Place, event id.ID, there bool, e *Entry) error {
	v.Entries++
	want, err := e.hash(v.At.Hash)
	switch {
	case err != nil:
		return err
	case at.Seq != v.At.Seq+1:
		v.find(Finding{Seq: v.At.Seq + 1, Fault: "missing", Detail: fmt.Sprintf("the chain goes from %d to %d", v.At.Seq, at.Seq)})
	case !there:
		v.find(Finding{Seq: at.Seq, EventID: &event, Fault: "deleted", Detail: "the event is gone"})
	case !bytes.Equal(want, at.Hash):
		v.find(Finding{Seq: at.Seq, EventID: &event, Fault: "changed", Detail: "the event or its place is not what was chained"})
	}
	v.At = at // what follows is judged by what stands here
	return nil
}

// strays queues the look for events that no chain has.
func (v *Verification) strays(b Queuer) {
	b.Queue(v.tables.sql(selectStray), v.family).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var event id.ID
			var passed bool
			if err := rows.Scan(&event, &passed); err != nil {
				return err
			}
			if passed {
				v.find(Finding{EventID: &event, Fault: "inserted", Detail: "the event is older than the end of the chain and not in it"})
			} else {
				v.Unsettled++
			}
		}
		return rows.Err()
	})
}

// checkpoints queues the comparison of the chain with those of each day.
func (v *Verification) checkpoints(b Queuer) {
	b.Queue(v.tables.sql(selectCheckpoints), v.family).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var token string
			var seq int64
			var hash []byte
			var forgotten bool
			if err := rows.Scan(&token, &seq, &hash, &forgotten); err != nil {
				return err
			}
			c, err := v.seals.open(checkpointType, token)
			if err != nil || c.FamilyID != v.family || c.Seq != seq {
				v.find(Finding{Seq: seq, Fault: "rewritten", Detail: "a checkpoint was not signed by this service for this place"})
				continue
			}
			v.compare(c, hash, forgotten)
		}
		return rows.Err()
	})
}

// against queues the comparison with a checkpoint that was kept elsewhere.
func (v *Verification) against(b Queuer, c Checkpoint) {
	if c.Seq == 0 { // it was given before there was an entry
		v.compare(c, root(v.family), false)
		return
	}
	b.Queue(v.tables.sql(selectLink), v.family, c.Seq).Query(func(rows pgx.Rows) error {
		var hash []byte
		var forgotten bool
		for rows.Next() {
			if err := rows.Scan(&hash, &forgotten); err != nil {
				return err
			}
		}
		v.compare(c, hash, forgotten)
		return rows.Err()
	})
}

func (v *Verification) compare(c Checkpoint, hash []byte, forgotten bool) {
	switch {
	case forgotten: // and cannot be compared any more
	case hash == nil:
		v.find(Finding{Seq: c.Seq, Fault: "truncated", Detail: "the checkpoint of " + c.At.Format(time.RFC3339) + " knows an entry that is gone"})
	case !bytes.Equal(hash, c.Hash):
		v.find(Finding{Seq: c.Seq, Fault: "rewritten", Detail: "the checkpoint of " + c.At.Format(time.RFC3339) + " has another hash for this entry"})
	}
}

// Part queues what a part of a verification reads: from the beginning of the
// chain with everything beside it, else behind a place that was come to.
func (c *Chain) Part(b Queuer, family id.ID, from *Place, kept []Checkpoint) *Verification {
	v := &Verification{
		Report: Report{Intact: true, Findings: []Finding{}, Key: c.Seals.Key()},
		At:     Place{Hash: root(family)}, family: family, tables: c.Tables, seals: c.Seals,
	}
	if from != nil {
		v.At = *from
	} else {
		v.strays(b)
		v.checkpoints(b)
		for _, k := range kept {
			v.against(b, k)
		}
	}
	v.links(b, v.At.Seq)
	return v
}

// Open reads a checkpoint that somebody kept. Its error is Invalid.
func (c *Chain) Open(token string) (Checkpoint, error) {
	k, err := c.Seals.open(checkpointType, token)
	if err != nil {
		return k, fault.Wrap(fault.Invalid, "This is no checkpoint of this service.", err)
	}
	return k, nil
}

// Verify verifies a family's whole log for an operator, also against
// checkpoints that were kept elsewhere.
func (c *Chain) Verify(ctx context.Context, family id.ID, tokens ...string) (*Report, error) {
	var kept []Checkpoint
	for _, token := range tokens {
		k, err := c.Open(token)
		if err != nil {
			return nil, err
		}
		if k.FamilyID == family {
			kept = append(kept, k)
		}
	}
	var whole *Verification
	err := c.Begin(ctx, func(tx pgx.Tx) error {
		var err error
		whole, err = c.verify(ctx, tx, family, kept)
		return err
	})
	if err != nil {
		return nil, postgres.Translate(err)
	}
	return &whole.Report, nil
}

func (c *Chain) verify(ctx context.Context, tx pgx.Tx, family id.ID, kept []Checkpoint) (*Verification, error) {
	var from *Place
	var whole *Verification
	for {
		b := &pgx.Batch{}
		part := c.Part(b, family, from, kept)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return nil, err
		}
		if whole == nil {
			whole = part
		} else {
			whole.Entries += part.Entries
			whole.At, whole.Forgotten = part.At, max(whole.Forgotten, part.Forgotten)
			for _, f := range part.Findings {
				whole.find(f)
			}
		}
		if !part.Full {
			break
		}
		from = &part.At
	}
	if !whole.Intact {
		return whole, nil
	}
	var err error
	whole.Checkpoint, err = c.Checkpoint(family, whole.At)
	return whole, err
}
