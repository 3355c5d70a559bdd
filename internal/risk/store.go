package risk

const (
	selectRecognised = `
SELECT EXISTS (
  SELECT 1 FROM auth.emails e JOIN auth.recognised_devices d ON d.user_id = e.user_id
   WHERE e.canonical = $1 AND d.device_hash = $2 AND d.last_at > $3)`

	selectPast = `
SELECT EXISTS (SELECT 1 FROM auth.recognised_devices WHERE user_id = $1 AND device_hash = $2),
       EXISTS (SELECT 1 FROM auth.recognised_devices WHERE user_id = $1 AND network = $3),
       EXISTS (SELECT 1 FROM auth.recognised_devices WHERE user_id = $1),
       (SELECT coalesce(sum(count), 0) FROM auth.audit_events
         WHERE target = $5 AND occurred_at > $4 AND action IN ('login.failed', 'reauthentication.failed')),
       EXISTS (SELECT 1 FROM auth.passwords WHERE user_id = $1 AND breached_at IS NOT NULL),
       l.latitude::float8, l.longitude::float8, l.last_at
  FROM (VALUES (1)) AS one (row) LEFT JOIN LATERAL (
    SELECT latitude, longitude, last_at FROM auth.recognised_devices
     WHERE user_id = $1 AND latitude IS NOT NULL ORDER BY last_at DESC LIMIT 1) l ON true`

	// xmax is 0 in a row that this statement has made.
	upsertDevice = `
WITH others AS (SELECT EXISTS (SELECT 1 FROM auth.recognised_devices WHERE user_id = $1 AND device_hash <> $2) AS there)
INSERT INTO auth.recognised_devices AS d (user_id, device_hash, network, place, latitude, longitude, first_at, last_at, sid, request_ids)
VALUES ($1, $2, $3, nullif($4, ''), $5, $6, $7, $7, nullif($8, ''), array_remove(ARRAY[$9], ''))
ON CONFLICT (user_id, device_hash) DO UPDATE SET
  network = excluded.network, place = excluded.place, latitude = excluded.latitude, longitude = excluded.longitude, last_at = excluded.last_at,
  sid = coalesce(excluded.sid, d.sid), request_ids = (excluded.request_ids || d.request_ids)[1:10]
RETURNING xmax = 0, (SELECT there FROM others)`

	deleteOldest = `
DELETE FROM auth.recognised_devices WHERE user_id = $1 AND device_hash NOT IN (
  SELECT device_hash FROM auth.recognised_devices WHERE user_id = $1 ORDER BY last_at DESC LIMIT $2)`

	selectAddress = `SELECT coalesce(e.address, ''), u.name FROM auth.users u LEFT JOIN auth.emails e ON e.user_id = u.id AND e.is_primary WHERE u.id = $1`
)
