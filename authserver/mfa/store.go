package mfa

const (
	// A device counts as trusted while its password is still the one in force.
	trustedNow = `d.expires_at > $3 AND d.password_changed_at IS NOT DISTINCT FROM
 (SELECT p.changed_at FROM auth.passwords p WHERE p.user_id = d.user_id)`

	hasStrong = `(EXISTS (SELECT 1 FROM auth.mfa_totp WHERE user_id = $1) OR EXISTS (SELECT 1 FROM auth.passkeys WHERE user_id = $1))`

	selectRequired = `
SELECT (` + hasStrong + ` OR EXISTS (SELECT 1 FROM auth.message_factors WHERE user_id = $1))
   AND NOT EXISTS (SELECT 1 FROM auth.trusted_devices d WHERE d.user_id = $1 AND d.device_hash = $2 AND ` + trustedNow + `)`

	selectEnrolled = `SELECT ` + hasStrong
	selectSince    = `SELECT created_at FROM auth.mfa_totp WHERE user_id = $1`
	countCodes     = `SELECT count(*) FROM auth.recovery_codes WHERE user_id = $1 AND used_at IS NULL`
	selectTrusted  = `
SELECT d.id, d.name, d.device_hash = $2, d.trusted_at, d.expires_at
  FROM auth.trusted_devices d WHERE d.user_id = $1 AND ` + trustedNow + ` ORDER BY d.trusted_at DESC LIMIT 50`

	selectTOTP = `SELECT id, secret, last_step FROM auth.mfa_totp WHERE user_id = $1`
	// Whoever changes the factors of a person waits here for whoever else does.
	lockUser = `SELECT ` + hasStrong + ` FROM auth.users WHERE id = $1 FOR NO KEY UPDATE`
	// The one statement that decides who spends a step.
	spendStep = `UPDATE auth.mfa_totp SET last_step = $3, last_used_at = $4 WHERE user_id = $1 AND id = $2 AND last_step < $3`
	// The one statement that decides who spends a recovery code.
	spendCode = `UPDATE auth.recovery_codes SET used_at = $3 WHERE user_id = $1 AND hash = ANY($2) AND used_at IS NULL`

	upsertTOTP = `
INSERT INTO auth.mfa_totp (user_id, id, secret, last_step, created_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (user_id) DO UPDATE SET id = excluded.id, secret = excluded.secret, last_step = excluded.last_step,
  created_at = excluded.created_at, last_used_at = excluded.last_used_at`
	deleteTOTP  = `DELETE FROM auth.mfa_totp WHERE user_id = $1`
	deleteWays  = `DELETE FROM auth.message_factors WHERE user_id = $1`
	deleteKeys  = `DELETE FROM auth.passkeys WHERE user_id = $1`
	insertCode  = `INSERT INTO auth.recovery_codes (user_id, hash) VALUES ($1, $2)`
	deleteCodes = `DELETE FROM auth.recovery_codes WHERE user_id = $1`

	upsertTrusted = `
INSERT INTO auth.trusted_devices (id, user_id, device_hash, name, password_changed_at, trusted_at, expires_at)
VALUES ($1, $2, $3, $4, (SELECT changed_at FROM auth.passwords WHERE user_id = $2), $5, $6)
ON CONFLICT (user_id, device_hash) DO UPDATE SET id = excluded.id, name = excluded.name,
  password_changed_at = excluded.password_changed_at, trusted_at = excluded.trusted_at, expires_at = excluded.expires_at`
	deleteTrusted    = `DELETE FROM auth.trusted_devices WHERE user_id = $1 AND id = $2`
	deleteAllTrusted = `DELETE FROM auth.trusted_devices WHERE user_id = $1`

	selectAddress = `
SELECT coalesce(e.address, ''), u.name FROM auth.users u LEFT JOIN auth.emails e ON e.user_id = u.id AND e.is_primary WHERE u.id = $1`

	revokeGrants = `
UPDATE auth.grants SET revoked_at = $2, revoked_reason = 'factor_removed'
 WHERE user_id = $1 AND revoked_at IS NULL AND session->>'acr' = $3 RETURNING id`
)
