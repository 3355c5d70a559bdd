package tenant

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
)

// rollbackWithin bounds the wait for a rollback after the request has ended.
const rollbackWithin = 2 * time.Second

// Denials takes what was refused, and what was taken out; audit.Queue is the one
// for production.
type Denials interface {
	Put(e audit.Event)
}

// Quota counts requests; its Enter fails when a family made too many.
type Quota interface {
	Enter(ctx context.Context, family id.ID) error
}

// DB opens transactions in the name of the caller in ctx (bearer.From).
type DB struct {
	Pool       *pgxpool.Pool // of a role that row-level security binds
	Authorizer policy.Authorizer
	Denials    Denials
	Reads      Denials // takes what was seen, audit.Hourly in production; nil keeps none
	// Presumptions spares the changes that are made most often a round trip.
	Presumptions *Presumptions
	Quota        Quota // nil counts nothing
	Now          func() time.Time
	// Changed, if set, hears of each family with new changes in its feed, right
	// after the commit; also when it is not known whether there was one. It must
	// not block.
	Changed func(family id.ID)

	zones atlas
}

// Source is where a request came from, for policies and the audit log.
type Source struct {
	IP        netip.Addr
	UserAgent string
}

type sourceKey struct{}

// WithSource returns ctx carrying s.
func WithSource(ctx context.Context, s Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, s)
}

// SourceFrom returns the source that ctx carries; an address that nobody knows is
// the unspecified one.
func SourceFrom(ctx context.Context) Source {
	s, ok := ctx.Value(sourceKey{}).(Source)
	if !ok || !s.IP.IsValid() {
		s.IP = netip.IPv6Unspecified()
	}
	return s
}

// Read calls f with a transaction in the family that answers in one round
// trip: f queues, sends once, asks May and returns.
func (db *DB) Read(ctx context.Context, family id.ID, f func(tx *Tx) error) error {
	tx, err := db.start(ctx, family)
	if err != nil {
		return err
	}
	tx.reads = true
	tx.enter()
	if err := tx.finishRead(f(tx)); err != nil {
		return err
	}
	tx.tellSeen(ctx)
	return nil
}

// Write calls f with a transaction in the family that commits what f queued
// after May, together with its feed and audit rows, in one round trip at the
// end. An error of f, or a May that was never asked or was refused, rolls back.
func (db *DB) Write(ctx context.Context, family id.ID, f func(tx *Tx) error) error {
	tx, err := db.start(ctx, family)
	if err != nil {
		return err
	}
	return tx.write(ctx, tx.enter, f)
}

// Found calls f with a transaction in a family that does not exist yet, for a
// user who is about to make it.
func (db *DB) Found(ctx context.Context, family id.ID, f func(tx *Tx) error) error {
	tx, err := db.startUnbound(ctx, family)
	if err != nil {
		return err
	}
	return tx.write(ctx, func() { tx.arrive(founder, nil) }, f)
}

// Join calls f with a transaction in a family of which the caller is no member
// and holds an invitation with this token hash.
func (db *DB) Join(ctx context.Context, family id.ID, tokenHash []byte, f func(tx *Tx) error) error {
	tx, err := db.startUnbound(ctx, family)
	if err != nil {
		return err
	}
	return tx.write(ctx, func() { tx.arrive(joiner, tokenHash) }, f)
}

// Mine calls f with a transaction that sees the families the caller belongs
// to, and in them his own memberships only. It takes the scope family:read;
// that a membership is one's own is all the right there is to it.
func (db *DB) Mine(ctx context.Context, f func(tx *Tx) error) error {
	tx, err := db.start(ctx, id.ID{})
	if err != nil {
		return err
	}
	if err := tx.needScope(policy.ScopeFamilyRead); err != nil {
		return err
	}
	if caller := tx.Caller; caller.Limit != nil {
		return fault.New(fault.Forbidden, "This app was allowed some lists only, and nothing else of the family.").WithCode("limited_to_lists")
	}
	tx.queueMine()
	tx.asked = true
	return f(tx)
}

func (db *DB) start(ctx context.Context, family id.ID) (*Tx, error) {
	caller := bearer.From(ctx)
	if caller == nil {
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	return &Tx{db: db, Caller: caller, Family: family, source: SourceFrom(ctx), batch: &pgx.Batch{}}, nil
}

// startUnbound is start for what nobody does by a key that reaches one family.
func (db *DB) startUnbound(ctx context.Context, family id.ID) (*Tx, error) {
	tx, err := db.start(ctx, family)
	if err == nil && tx.IsUser() && !tx.Caller.Family.IsZero() {
		return nil, fault.New(fault.Forbidden, "An API key reaches one family. Sign in to found or join another.").WithCode("bound_to_family")
	}
	return tx, err
}

func (tx *Tx) finishRead(err error) error {
	switch {
	case err != nil:
		return err
	case !tx.sent || !tx.asked:
		return errors.New("a read answered without having asked the policy")
	}
	return nil
}

func (tx *Tx) write(ctx context.Context, enter func(), f func(tx *Tx) error) error {
	conn, err := tx.db.Pool.Acquire(ctx)
	if err != nil {
		return postgres.Translate(err)
	}
	tx.conn = conn
	defer func() {
		if !tx.held {
			tx.abandon(ctx)
		}
	}()
	tx.batch.Queue("begin")
	enter()
	if tx.keyed = keyedFrom(ctx); tx.keyed != nil {
		if err := tx.keyed.claim(tx); err != nil {
			return err
		}
	}
	err = f(tx)
	switch {
	case err != nil:
		return err
	case !tx.sent || !tx.asked || tx.refused:
		return errors.New("a change was made without leave of the policy")
	case tx.keyed != nil:
		err = tx.send(ctx)
		tx.held = err == nil
		return err
	}
	return tx.commit(ctx)
}

// commit sends what is queued and commits.
func (tx *Tx) commit(ctx context.Context) error {
	defer tx.abandon(ctx)
	tx.batch.Queue("commit")
	err := tx.send(ctx)
	tx.done = err == nil
	if tx.changed && tx.db.Changed != nil {
		tx.db.Changed(tx.Family)
	}
	return err
}

// abandon lets go of the connection, after rolling back what was not committed.
func (tx *Tx) abandon(ctx context.Context) {
	conn := tx.conn
	if conn == nil {
		return
	}
	tx.conn, tx.held = nil, false
	defer conn.Release() // a connection that is still in a transaction is closed, not pooled
	if tx.sent && !tx.done && !conn.Conn().IsClosed() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackWithin)
		defer cancel()
		_, _ = conn.Exec(ctx, "rollback")
	}
}
