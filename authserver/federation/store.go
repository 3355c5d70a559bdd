package federation

import (
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
)

const (
	identityColumns = `
SELECT i.id, i.user_id, i.provider, i.subject, i.email, i.private_relay, i.relay_off_at, i.suspended_at IS NOT NULL, i.refresh_token, i.created_at, i.last_used_at
  FROM auth.identities i`
	selectIdentity   = identityColumns + ` WHERE i.issuer = $1 AND i.subject = $2`
	selectIdentities = identityColumns + ` WHERE i.user_id = $1 ORDER BY i.created_at, i.id`
	insertIdentity   = `
INSERT INTO auth.identities (id, user_id, provider, issuer, subject, email, private_relay, refresh_token, created_at, last_used_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`
	updateUsed = `
UPDATE auth.identities SET email = $2, private_relay = $3, refresh_token = coalesce($4, refresh_token), last_used_at = $5 WHERE id = $1`
	deleteIdentity = `DELETE FROM auth.identities WHERE id = $1 AND user_id = $2`

	// Whoever changes how somebody gets in locks the person first: two who take
	// one of two ways away at once would leave none.
	lockUser = `SELECT EXISTS (SELECT 1 FROM auth.passwords p WHERE p.user_id = u.id) FROM auth.users u WHERE u.id = $1 FOR UPDATE`
	// After the wait for the lock: a statement sees what was there when it began.
	selectOwnWay = `SELECT EXISTS (SELECT 1 FROM auth.passwords WHERE user_id = $1) OR EXISTS (SELECT 1 FROM auth.passkeys WHERE user_id = $1)`

	insertEvent     = `INSERT INTO auth.federation_events (issuer, jti, received_at, user_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
	selectBegun     = `SELECT user_id FROM auth.federation_events WHERE issuer = $1 AND jti = $2 AND user_id IS NOT NULL`
	updateSuspended = `UPDATE auth.identities SET suspended_at = $2 WHERE id = $1`
	updateRelayOff  = `UPDATE auth.identities SET relay_off_at = $2 WHERE id = $1`
)

const (
	maxSubject    = 255
	maxIdentities = 10 // of one person
)

// Identity is an account elsewhere with which somebody signs in.
type Identity struct {
	ID           id.ID      `json:"id"`
	UserID       id.ID      `json:"-"`
	Provider     string     `json:"provider"`
	Subject      string     `json:"subject"`
	Email        string     `json:"email"`
	PrivateRelay bool       `json:"private_relay"`
	RelayOffAt   *time.Time `json:"relay_off_at,omitempty"`
	Suspended    bool       `json:"suspended"`
	CreatedAt    time.Time  `json:"linked_at"`
	LastUsedAt   time.Time  `json:"last_used_at"`

	refreshToken []byte // sealed
}

func scanIdentity(row pgx.CollectableRow) (Identity, error) {
	var i Identity
	err := row.Scan(&i.ID, &i.UserID, &i.Provider, &i.Subject, &i.Email, &i.PrivateRelay, &i.RelayOffAt, &i.Suspended, &i.refreshToken, &i.CreatedAt, &i.LastUsedAt)
	return i, err
}
