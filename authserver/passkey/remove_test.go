package passkey_test

import (
	"net/http"
	"testing"

	"larder/authserver/oidc"
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

// Without the last factor a session says the first one, and no other.
func TestWithoutAPasskeyTheSessionSaysHowItBegan(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for path, want := range map[string]string{"": oidc.ACRPassword + " pwd", "?elsewhere": oidc.ACRFederated + " fed"} {
		user := p.create(t, id.New().String()+"@example.com")
		if _, err := p.db.Owner.Exec(t.Context(), `INSERT INTO auth.passwords (user_id, hash, changed_at) VALUES ($1, 'x', now())`, user); err != nil {
			t.Fatal(err)
		}
		b := p.browser(t)
		b.do(http.MethodPost, "/password/"+user.String()+path, nil)
		b.enrol(newDevice(t), "Phone")
		keys, err := p.passkeys.List(t.Context(), user)
		if err != nil || len(keys) != 1 {
			t.Fatalf("%d passkeys, %v", len(keys), err)
		}
		if got := b.press("/account/security", "passkey-remove", "passkey", keys[0].ID.String()); got.status != http.StatusSeeOther {
			t.Fatalf("%d %s", got.status, got.body)
		}
		if got := b.whoami(); got != user.String()+" "+want {
			t.Errorf("%q: the session says %q, want %s", path, got, want)
		}
	}
}
