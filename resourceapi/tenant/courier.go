package tenant

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/resourceapi/bearer"
)

const (
	// asCourier is the standing of the service itself, as it delivers what a
	// family's admins asked it to deliver.
	asCourier standing = "courier"

	setCourier = `SELECT set_config('app.principal', $1, true), set_config('app.standing', 'courier', true), set_config('app.family', coalesce($2::uuid::text, ''), true)`

	selectDue = `
SELECT family_id FROM grocery.webhook_rounds WHERE due_at <= now() AND (busy_until IS NULL OR busy_until < now()) ORDER BY due_at LIMIT $1`
)

func courier() *bearer.Caller { return &bearer.Caller{Kind: "system", Subject: "courier"} }

// CourierDue returns up to limit families that the courier is to look at. It
// sees nothing of them but that.
func (db *DB) CourierDue(ctx context.Context, limit int) ([]id.ID, error) {
	tx := &Tx{db: db, Caller: courier(), source: SourceFrom(ctx), batch: &pgx.Batch{}, standing: asCourier}
	tx.Queue(setCourier, tx.Principal(), id.ID{})
	var due []id.ID
	tx.Queue(selectDue, limit).Query(func(rows pgx.Rows) (err error) {
		due, err = pgx.CollectRows(rows, pgx.RowTo[id.ID])
		return err
	})
	return due, tx.Send(ctx)
}

// Courier calls f with a transaction that writes in the name of the service and
// reaches the family's webhooks and what is to be told of its shared lists. No
// policy is asked: an admin was, when he registered the webhook.
func (db *DB) Courier(ctx context.Context, family id.ID, f func(tx *Tx) error) error {
	tx := &Tx{db: db, Caller: courier(), Family: family, source: SourceFrom(ctx), batch: &pgx.Batch{}, standing: asCourier, asked: true}
	return tx.write(ctx, func() { tx.Queue(setCourier, tx.Principal(), family) }, f)
}
