package personkey

import (
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
)

const (
	// Package account takes the same lock before it revokes somebody's keys.
	lockOwner = `
SELECT coalesce(e.address, ''), u.name
  FROM auth.users u LEFT JOIN auth.emails e ON e.user_id = u.id AND e.is_primary
 WHERE u.id = $1 AND u.disabled_at IS NULL AND u.delete_at IS NULL FOR UPDATE OF u`

	// After the wait for the lock, not with it: a statement sees what was there
	// when it began.
	countKeys = `SELECT count(*) FROM auth.api_keys WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2`

	columns = `id, name, family_id, family_name, hint, scopes, created_at, expires_at, last_used_at, coalesce(last_used_from, '')`

	insertKey = `
INSERT INTO auth.api_keys (id, user_id, family_id, family_name, name, hash, hint, scopes, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING ` + columns

	selectKeys = `
SELECT ` + columns + ` FROM auth.api_keys WHERE user_id = $1 AND revoked_at IS NULL ORDER BY id DESC LIMIT 100`

	revokeKey = `
UPDATE auth.api_keys SET revoked_at = $3 WHERE id = $2 AND user_id = $1 AND revoked_at IS NULL RETURNING id`

	// A key that was made for a few days needs no reminder.
	claimExpiring = `
UPDATE auth.api_keys k SET warned_at = $1 FROM auth.users u LEFT JOIN auth.emails e ON e.user_id = u.id AND e.is_primary
 WHERE u.id = k.user_id AND k.id IN (
  SELECT id FROM auth.api_keys
   WHERE user_id IS NOT NULL AND warned_at IS NULL AND revoked_at IS NULL AND expires_at > $1 AND expires_at <= $2
     AND expires_at - created_at > 2 * ($2::timestamptz - $1::timestamptz)
   ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED)
RETURNING coalesce(e.address, ''), u.name, k.name, k.family_name, k.expires_at`
)

// Key is what may be told of a key. Hint is its last four characters.
type Key struct {
	ID           id.ID      `json:"id"`
	Name         string     `json:"name"`
	FamilyID     id.ID      `json:"family_id"`
	FamilyName   string     `json:"family_name"` // when the key was made
	Hint         string     `json:"hint"`
	Scopes       []string   `json:"scopes"`
	CreatedAt    time.Time  `json:"created_at"`
	ExpiresAt    time.Time  `json:"expires_at"`
	LastUsedAt   *time.Time `json:"last_used_at,omitempty"`
	LastUsedFrom string     `json:"last_used_from,omitempty"` // a network, as the API saw it
}

func scanKey(row pgx.CollectableRow) (k Key, err error) {
	return k, row.Scan(&k.ID, &k.Name, &k.FamilyID, &k.FamilyName, &k.Hint, &k.Scopes, &k.CreatedAt, &k.ExpiresAt, &k.LastUsedAt, &k.LastUsedFrom)
}
