package tenant

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/resourceapi/bearer"
)

const (
	setClock = `SELECT set_config('app.principal', $1, true), set_config('app.standing', $2, true), set_config('app.family', coalesce($3::uuid::text, ''), true)`

	// The zone of a family is what its day is by.
	selectTimezone = `SELECT timezone FROM grocery.families WHERE id = $1`

	selectRecurringDue = `SELECT family_id FROM grocery.recurring WHERE next_at <= now() GROUP BY family_id ORDER BY min(next_at) LIMIT $1`
)

func clock() *bearer.Caller { return &bearer.Caller{Kind: "system", Subject: "clock"} }

// ClockDue returns up to limit families in which something is due by the clock.
// It sees nothing of them but that.
func (db *DB) ClockDue(ctx context.Context, limit int) ([]id.ID, error) {
	tx := &Tx{db: db, Caller: clock(), source: SourceFrom(ctx), batch: &pgx.Batch{}, standing: "clock"}
	tx.Queue(setClock, tx.Principal(), "clock", nil)
	var due []id.ID
	tx.Queue(selectRecurringDue, limit).Query(func(rows pgx.Rows) (err error) {
		due, err = pgx.CollectRows(rows, pgx.RowTo[id.ID])
		return err
	})
	return due, tx.Send(ctx)
}

// Clock calls f with a transaction that writes in the name of the service what
// the family has ordered for this time. It reaches what an installed app
// reaches, and no policy is asked: whoever gave the order was.
func (db *DB) Clock(ctx context.Context, family id.ID, f func(tx *Tx) error) error {
	tx := &Tx{db: db, Caller: clock(), Family: family, source: SourceFrom(ctx), batch: &pgx.Batch{}, standing: asApp, asked: true}
	return tx.write(ctx, func() { tx.Queue(setClock, tx.Principal(), string(asApp), family) }, f)
}

// Zone queues the reading of the family's time zone.
func (tx *Tx) Zone() *time.Location {
	zone := new(time.Location)
	tx.Row(func(row pgx.Row) error {
		var name string
		if err := row.Scan(&name); err != nil {
			return err
		}
		loaded, err := time.LoadLocation(name)
		if err == nil {
			*zone = *loaded
		}
		return err
	}, selectTimezone, tx.Family)
	return zone
}
