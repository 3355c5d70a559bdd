package tenant

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/postgres"
)

// setKeeper is the standing of the service itself as it keeps the audit logs of
// all families: it reads those and appends to their chains, and reaches nothing else.
const setKeeper = `SELECT set_config('app.principal', 'system:keeper', true), set_config('app.standing', 'keeper', true), set_config('app.family', '', true)`

// Keeper calls f with a transaction of the keeper of the audit logs.
func (db *DB) Keeper(ctx context.Context, f func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, setKeeper); err != nil {
			return postgres.Translate(err)
		}
		return f(tx)
	})
}
