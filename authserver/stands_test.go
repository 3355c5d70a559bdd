package main

import (
	"log/slog"
	"testing"
	"time"

	"larder/authserver/account"
	"larder/authserver/oidc"
	"larder/internal/audit"
)

// Sessions and accounts do not know each other; whether a session asks for the
// password once more is decided where both are made.
func TestASessionAsksWhetherThePasswordStands(t *testing.T) {
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
	for given, want := range map[time.Time]bool{set: true, set.Add(-time.Hour): false, {}: true} {
		if stands, err := c.sessions.Stands(t.Context(), oidc.Login{Subject: user, PasswordSet: given}); err != nil || stands != want {
			t.Errorf("a password set %v: %t, %v; want %t", given, stands, err, want)
		}
	}
}
