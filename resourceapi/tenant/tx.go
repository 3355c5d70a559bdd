package tenant

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
)

// Tx is one transaction of one caller in one family. It is used by one
// goroutine and not after the function that got it returns.
type Tx struct {
	Caller *bearer.Caller
	Family id.ID

	db     *DB
	source Source
	conn   *pgxpool.Conn // of a write; a read takes one for its single batch
	batch  *pgx.Batch

	standing standing
	role     policy.Role
	grants   map[string][]policy.Verb // of a guest, by list
	house    house
	scopes   []string // the ceiling, for an app cut down to its installation

	sent     bool // the context and at least one batch have gone
	asked    bool // May was asked and said yes
	refused  bool
	changed  bool     // Record was called
	done     bool     // it was committed
	held     bool     // it waits for Keyed.Keep
	keyed    *Keyed   // nil unless the request has an Idempotency-Key
	policies []string // that said yes
	reads    bool     // it changes nothing
	seen     []seen   // that the audit log is told of when it answers
}

// Queue adds a query to the next round trip. Every query names the family in
// its WHERE, so that an index serves it; row-level security does the rest.
func (tx *Tx) Queue(sql string, args ...any) *pgx.QueuedQuery { return tx.batch.Queue(sql, args...) }

// Row queues a query that must find one row, which scan reads. No row fails
// Send with fault.NotFound.
func (tx *Tx) Row(scan func(pgx.Row) error, sql string, args ...any) {
	tx.batch.Queue(sql, args...).QueryRow(scan)
}

// Rows queues a query and appends what scan reads of each row.
func Rows[T any](tx *Tx, to *[]T, scan func(*T, pgx.Row) error, sql string, args ...any) {
	tx.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var none T
			*to = append(*to, none)
			if err := scan(&(*to)[len(*to)-1], rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// Maybe is Row for a row that need not be there: then to stays nil.
func Maybe[T any](tx *Tx, to **T, scan func(*T, pgx.Row) error, sql string, args ...any) {
	tx.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			*to = new(T)
			if err := scan(*to, rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// Send makes a round trip with what is queued, the first one with the
// caller's context in front. It fails with fault.NotFound for a caller who has
// no standing in the family, the same as for a family that does not exist.
func (tx *Tx) Send(ctx context.Context) error {
	first := !tx.sent
	if !first && tx.conn == nil {
		return errors.New("a read sends once")
	}
	err := tx.send(ctx)
	if first && tx.standing == nobody && (err == nil || fault.Is(err, fault.NotFound)) {
		if outside := tx.turnAway(ctx); outside != nil {
			return outside
		}
	}
	if first {
		if over := tx.count(ctx); over != nil {
			return over
		}
	}
	if first && tx.keyed != nil {
		if before := tx.keyed.verdict(err); before != nil {
			return before
		}
	}
	return err
}

// count counts the request against the family's quota, if the caller stands in
// the family.
func (tx *Tx) count(ctx context.Context) error {
	outside := slices.Contains([]standing{nobody, founder, joiner}, tx.standing)
	if outside || tx.db.Quota == nil || tx.Family.IsZero() {
		return nil
	}
	return tx.db.Quota.Enter(ctx, tx.Family)
}

func (tx *Tx) send(ctx context.Context) error {
	batch := tx.batch
	tx.batch, tx.sent = &pgx.Batch{}, true
	var results pgx.BatchResults
	if tx.conn != nil {
		results = tx.conn.SendBatch(ctx, batch)
	} else {
		results = tx.db.Pool.SendBatch(ctx, batch)
	}
	return translate(results.Close())
}

// Taken refuses a thing whose id, or name, is another's.
func Taken() *fault.Error {
	return fault.New(fault.Conflict, "Something with this name or id exists already.").WithCode("id_taken")
}

// translate is postgres.Translate, and some cases more. That row-level security
// refused what the policy had let pass is a defect, but the caller's answer is
// a plain no.
func translate(err error) error {
	const (
		insufficientPrivilege = "42501"
		uniqueViolation       = "23505"
		keyInUse              = "LR409" // grocery.claim
	)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case insufficientPrivilege:
			return fault.Wrap(fault.Forbidden, "This is not allowed.", err).WithCode("row_level_security")
		case uniqueViolation: // by something that the caller may not see, or in a race
			return Taken()
		case keyInUse:
			return fault.Wrap(fault.Conflict, "A request with this Idempotency-Key is under way. Try again in a moment.", errInUse).WithCode("idempotency_key_in_use")
		}
	}
	return postgres.Translate(err)
}

// Exec runs a conditional change in a round trip of its own and reports
// whether it touched a row.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (bool, error) {
	var touched bool
	tx.batch.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		touched = tag.RowsAffected() > 0
		return nil
	})
	err := tx.send(ctx)
	return touched, err
}
