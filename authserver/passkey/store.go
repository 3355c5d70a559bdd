package passkey

const (
	// Waits for whoever adds another one, so that the bound holds.
	lockHandle = `SELECT handle FROM auth.passkey_users WHERE user_id = $1 FOR UPDATE`
	// Of two at once the first one's handle stays.
	insertHandle = `INSERT INTO auth.passkey_users (user_id, handle) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING`

	selectPerson = `
SELECT h.user_id, h.handle, u.name, coalesce(e.address, '')
  FROM auth.passkey_users h JOIN auth.users u ON u.id = h.user_id LEFT JOIN auth.emails e ON e.user_id = u.id AND e.is_primary`
	selectPersonByID     = selectPerson + ` WHERE h.user_id = $1`
	selectPersonByHandle = selectPerson + ` WHERE h.handle = $1`

	//nolint:gosec // statements, not credentials
	selectPasskeys = `
SELECT id, name, credential_id, public_key, sign_count, transports, aaguid, backup_eligible, backup_state, created_at, last_used_at
  FROM auth.passkeys WHERE user_id = $1 ORDER BY created_at, id LIMIT 100`
	//nolint:gosec // as above
	countPasskeys = `SELECT count(*) FROM auth.passkeys WHERE user_id = $1`
	//nolint:gosec // as above
	insertPasskey = `
INSERT INTO auth.passkeys (id, user_id, credential_id, public_key, sign_count, transports, aaguid, backup_eligible, backup_state, name, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	//nolint:gosec // as above
	usePasskey = `UPDATE auth.passkeys SET sign_count = $3, backup_state = $4, last_used_at = $5 WHERE user_id = $1 AND id = $2`
	//nolint:gosec // as above
	renamePasskey = `UPDATE auth.passkeys SET name = $3 WHERE user_id = $1 AND id = $2`
	// Unlinking an account elsewhere takes the same lock: two who take one of two
	// ways in away at once would leave none.
	lockUser    = `SELECT 1 FROM auth.users WHERE id = $1 FOR UPDATE`
	selectWayIn = `
SELECT EXISTS (SELECT 1 FROM auth.passwords WHERE user_id = $1) OR EXISTS (SELECT 1 FROM auth.passkeys WHERE user_id = $1)
    OR EXISTS (SELECT 1 FROM auth.identities WHERE user_id = $1 AND suspended_at IS NULL)`
	//nolint:gosec // as above
	deletePasskey = `DELETE FROM auth.passkeys WHERE user_id = $1 AND id = $2 RETURNING name`
)
