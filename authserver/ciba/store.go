package ciba

const (
	// Whoever counts the requests of one person, or adds to them, waits for the
	// others who do.
	lockPerson   = `SELECT pg_advisory_xact_lock(hashtextextended(encode($1::bytea, 'hex'), 0))`
	countPending = `SELECT count(*) FROM auth.ciba_requests WHERE person = $1 AND state = 'pending' AND expires_at > $2`

	insertRequest = `
INSERT INTO auth.ciba_requests (id, code_hash, client_id, user_id, person, request, binding_message, factor, notification, poll_interval, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

	selectPending = `
SELECT id, request, binding_message, factor, expires_at FROM auth.ciba_requests
 WHERE user_id = $1 AND state = 'pending' AND expires_at > $2 ORDER BY id DESC`

	selectAll = `
SELECT request, binding_message, state, answered_at, expires_at FROM auth.ciba_requests WHERE user_id = $1 ORDER BY id`

	// The one statement that decides which answer counts.
	answerRequest = `
UPDATE auth.ciba_requests SET state = $4, login = $5, answered_at = $3
 WHERE id = $1 AND user_id = $2 AND state = 'pending' AND expires_at > $3 RETURNING notification IS NOT NULL`

	// Polls of one code wait for each other.
	lockRequest = `
SELECT id, state, request, login, answered_at, polled_at, poll_interval, expires_at
  FROM auth.ciba_requests WHERE code_hash = $1 AND client_id = $2 FOR UPDATE`
	spendRequest   = `UPDATE auth.ciba_requests SET state = 'used' WHERE id = $1`
	restoreRequest = `UPDATE auth.ciba_requests SET state = 'approved' WHERE code_hash = $1 AND state = 'used'`
	notePoll       = `UPDATE auth.ciba_requests SET polled_at = $2, poll_interval = $3 WHERE id = $1`

	selectReader = `
SELECT u.name, e.address, coalesce(u.profile->>'locale', '')
  FROM auth.ciba_requests r JOIN auth.users u ON u.id = r.user_id JOIN auth.emails e ON e.user_id = u.id AND e.is_primary
 WHERE r.id = $1 AND r.state = 'pending' AND r.expires_at > $2`

	selectNotification = `
SELECT client_id, notification FROM auth.ciba_requests
 WHERE id = $1 AND notification IS NOT NULL AND state IN ('approved', 'denied') AND expires_at > $2`
)
