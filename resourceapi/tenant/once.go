package tenant

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
)

const (
	selectOperation = `SELECT digest, status, conflicts FROM grocery.operations WHERE family_id = $1 AND principal = $2 AND id = $3`

	insertOperation = `INSERT INTO grocery.operations (family_id, principal, id, digest, status, conflicts) VALUES ($1, $2, $3, $4, $5, $6)`

	forgetOperations = `
DELETE FROM grocery.operations WHERE family_id = $1 AND (principal, id) IN (
  SELECT principal, id FROM grocery.operations WHERE family_id = $1 AND done_at < now() - interval '7 days' LIMIT 64)`
)

// What became of an operation.
const (
	Applied  = "applied"  // as asked, on what its sender knew
	Merged   = "merged"   // as asked, beside what others had done meanwhile
	Conflict = "conflict" // in part or not at all: others changed the same thing
)

// Operation is a change that a client made by itself and sends later, perhaps
// more than once. Body is JSON for the feature that carries it out.
type Operation struct {
	ID   id.ID
	Kind string // noun.verb: item.add
	Body json.RawMessage
}

// Outcome is what became of an operation.
type Outcome struct {
	Status    string
	Conflicts []string // the members that were not changed, because others had changed them
	Current   any      // the thing as it is now; nil when it is gone
	Replayed  bool     // it had been carried out before
}

// Once ties an operation to the transaction that carries it out.
type Once struct {
	// Before is what became of it when it was carried out before; else nil.
	Before *Outcome

	tx        *Tx
	operation id.ID
	digest    []byte
	reused    bool
}

// Once queues the look whether the caller's operation was carried out before,
// within the last seven days.
func (tx *Tx) Once(op Operation) *Once {
	sum := sha256.Sum256(op.Body)
	o := &Once{tx: tx, operation: op.ID, digest: sum[:]}
	tx.Queue(selectOperation, tx.Family, tx.Principal(), op.ID).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var digest []byte
			before := &Outcome{Replayed: true}
			if err := rows.Scan(&digest, &before.Status, &before.Conflicts); err != nil {
				return err
			}
			o.Before, o.reused = before, !bytes.Equal(digest, o.digest)
		}
		return rows.Err()
	})
	return o
}

// Check fails, after Send, if the id was another operation's.
func (o *Once) Check() error {
	if o.reused {
		return fault.New(fault.Conflict, "This operation_id was used for another operation.").WithCode("operation_id_reused")
	}
	return nil
}

// Done queues the record behind the change: both are kept, or neither.
func (o *Once) Done(outcome Outcome) {
	if outcome.Conflicts == nil {
		outcome.Conflicts = []string{}
	}
	o.tx.Queue(insertOperation, o.tx.Family, o.tx.Principal(), o.operation, o.digest, outcome.Status, outcome.Conflicts)
	if rand.N(forgetOneIn) == 0 { //nolint:gosec // it need not be a secret when
		o.tx.Queue(forgetOperations, o.tx.Family)
	}
}
