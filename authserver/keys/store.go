package keys

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	// lockRotation makes replicas take turns; the lock ends with the transaction.
	lockRotation = `SELECT pg_advisory_xact_lock(hashtext('larder authserver keys'))`

	selectSigningKeys = `
SELECT kid, alg, private, published_at, activate_at, retire_at
  FROM auth.signing_keys
 ORDER BY activate_at DESC, published_at DESC, kid`

	selectDataKeys = `
SELECT id, purpose, key, created_at, retire_at
  FROM auth.data_keys`

	selectNewestSigning = `SELECT max(activate_at) FROM auth.signing_keys WHERE alg = $1`
	selectNewestData    = `SELECT max(created_at) FROM auth.data_keys WHERE purpose = $1`

	insertSigningKey = `
INSERT INTO auth.signing_keys (kid, alg, private, public, published_at, activate_at) VALUES ($1, $2, $3, $4, $5, $6)`

	insertDataKey = `INSERT INTO auth.data_keys (id, purpose, key, created_at) VALUES ($1, $2, $3, $4)`

	// What was to become active later steps behind the key that comes now. It
	// stays published: a replica that has not heard yet may sign with it.
	supersedePending = `
UPDATE auth.signing_keys SET activate_at = $2::timestamptz - interval '1 ms' WHERE alg = $1 AND activate_at > $2`

	retireSigningKeys = `UPDATE auth.signing_keys SET retire_at = $3 WHERE alg = $1 AND kid <> $2 AND retire_at IS NULL`
	retireDataKeys    = `UPDATE auth.data_keys SET retire_at = $3 WHERE purpose = $1 AND id <> $2 AND retire_at IS NULL`
	withdrawKey       = `UPDATE auth.signing_keys SET retire_at = $2 WHERE kid = $1`

	deleteRetiredSigning = `DELETE FROM auth.signing_keys WHERE retire_at <= $1`
	deleteRetiredData    = `DELETE FROM auth.data_keys WHERE retire_at <= $1`

	lockSigningBoxes  = `SELECT kid, private FROM auth.signing_keys FOR UPDATE`
	lockDataBoxes     = `SELECT id, key FROM auth.data_keys FOR UPDATE`
	updateSigningBox  = `UPDATE auth.signing_keys SET private = $2 WHERE kid = $1`
	updateDataKeyBox  = `UPDATE auth.data_keys SET key = $2 WHERE id = $1`
	selectAllStatuses = `
SELECT kid, alg, published_at, activate_at, retire_at FROM auth.signing_keys ORDER BY alg, activate_at DESC`
)

type signingRow struct {
	kid         string
	alg         string
	private     []byte
	publishedAt time.Time
	activateAt  time.Time
	retireAt    *time.Time
}

type dataRow struct {
	id        id.ID
	purpose   string
	key       []byte
	createdAt time.Time
	retireAt  *time.Time
}

// selectAll reads both tables in one round trip. They are short: Maintain
// deletes what is retired.
func (k *Keys) selectAll(ctx context.Context) (signing []signingRow, data []dataRow, err error) {
	b := &pgx.Batch{}
	b.Queue(selectSigningKeys).Query(func(rows pgx.Rows) (err error) {
		signing, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r signingRow, err error) {
			return r, row.Scan(&r.kid, &r.alg, &r.private, &r.publishedAt, &r.activateAt, &r.retireAt)
		})
		return err
	})
	b.Queue(selectDataKeys).Query(func(rows pgx.Rows) (err error) {
		data, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r dataRow, err error) {
			return r, row.Scan(&r.id, &r.purpose, &r.key, &r.createdAt, &r.retireAt)
		})
		return err
	})
	err = k.DB.SendBatch(ctx, b).Close()
	return signing, data, postgres.Translate(err)
}
