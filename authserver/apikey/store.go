package apikey

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"larder/internal/id"
)

const (
	selectByHash = `
SELECT k.id, k.service_account_id, k.user_id, coalesce(k.name, s.name), coalesce(k.family_id, s.family_id), k.scopes, k.created_at, k.expires_at
  FROM auth.api_keys k LEFT JOIN auth.service_accounts s ON s.id = k.service_account_id LEFT JOIN auth.users u ON u.id = k.user_id
 WHERE k.hash = $1 AND k.revoked_at IS NULL AND s.disabled_at IS NULL AND u.disabled_at IS NULL AND u.delete_at IS NULL`

	insertAccount = `
INSERT INTO auth.service_accounts (id, family_id, name, created_by) VALUES ($1, $2, $3, $4)
RETURNING id, family_id, name, created_by, created_at, disabled_at`

	selectAccounts = `
SELECT id, family_id, name, created_by, created_at, disabled_at
  FROM auth.service_accounts
 WHERE ($1::uuid IS NULL OR family_id = $1) AND ($2::uuid IS NULL OR id > $2)
 ORDER BY id LIMIT $3`

	disableAccount = `
UPDATE auth.service_accounts SET disabled_at = coalesce(disabled_at, now()) WHERE id = $1
RETURNING id, family_id, name, created_by, created_at, disabled_at`

	revokeAccountKeys = `
UPDATE auth.api_keys SET revoked_at = now() WHERE service_account_id = $1 AND revoked_at IS NULL RETURNING id`

	insertKey = `
INSERT INTO auth.api_keys (id, service_account_id, hash, hint, scopes, expires_at)
SELECT $1, s.id, $3, $4, $5, $6 FROM auth.service_accounts s WHERE s.id = $2 AND s.disabled_at IS NULL`

	keyColumns = `
SELECT k.id, k.service_account_id, k.user_id, coalesce(k.name, s.name), coalesce(k.family_id, s.family_id), k.hint, k.scopes,
       k.created_at, k.expires_at, k.last_used_at, k.revoked_at
  FROM auth.api_keys k LEFT JOIN auth.service_accounts s ON s.id = k.service_account_id`

	selectKey  = keyColumns + ` WHERE k.id = $1`
	selectKeys = keyColumns + `
 WHERE ($1::uuid IS NULL OR k.service_account_id = $1) AND ($2::uuid IS NULL OR k.id > $2)
 ORDER BY k.id LIMIT $3`

	revokeKey = `
UPDATE auth.api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING id`

	updateLastUsed = `
UPDATE auth.api_keys k SET last_used_at = u.at, last_used_from = nullif(u.source, '')
  FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS u(id, at, source)
 WHERE k.id = u.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)`
)

// DB is a pool.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// ServiceAccount is who an API key acts as: a program of one family.
type ServiceAccount struct {
	ID         id.ID      `json:"id"`
	FamilyID   id.ID      `json:"family_id"`
	Name       string     `json:"name"`
	CreatedBy  string     `json:"created_by"`
	CreatedAt  time.Time  `json:"created_at"`
	DisabledAt *time.Time `json:"disabled_at,omitempty"`
}

func scanAccount(row pgx.CollectableRow) (a ServiceAccount, err error) {
	return a, row.Scan(&a.ID, &a.FamilyID, &a.Name, &a.CreatedBy, &a.CreatedAt, &a.DisabledAt)
}

// Key is what may be told of a key. Hint is its last four characters.
type Key struct {
	ID               id.ID      `json:"id"`
	ServiceAccountID id.ID      `json:"service_account_id,omitzero"`
	UserID           id.ID      `json:"user_id,omitzero"` // of a person's own key, which has no service account
	Name             string     `json:"name"`
	FamilyID         id.ID      `json:"family_id"`
	Hint             string     `json:"hint"`
	Scopes           []string   `json:"scopes"`
	CreatedAt        time.Time  `json:"created_at"`
	ExpiresAt        *time.Time `json:"expires_at,omitempty"`
	LastUsedAt       *time.Time `json:"last_used_at,omitempty"`
	RevokedAt        *time.Time `json:"revoked_at,omitempty"`
}

func scanKey(row pgx.CollectableRow) (k Key, err error) {
	return k, row.Scan(&k.ID, &k.ServiceAccountID, &k.UserID, &k.Name, &k.FamilyID, &k.Hint, &k.Scopes,
		&k.CreatedAt, &k.ExpiresAt, &k.LastUsedAt, &k.RevokedAt)
}
