package passkey_test

import (
	"testing"

	"larder/internal/fault"
	"larder/internal/id"
)

func TestTheLastWayInIsNotRemoved(t *testing.T) {
	t.Parallel()
	p := setup(t)
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := p.db.Owner.Exec(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	for name, has := range map[string]struct{ password, another, google, suspended, goes bool }{
		"alone":                    {},
		"beside a password":        {password: true, goes: true},
		"beside another passkey":   {another: true, goes: true},
		"beside Google":            {google: true, goes: true},
		"beside Google, suspended": {google: true, suspended: true},
		"beside all":               {password: true, another: true, google: true, goes: true},
	} {
		user, key := p.create(t, id.New().String()+"@example.com"), id.New()
		if has.password {
			exec(`INSERT INTO auth.passwords (user_id, hash, changed_at) VALUES ($1, 'x', now())`, user)
		}
		exec(`INSERT INTO auth.passkey_users (user_id, handle) VALUES ($1::uuid, decode(repeat(md5($1::uuid::text), 4), 'hex'))`, user)
		const insert = `
INSERT INTO auth.passkeys (id, user_id, credential_id, public_key, sign_count, backup_eligible, backup_state, name, created_at)
VALUES ($1::uuid, $2, decode(md5($1::uuid::text), 'hex'), 'x', 0, false, false, 'Phone', now())`
		exec(insert, key, user)
		if has.another {
			exec(insert, id.New(), user)
		}
		if has.google {
			exec(`
INSERT INTO auth.identities (id, user_id, provider, issuer, subject, email, private_relay, created_at, last_used_at, suspended_at)
VALUES ($1::uuid, $1::uuid, 'google', 'google', $1::uuid::text, 'nina@example.com', false, now(), now(), CASE WHEN $2 THEN now() END)`, user, has.suspended)
		}
		_, err := p.passkeys.Remove(t.Context(), user, key)
		if has.goes && err != nil || !has.goes && !fault.Is(err, fault.Conflict) {
			t.Errorf("removing the passkey %s: %v", name, err)
		}
	}
}
