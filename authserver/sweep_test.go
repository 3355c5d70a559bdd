package main

import (
	"testing"

	"larder/internal/pgtest"
	"larder/internal/sweep"
)

func sweepNow(t *testing.T, db *pgtest.DB, statement string) {
	t.Helper()
	if _, _, err := sweep.Statement(db.Auth, "", statement).Do(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Who registered and was never used goes; who was used stays, and so does what
// an operator made.
func TestUnusedRegistrationsAreSwept(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, statement := range []string{
		`INSERT INTO auth.users (id, name) VALUES ('01890000-0000-7000-8000-000000000001', 'Ada')`,
		`INSERT INTO auth.clients (id, metadata) SELECT id, '{}' FROM unnest(ARRAY['unused', 'used', 'granted', 'new', 'operators']) AS id`,
		`INSERT INTO auth.clients (id, metadata) VALUES ('machine', '{"grant_types": ["client_credentials"]}')`,
		`INSERT INTO auth.client_registrations (client_id, access_hash, created_at)
		 SELECT id, '', now() - interval '91 days' FROM auth.clients WHERE id IN ('unused', 'used', 'granted', 'machine')`,
		`INSERT INTO auth.client_registrations (client_id, access_hash) VALUES ('new', '')`,
		`INSERT INTO auth.consents (user_id, client_id, scopes, resources) VALUES ('01890000-0000-7000-8000-000000000001', 'used', '{}', '{}')`,
		`INSERT INTO auth.grants (id, client_id, user_id, sid, scopes, resources, session, idle_expires_at, expires_at)
		 VALUES ('01890000-0000-7000-8000-000000000002', 'granted', '01890000-0000-7000-8000-000000000001', 's', '{}', '{}', '{}', now(), now())`,
	} {
		if _, err := db.Owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (names string) {
		t.Helper()
		sweepNow(t, db, endUnusedClients)
		sweepNow(t, db, deleteClients)
		err := db.Owner.QueryRow(t.Context(),
			`SELECT string_agg(id || CASE WHEN disabled_at IS NULL THEN '' ELSE ' (ended)' END, ', ' ORDER BY id) FROM auth.clients`).Scan(&names)
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got := left(); got != "granted, machine, new, operators, unused (ended), used" {
		t.Errorf("at first: %s", got)
	}
	if _, err := db.Owner.Exec(t.Context(), `UPDATE auth.clients SET disabled_at = disabled_at - interval '2 days'`); err != nil {
		t.Fatal(err)
	}
	if got := left(); got != "granted, machine, new, operators, used" {
		t.Errorf("a day later: %s", got)
	}
}

// A service account goes when it is old and has no keys.
func TestServiceAccountsWithoutKeysAreSwept(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, statement := range []string{
		`INSERT INTO auth.service_accounts (id, family_id, name, created_by, created_at)
		 SELECT gen_random_uuid(), gen_random_uuid(), name, 'x', now() - age FROM (VALUES
		   ('idle', interval '91 days'), ('in use', interval '91 days'), ('new', interval '1 day')) AS a (name, age)`,
		`INSERT INTO auth.api_keys (id, service_account_id, hash, hint, scopes)
		 SELECT gen_random_uuid(), id, 'x', 'x', '{}' FROM auth.service_accounts WHERE name = 'in use'`,
	} {
		if _, err := db.Owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	rows, more, err := sweepServiceAccounts(t.Context(), db.Auth)
	var left string
	if err == nil {
		err = db.Owner.QueryRow(t.Context(), `SELECT string_agg(name, ', ' ORDER BY name) FROM auth.service_accounts`).Scan(&left)
	}
	if err != nil || rows != 1 || more || left != "in use, new" {
		t.Errorf("%d deleted, more %t, left %s, %v", rows, more, left, err)
	}
}

// A session that merely expired is told of to nobody, and forgotten.
func TestPartsInExpiredSessionsAreSwept(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, statement := range []string{
		`INSERT INTO auth.clients (id, metadata) VALUES ('web', '{}')`,
		`INSERT INTO auth.session_clients (sid, client_id, user_id, expires_at)
		 SELECT sid, 'web', gen_random_uuid(), now() + after FROM (VALUES ('over', interval '-1 second'), ('on', interval '1 hour')) AS s (sid, after)`,
	} {
		if _, err := db.Owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	sweepNow(t, db, deleteParticipants)
	var left, jobs string
	err := db.Owner.QueryRow(t.Context(), `SELECT (SELECT string_agg(sid, ' ') FROM auth.session_clients), (SELECT count(*)::text FROM auth.river_job)`).Scan(&left, &jobs)
	if err != nil || left != "on" || jobs != "0" {
		t.Errorf("left %q, %s jobs, %v", left, jobs, err)
	}
}
