package privacy

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/id"
	"larder/internal/postgres"
)

const maxEvents = 5000 // of the activity, the newest

// One statement, so that the parts agree with each other.
const selectAll = `
SELECT json_build_object(
  'account', json_build_object('id', u.id, 'name', u.name, 'operator', u.operator, 'profile', u.profile,
    'created_at', u.created_at, 'updated_at', u.updated_at, 'to_be_deleted_at', u.delete_at),
  'email_addresses', (SELECT coalesce(json_agg(json_build_object('address', e.address, 'primary', e.is_primary, 'verified_at', e.verified_at)), '[]')
     FROM auth.emails e WHERE e.user_id = u.id),
  'password_changed_at', (SELECT p.changed_at FROM auth.passwords p WHERE p.user_id = u.id),
  'connected_apps', (SELECT coalesce(json_agg(json_build_object('client_id', c.client_id, 'name', cl.metadata->>'client_name',
      'scopes', c.scopes, 'resources', c.resources, 'granted_at', c.granted_at) ORDER BY c.client_id), '[]')
     FROM auth.consents c JOIN auth.clients cl ON cl.id = c.client_id WHERE c.user_id = u.id),
  'grants', (SELECT coalesce(json_agg(json_build_object('client_id', g.client_id, 'scopes', g.scopes, 'resources', g.resources,
      'signed_in', g.session, 'created_at', g.created_at, 'expires_at', g.expires_at, 'revoked_at', g.revoked_at, 'revoked_because', g.revoked_reason)
      ORDER BY g.created_at), '[]')
     FROM auth.grants g WHERE g.user_id = u.id),
  'recognised_browsers', (SELECT coalesce(json_agg(json_build_object('network', d.network, 'place', d.place, 'latitude', d.latitude,
      'longitude', d.longitude, 'first_at', d.first_at, 'last_at', d.last_at) ORDER BY d.first_at), '[]')
     FROM auth.recognised_devices d WHERE d.user_id = u.id),
  'activity', (SELECT coalesce(json_agg(json_build_object('at', a.occurred_at, 'action', a.action, 'result', a.result, 'reason', a.reason,
      'client_id', a.client_id, 'ip_address', a.source_ip, 'browser', a.user_agent, 'details', a.details) ORDER BY a.occurred_at DESC), '[]')
     FROM (SELECT id, occurred_at, action, result, reason, client_id, source_ip, user_agent, details FROM auth.audit_events WHERE actor_id = u.id::text
           UNION
           SELECT id, occurred_at, action, result, reason, client_id, source_ip, user_agent, details FROM auth.audit_events WHERE target = u.id::text
           ORDER BY occurred_at DESC LIMIT $2) AS a)
) FROM auth.users u WHERE u.id = $1`

// Part is what one more feature keeps of a person.
type Part struct {
	Name string // the member of the document
	Read func(ctx context.Context, user id.ID) (any, error)
}

// export gathers everything that the authserver holds of a person. Secrets are
// not among it: hashes and keys say nothing about anybody.
func export(ctx context.Context, db *pgxpool.Pool, now time.Time, user id.ID, more []Part) ([]byte, error) {
	var raw []byte
	if err := db.QueryRow(ctx, selectAll, user, maxEvents).Scan(&raw); err != nil {
		return nil, postgres.Translate(err)
	}
	document := map[string]any{"exported_at": now.UTC()}
	if err := json.Unmarshal(raw, &document); err != nil {
		return nil, err
	}
	for _, part := range more {
		value, err := part.Read(ctx, user)
		if err != nil {
			return nil, err
		}
		document[part.Name] = value
	}
	return json.MarshalIndent(document, "", "  ")
}
