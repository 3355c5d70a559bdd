package tenant

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/postgres"
	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
)

// What the service does by itself, in the name of none of a family's people. No
// policy is asked: whoever gave the order was. Row-level security knows each by
// its standing.
const (
	asClock   standing = "clock"   // sees which families have something due
	asEraser  standing = "eraser"  // sees in which families a person is or was
	asCourier standing = "courier" // reaches webhooks, and what is to be told of shared lists
	asKeeper  standing = "keeper"  // reads the audit logs of all families, appends to their chains and forgets what is old
	asSweeper standing = "sweeper" // deletes what is over, of whichever family

	setService = `
SELECT set_config('app.principal', $1, true), set_config('app.standing', $2, true), set_config('app.family', coalesce($3::uuid::text, ''), true)`

	setPerson = `SELECT set_config('app.user', $1, true)`

	selectCourierDue = `
SELECT family_id FROM grocery.webhook_rounds WHERE due_at <= now() AND (busy_until IS NULL OR busy_until < now()) ORDER BY due_at LIMIT $1`

	selectClockDue = `SELECT family_id FROM grocery.recurring WHERE next_at <= now() GROUP BY family_id ORDER BY min(next_at) LIMIT $1`

	selectTraces = `
SELECT family_id FROM grocery.family_members WHERE user_id = $1 UNION SELECT family_id FROM grocery.footprints WHERE user_id = $1 ORDER BY 1`
)

// service returns a transaction of the service in the family, or in none, and
// what queues its context.
func (db *DB) service(ctx context.Context, name string, family id.ID, as standing) (tx *Tx, enter func()) {
	tx = &Tx{
		db: db, Caller: &bearer.Caller{Kind: "system", Subject: name}, Family: family, source: SourceFrom(ctx),
		batch: &pgx.Batch{}, standing: as, asked: true,
	}
	return tx, func() { tx.Queue(setService, tx.Principal(), string(as), family) }
}

// families sends a query that finds families.
func (tx *Tx) families(ctx context.Context, sql string, arg any) (found []id.ID, err error) {
	tx.Queue(sql, arg).Query(func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, pgx.RowTo[id.ID])
		return err
	})
	return found, tx.Send(ctx)
}

// CourierDue returns up to limit families that the courier is to look at. It
// sees nothing of them but that.
func (db *DB) CourierDue(ctx context.Context, limit int) ([]id.ID, error) {
	tx, enter := db.service(ctx, "courier", id.ID{}, asCourier)
	enter()
	return tx.families(ctx, selectCourierDue, limit)
}

// Courier calls f with a transaction that delivers what an admin of the family
// asked for when he registered a webhook.
func (db *DB) Courier(ctx context.Context, family id.ID, f func(tx *Tx) error) error {
	tx, enter := db.service(ctx, "courier", family, asCourier)
	return tx.write(ctx, enter, f)
}

// Postman calls f with a transaction in the name of the service that reaches
// what waits to be mailed, of any family.
func (db *DB) Postman(ctx context.Context, f func(tx *Tx) error) error {
	tx, enter := db.service(ctx, "courier", id.ID{}, asCourier)
	return tx.write(ctx, enter, f)
}

// ClockDue returns up to limit families in which something is due by the clock.
// It sees nothing of them but that.
func (db *DB) ClockDue(ctx context.Context, limit int) ([]id.ID, error) {
	tx, enter := db.service(ctx, "clock", id.ID{}, asClock)
	enter()
	return tx.families(ctx, selectClockDue, limit)
}

// Clock calls f with a transaction that writes what the family has ordered for
// this time. It reaches what an installed app reaches.
func (db *DB) Clock(ctx context.Context, family id.ID, f func(tx *Tx) error) error {
	tx, enter := db.service(ctx, "clock", family, asApp)
	return tx.write(ctx, func() { enter(); tx.queueHouse() }, f)
}

// EraserTraces returns the families that a person is or was in.
func (db *DB) EraserTraces(ctx context.Context, person string) ([]id.ID, error) {
	tx, enter := db.service(ctx, "eraser", id.ID{}, asEraser)
	enter()
	tx.Queue(setPerson, person)
	return tx.families(ctx, selectTraces, person)
}

// Eraser calls f with a transaction that reaches what an admin of the family
// reaches, and the person's own. The identity provider says that the account is
// gone.
func (db *DB) Eraser(ctx context.Context, family id.ID, person string, f func(tx *Tx) error) error {
	tx, enter := db.service(ctx, "eraser", family, standing(policy.Admin))
	return tx.write(ctx, func() { enter(); tx.Queue(setPerson, person) }, f)
}

// Keeper calls f with a transaction of the keeper of the audit logs.
func (db *DB) Keeper(ctx context.Context, f func(tx pgx.Tx) error) error {
	return db.as(ctx, "keeper", asKeeper, f)
}

// as calls f with a transaction of the service that has entered no family.
func (db *DB) as(ctx context.Context, name string, standing standing, f func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, setService, "system:"+name, string(standing), id.ID{}); err != nil {
			return postgres.Translate(err)
		}
		return f(tx)
	})
}
