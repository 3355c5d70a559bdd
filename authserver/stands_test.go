package main

import (
	"log/slog"
	"testing"
	"time"

	"larder/authserver/account"
	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/id"
)

// Sessions and accounts do not know each other; whether a session asks once more
// for what was shown is decided where both are made.
func TestASessionAsksWhetherWhatWasShownStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg, err := loadConfig(lookup(w.env), needServe)
	if err != nil {
		t.Fatal(err)
	}
	c, err := openCore(t.Context(), cfg, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	user, err := c.accounts.Create(t.Context(), audit.Actor{Kind: "operator", ID: "test"}, account.NewUser{Name: "Ada", Email: "ada@example.com", Password: testPassword})
	if err != nil {
		t.Fatal(err)
	}
	var set time.Time
	if err := w.db.Owner.QueryRow(t.Context(), `SELECT changed_at FROM auth.passwords WHERE user_id = $1`, user).Scan(&set); err != nil {
		t.Fatal(err)
	}
	passkey, linked, suspended := id.New(), id.New(), id.New()
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := w.db.Owner.Exec(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO auth.passkey_users (user_id, handle) VALUES ($1, 'x')`, user)
	exec(`INSERT INTO auth.passkeys (id, user_id, credential_id, public_key, sign_count, backup_eligible, backup_state, name, created_at)
VALUES ($1, $2, 'x', 'x', 0, false, false, 'Phone', now())`, passkey, user)
	const link = `
INSERT INTO auth.identities (id, user_id, provider, issuer, subject, email, created_at, last_used_at, suspended_at)
VALUES ($1::uuid, $2, 'google', 'google', $1::uuid::text, 'ada@example.com', now(), now(), CASE WHEN $3 THEN now() END)`
	exec(link, linked, user, false)
	exec(link, suspended, user, true)
	check := func(name string, shown oidc.Login, want bool) {
		t.Helper()
		shown.Subject = user
		if stands, err := c.sessions.Stands(t.Context(), shown); err != nil || stands != want {
			t.Errorf("%s: %t, %v; want %t", name, stands, err, want)
		}
	}
	check("the password", oidc.Login{PasswordSet: set}, true)
	check("an older password", oidc.Login{PasswordSet: set.Add(-time.Hour)}, false)
	check("the passkey", oidc.Login{Passkey: passkey}, true)
	check("a passkey that is gone", oidc.Login{Passkey: id.New()}, false)
	check("an account elsewhere", oidc.Login{Identity: linked}, true)
	check("one that is unlinked", oidc.Login{Identity: id.New()}, false)
	check("one that is disabled there", oidc.Login{Identity: suspended}, false)
	check("an older password and a passkey", oidc.Login{PasswordSet: set.Add(-time.Hour), Passkey: passkey}, false)
	check("a session that there was", oidc.Login{}, true)
	exec(`UPDATE auth.users SET disabled_at = now() WHERE id = $1`, user)
	check("an account that is disabled", oidc.Login{Passkey: passkey}, false)
	check("a session of an account that is disabled", oidc.Login{}, false)
}
