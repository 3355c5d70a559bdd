package passkey_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"larder/authserver/oidc"
	"larder/internal/audit"
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

// A17: a sign-in by a passkey that is taken away, or into an account that is
// disabled or whose password is reset, at that very moment.
func TestASignInUnderWayDoesNotOutliveThePasskey(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for name, do := range map[string]func(ctx context.Context, user, key id.ID) error{
		"the passkey is removed": func(ctx context.Context, user, key id.ID) error {
			_, err := p.passkeys.Remove(ctx, user, key)
			return err
		},
		"the account is disabled": func(ctx context.Context, user, _ id.ID) error {
			return p.accounts.Disable(ctx, audit.Actor{Kind: "operator", ID: "test"}, user)
		},
		"the password is reset": func(ctx context.Context, user, _ id.ID) error {
			return p.accounts.SetPassword(ctx, audit.Actor{Kind: "operator", ID: "test"}, user, "a dozen fresh brown eggs")
		},
	} {
		user := p.create(t, id.New().String()+"@example.com")
		if _, err := p.db.Owner.Exec(t.Context(), `INSERT INTO auth.passwords (user_id, hash, changed_at) VALUES ($1, 'x', now())`, user); err != nil {
			t.Fatal(err)
		}
		b, d := p.browser(t), newDevice(t)
		b.password(user)
		b.enrol(d, "Phone")
		b.enrol(newDevice(t), "Tablet") // so that the phone is not the last way in
		keys, err := p.passkeys.List(t.Context(), user)
		if err != nil || len(keys) != 2 {
			t.Fatalf("%d passkeys, %v", len(keys), err)
		}
		p.meanwhile = func(ctx context.Context, user id.ID) error { return do(ctx, user, keys[0].ID) }
		fresh := p.browser(t)
		if got := fresh.use(d); got.status != http.StatusForbidden || !strings.Contains(got.body, `role="alert"`) {
			t.Errorf("%s meanwhile: %d %s", name, got.status, got.location)
		}
		if got := fresh.whoami(); got != "" {
			t.Errorf("%s meanwhile, and signed in is %s", name, got)
		}
		p.meanwhile = nil
	}
}
