package client

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
)

const (
	columns = `id, secret_hashes, sealed_secrets, metadata, version, created_at, disabled_at IS NOT NULL`

	selectClient = `SELECT ` + columns + ` FROM auth.clients WHERE id = $1`
	lockClient   = `SELECT ` + columns + ` FROM auth.clients WHERE id = $1 FOR UPDATE`
	listClients  = `SELECT ` + columns + ` FROM auth.clients WHERE id > $1 ORDER BY id LIMIT $2`

	insertClient = `
INSERT INTO auth.clients (id, secret_hashes, sealed_secrets, metadata, created_at, updated_at)
VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())
RETURNING ` + columns

	updateClient = `
UPDATE auth.clients
   SET secret_hashes = $2, sealed_secrets = $3, metadata = $4, version = version + 1, updated_at = clock_timestamp()
 WHERE id = $1
RETURNING ` + columns

	setDisabled = `
UPDATE auth.clients
   SET disabled_at = CASE WHEN $2 THEN coalesce(disabled_at, now()) END, version = version + 1, updated_at = clock_timestamp()
 WHERE id = $1
RETURNING ` + columns

	revokeGrants = `
UPDATE auth.grants SET revoked_at = now(), revoked_reason = 'client.disabled' WHERE client_id = $1 AND revoked_at IS NULL`

	// A change is visible from its commit on, which may come some time after
	// its updated_at; versions tell which rows are news.
	selectChanged = `
SELECT id, version, updated_at FROM auth.clients WHERE updated_at > $1::timestamptz - interval '30 seconds' ORDER BY updated_at`

	selectNow = `SELECT clock_timestamp()`
)

// DB is a pool.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func scanClient(row pgx.CollectableRow) (*oidc.Client, error) {
	var c oidc.Client
	err := row.Scan(&c.ID, &c.SecretHashes, &c.SealedSecrets, &c.Metadata, &c.Version, &c.CreatedAt, &c.Disabled)
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// one runs a query that returns one client.
func one(ctx context.Context, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, sql string, args ...any,
) (*oidc.Client, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectExactlyOneRow(rows, scanClient)
}

type changed struct {
	id      string
	version int64
	at      time.Time
}

func scanChanged(row pgx.CollectableRow) (c changed, err error) {
	return c, row.Scan(&c.id, &c.version, &c.at)
}
