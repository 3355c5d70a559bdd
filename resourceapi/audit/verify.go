package audit

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	verifyLimit = 20_000 // entries at once
	maxFindings = 20

	selectLinks = `
SELECT c.seq, c.event_id, c.hash, e.id IS NOT NULL, coalesce(e.id, c.event_id), coalesce(e.occurred_at, now()), coalesce(e.action, ''), coalesce(e.result, ''),
       coalesce(e.actor_kind, ''), coalesce(e.actor_id, ''), coalesce(e.client_id, ''), coalesce(e.target, ''), coalesce(e.reason, ''),
       coalesce(e.policies, '{}'), coalesce(e.count, 0), coalesce(e.source_ip, ''), coalesce(e.user_agent, ''), coalesce(e.request_id, ''), coalesce(e.details, '{}')
  FROM grocery.audit_chain c LEFT JOIN grocery.audit_events e ON e.family_id = c.family_id AND e.id = c.event_id
 WHERE c.family_id = $1 AND c.seq > $2 ORDER BY c.seq LIMIT $3`

	// What the keeper has passed and is in no chain was put there, or its link
	// was taken away.
	selectStray = `
SELECT e.id, (e.tx, e.family_id, e.id) <= (s.tx, s.last_family, s.last_event)
  FROM grocery.audit_events e CROSS JOIN grocery.audit_settled s
 WHERE e.family_id = $1 AND NOT EXISTS (SELECT FROM grocery.audit_chain c WHERE c.family_id = e.family_id AND c.event_id = e.id)
 ORDER BY e.id LIMIT 10000`

	selectCheckpoints = `
SELECT k.token, k.seq, c.hash FROM grocery.audit_checkpoints k
  LEFT JOIN grocery.audit_chain c ON c.family_id = k.family_id AND c.seq = k.seq
 WHERE k.family_id = $1 ORDER BY k.day DESC LIMIT 1000`

	selectLink = `SELECT hash FROM grocery.audit_chain WHERE family_id = $1 AND seq = $2`
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
	Entries    int             `json:"entries"`   // that were looked at
	Unsettled  int             `json:"unsettled"` // too new to be in the chain
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

// queuer is a batch of a transaction that may read the family's log.
type queuer interface {
	Queue(sql string, args ...any) *pgx.QueuedQuery
}

// verification walks along a family's chain.
type verification struct {
	Report

	family id.ID
	at     head // as far as it was followed
	full   bool // there may be more
}

// links queues the next part of the chain behind at.
func (v *verification) links(b queuer) {
	b.Queue(selectLinks, v.family, v.at.seq, verifyLimit).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var seq int64
			var event id.ID
			var hash []byte
			var there bool
			e := entry{FamilyID: v.family}
			if err := rows.Scan(append([]any{&seq, &event, &hash, &there}, e.columns()...)...); err != nil {
				return err
			}
			e.OccurredAt = e.OccurredAt.UTC()
			if err := v.link(seq, event, hash, there, &e); err != nil {
				return err
			}
		}
		v.full = v.Entries == verifyLimit
		return rows.Err()
	})
}

func (v *verification) link(seq int64, event id.ID, hash []byte, there bool, e *entry) error {
	v.Entries++
	want, err := e.hash(v.at.hash)
	switch {
	case err != nil:
		return err
	case seq != v.at.seq+1:
		v.find(Finding{Seq: v.at.seq + 1, Fault: "missing", Detail: fmt.Sprintf("the chain goes from %d to %d", v.at.seq, seq)})
	case !there:
		v.find(Finding{Seq: seq, EventID: &event, Fault: "deleted", Detail: "the event is gone"})
	case !bytes.Equal(want, hash):
		v.find(Finding{Seq: seq, EventID: &event, Fault: "changed", Detail: "the event or its place is not what was chained"})
	}
	v.at = head{seq, hash} // what follows is judged by what stands here
	return nil
}

// strays queues the look for events that no chain has.
func (v *verification) strays(b queuer) {
	b.Queue(selectStray, v.family).Query(func(rows pgx.Rows) error {
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
func (v *verification) checkpoints(b queuer, seals *Seals) {
	b.Queue(selectCheckpoints, v.family).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var token string
			var seq int64
			var hash []byte
			if err := rows.Scan(&token, &seq, &hash); err != nil {
				return err
			}
			c, err := seals.open(token)
			if err != nil || c.FamilyID != v.family || c.Seq != seq {
				v.find(Finding{Seq: seq, Fault: "rewritten", Detail: "a checkpoint was not signed by this service for this place"})
				continue
			}
			v.compare(c, hash)
		}
		return rows.Err()
	})
}

// against queues the comparison with a checkpoint that was kept elsewhere.
func (v *verification) against(b queuer, c Checkpoint) {
	if c.Seq == 0 { // it was given before there was an entry
		v.compare(c, root(v.family))
		return
	}
	b.Queue(selectLink, v.family, c.Seq).Query(func(rows pgx.Rows) error {
		var hash []byte
		for rows.Next() {
			if err := rows.Scan(&hash); err != nil {
				return err
			}
		}
		v.compare(c, hash)
		return rows.Err()
	})
}

func (v *verification) compare(c Checkpoint, hash []byte) {
	switch {
	case hash == nil:
		v.find(Finding{Seq: c.Seq, Fault: "truncated", Detail: "the checkpoint of " + c.At.Format(time.RFC3339) + " knows an entry that is gone"})
	case !bytes.Equal(hash, c.Hash):
		v.find(Finding{Seq: c.Seq, Fault: "rewritten", Detail: "the checkpoint of " + c.At.Format(time.RFC3339) + " has another hash for this entry"})
	}
}

// begin queues what a part of a verification reads: from the root of the chain
// with everything beside it, else behind a place that was come to.
func begin(b queuer, seals *Seals, family id.ID, from *link, kept []Checkpoint) *verification {
	v := &verification{Report: Report{Intact: true, Findings: []Finding{}, Key: seals.Key()}, family: family, at: head{0, root(family)}}
	if from != nil {
		v.at = head{from.Seq, from.Hash}
	} else {
		v.strays(b)
		v.checkpoints(b, seals)
		for _, c := range kept {
			v.against(b, c)
		}
	}
	v.links(b)
	return v
}

// link is a place in a chain, for cursors.
type link struct {
	Seq  int64  `json:"s"`
	Hash []byte `json:"h"`
}

// verify answers whether the log is as it was written.
func (h *Log) verify(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	collection := "audit-verify/" + family.String()
	var from *link
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		from = &link{}
		if err := h.Cursors.Open(collection, cursor, from); err != nil {
			return err
		}
	}
	var kept []Checkpoint
	if token := r.URL.Query().Get("checkpoint"); token != "" {
		c, err := h.Seals.open(token)
		if err != nil || c.FamilyID != family {
			return valid.Parameter("checkpoint", "is not one that this service gave for this family")
		}
		kept = append(kept, c)
	}
	var v *verification
	ctx := r.Context()
	err = h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		v = begin(tx, h.Seals, family, from, kept)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.AuditRead, tx.Resource(policy.AuditResource, id.ID{}))
	})
	if err != nil {
		return err
	}
	switch {
	case v.full:
		if v.Next, err = h.Cursors.Next(r, collection, link{v.at.seq, v.at.hash}); err != nil {
			return err
		}
	case v.Intact:
		if v.Checkpoint, err = h.Seals.sign(Checkpoint{family, v.at.seq, v.at.hash, h.DB.Now().UTC()}); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, v.Report)
}

// Verify verifies a family's whole log for an operator, also against
// checkpoints that were kept elsewhere.
func (c *Chain) Verify(ctx context.Context, family id.ID, tokens ...string) (*Report, error) {
	var kept []Checkpoint
	for _, token := range tokens {
		k, err := c.Seals.open(token)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, "This is no checkpoint of this service.", err)
		}
		if k.FamilyID == family {
			kept = append(kept, k)
		}
	}
	var whole *verification
	err := c.DB.Keeper(ctx, func(tx pgx.Tx) error {
		var err error
		whole, err = c.verify(ctx, tx, family, kept)
		return err
	})
	if err != nil {
		return nil, postgres.Translate(err)
	}
	return &whole.Report, nil
}

func (c *Chain) verify(ctx context.Context, tx pgx.Tx, family id.ID, kept []Checkpoint) (*verification, error) {
	var from *link
	var whole *verification
	for {
		b := &pgx.Batch{}
		part := begin(b, c.Seals, family, from, kept)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return nil, err
		}
		if whole == nil {
			whole = part
		} else {
			whole.Entries += part.Entries
			whole.at = part.at
			for _, f := range part.Findings {
				whole.find(f)
			}
		}
		if !part.full {
			break
		}
		from = &link{part.at.seq, part.at.hash}
	}
	if !whole.Intact {
		return whole, nil
	}
	var err error
	whole.Checkpoint, err = c.Seals.sign(Checkpoint{family, whole.at.seq, whole.at.hash, c.DB.Now().UTC()})
	return whole, err
}
