package onetime

const (
	fromWays = `
  FROM auth.message_factors m LEFT JOIN auth.emails e ON e.user_id = m.user_id AND e.is_primary AND e.verified_at IS NOT NULL
 WHERE m.user_id = $1`
	selectWays    = `SELECT m.channel, coalesce(m.phone, e.address, ''), m.created_at` + fromWays + ` ORDER BY m.channel`
	selectTarget  = `SELECT coalesce(m.phone, e.address, '')` + fromWays + ` AND m.channel = $2`
	selectMailbox = `SELECT address FROM auth.emails WHERE user_id = $1 AND is_primary AND verified_at IS NOT NULL`
	hasStronger   = `
SELECT EXISTS (SELECT 1 FROM auth.mfa_totp WHERE user_id = $1) OR EXISTS (SELECT 1 FROM auth.passkeys WHERE user_id = $1)
  FROM auth.users WHERE id = $1 FOR NO KEY UPDATE`
	upsertWay = `
INSERT INTO auth.message_factors (user_id, channel, phone, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id, channel) DO UPDATE SET phone = excluded.phone, created_at = excluded.created_at`
	deleteWay = `DELETE FROM auth.message_factors WHERE user_id = $1 AND channel = $2`

	upsertCode = `
INSERT INTO auth.one_time_codes (user_id, purpose, id, channel, target, device_hash, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (user_id, purpose) DO UPDATE SET id = excluded.id, channel = excluded.channel, target = excluded.target,
  device_hash = excluded.device_hash, tries = 0, expires_at = excluded.expires_at`
	// Counts a try before the code is looked at, so that tries at once count each.
	takeTry = `
UPDATE auth.one_time_codes SET tries = tries + 1
 WHERE user_id = $1 AND purpose = $2 AND device_hash = $3 AND expires_at > $4 AND tries < $5 RETURNING id, channel, target`
	// The one statement that decides who spends a code.
	spendCode  = `DELETE FROM auth.one_time_codes WHERE id = $1`
	selectCode = `
SELECT c.channel, c.target, u.name, coalesce(u.profile->>'locale', '') FROM auth.one_time_codes c JOIN auth.users u ON u.id = c.user_id WHERE c.id = $1 AND c.expires_at > $2`
)
