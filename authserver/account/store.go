package account

const (
	insertUser  = `INSERT INTO auth.users (id, name, operator, profile) VALUES ($1, $2, $3, $4)`
	insertEmail = `INSERT INTO auth.emails (canonical, user_id, address, verified_at) VALUES ($1, $2, $3, $4)`
	//nolint:gosec // a statement, not a credential
	upsertPassword = `
INSERT INTO auth.passwords (user_id, hash, changed_at) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at,
  breached_at = NULL, breach_check_at = NULL`

	// Of many sign-ins at once one looks the password up.
	claimBreachCheck  = `UPDATE auth.passwords SET breach_check_at = $3 WHERE user_id = $1 AND coalesce(breach_check_at, '-infinity') <= $2`
	updateBreachCheck = `UPDATE auth.passwords SET breach_check_at = $2 WHERE user_id = $1`
	updateBreached    = `UPDATE auth.passwords SET breached_at = $2 WHERE user_id = $1 AND breached_at IS NULL`

	// A rehash must not undo a change of password that came in between.
	updateHash = `UPDATE auth.passwords SET hash = $3 WHERE user_id = $1 AND hash = $2`

	//nolint:gosec // a statement, not a credential
	selectCredentials = `
SELECT u.id, u.disabled_at IS NOT NULL, coalesce(p.hash, ''), p.changed_at
  FROM auth.emails e JOIN auth.users u ON u.id = e.user_id LEFT JOIN auth.passwords p ON p.user_id = u.id
 WHERE e.canonical = $1`

	selectStands = `
SELECT EXISTS (SELECT 1 FROM auth.users u WHERE u.id = $1 AND u.disabled_at IS NULL
   AND ($2::timestamptz IS NULL OR EXISTS (SELECT 1 FROM auth.passwords WHERE user_id = $1 AND changed_at = $2))
   AND ($3::uuid IS NULL OR EXISTS (SELECT 1 FROM auth.passkeys WHERE user_id = $1 AND id = $3))
   AND ($4::uuid IS NULL OR EXISTS (
     SELECT 1 FROM auth.identities WHERE user_id = $1 AND id = $4 AND suspended_at IS NULL)))`

	userColumns = `
SELECT u.id, u.name, coalesce(e.address, ''), e.verified_at IS NOT NULL, u.profile, u.operator, u.disabled_at IS NOT NULL,
       (SELECT changed_at FROM auth.passwords p WHERE p.user_id = u.id), u.updated_at
  FROM auth.users u LEFT JOIN auth.emails e ON e.user_id = u.id AND e.is_primary`
	selectUser        = userColumns + ` WHERE u.id = $1`
	selectUserByEmail = userColumns + ` WHERE u.id = (SELECT user_id FROM auth.emails WHERE canonical = $1)`
	selectUsers       = userColumns + ` WHERE u.id > $1 ORDER BY u.id LIMIT $2`

	updateDisabled = `UPDATE auth.users SET disabled_at = $2, updated_at = $2 WHERE id = $1 AND disabled_at IS NULL`
	updateEnabled  = `UPDATE auth.users SET disabled_at = NULL, updated_at = $2 WHERE id = $1 AND disabled_at IS NOT NULL`
	existsUser     = `SELECT EXISTS (SELECT 1 FROM auth.users WHERE id = $1)`

	// Whoever is about to make a grant or a key holds a lock on the person, and has
	// made it before the next statements look, or sees what was done here.
	lockUser     = `SELECT id FROM auth.users WHERE id = $1 FOR UPDATE`
	revokeGrants = `UPDATE auth.grants SET revoked_at = $2, revoked_reason = $3 WHERE user_id = $1 AND revoked_at IS NULL`
	revokeKeys   = `UPDATE auth.api_keys SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL`

	lockProfile   = `SELECT profile FROM auth.users WHERE id = $1 FOR UPDATE`
	updateProfile = `UPDATE auth.users SET name = coalesce(nullif($3, ''), name), updated_at = $2, profile = $4 WHERE id = $1`
	touchUser     = `UPDATE auth.users SET updated_at = $2 WHERE id = $1`
	verifyPrimary = `UPDATE auth.emails SET verified_at = coalesce(verified_at, $2) WHERE user_id = $1 AND is_primary`
	deleteEmails  = `DELETE FROM auth.emails WHERE user_id = $1`

	updateDeleteAt = `UPDATE auth.users SET delete_at = $3, updated_at = $2 WHERE id = $1`
	selectDeleteAt = `SELECT delete_at FROM auth.users WHERE id = $1`
	lockUserDue    = userColumns + ` WHERE u.delete_at <= $1 ORDER BY u.delete_at LIMIT 1 FOR UPDATE OF u SKIP LOCKED`
	deleteUser     = `DELETE FROM auth.users WHERE id = $1`

	selectNudgeable = `SELECT coalesce(nudge_dismissed_at, '-infinity') <= $2 FROM auth.users WHERE id = $1`
	updateNudge     = `UPDATE auth.users SET nudge_dismissed_at = $2 WHERE id = $1`

	// A sign-in that failed has the account as its target and nobody as its actor.
	selectSignIns = `
SELECT occurred_at, result = 'success', coalesce(user_agent, ''), coalesce(source_ip, ''), coalesce(sid, '') FROM (
  (SELECT occurred_at, result, user_agent, source_ip, sid FROM auth.audit_events
     LEFT JOIN auth.recognised_devices d ON d.user_id = $3 AND audit_events.request_id = ANY (d.request_ids)
    WHERE actor_id = $1 AND action = 'login.succeeded' ORDER BY occurred_at DESC LIMIT $2)
  UNION ALL
  (SELECT occurred_at, result, user_agent, source_ip, NULL FROM auth.audit_events
    WHERE target = $1 AND action IN ('login.failed', 'reauthentication.failed') ORDER BY occurred_at DESC LIMIT $2)) AS tries
 ORDER BY occurred_at DESC LIMIT $2`

	// Whoever was there knows the password of the time, and a later one not.
	disownDevice = `
WITH gone AS (DELETE FROM auth.recognised_devices WHERE user_id = $1 AND sid = $2 RETURNING device_hash, last_at),
     untrusted AS (DELETE FROM auth.trusted_devices t USING gone WHERE t.user_id = $1 AND t.device_hash = gone.device_hash)
UPDATE auth.passwords p SET breached_at = $3 FROM gone WHERE p.user_id = $1 AND p.breached_at IS NULL AND p.changed_at <= gone.last_at`
	existsSignIn = `SELECT EXISTS (SELECT 1 FROM auth.recognised_devices WHERE user_id = $1 AND sid = $2)`
	disownGrants = `UPDATE auth.grants SET revoked_at = $3, revoked_reason = 'disowned' WHERE user_id = $1 AND sid = $2 AND revoked_at IS NULL`
)
