package account_test

import (
	"net/http"
	"strings"
	"testing"

	"larder/authserver/account"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/password"
)

func TestCreateAndFind(t *testing.T) {
	p := setup(t)
	user, err := p.accounts.Create(t.Context(), operator(), account.NewUser{
		Name: " Ada Baker ", Email: "Ada@Example.com", Password: goodPassword, Operator: true, Profile: map[string]any{"locale": "de"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, spelt := range []string{"ada@example.com", "ADA@EXAMPLE.COM"} {
		u, err := p.accounts.ByEmail(t.Context(), spelt)
		if err != nil || u.ID != user || u.Name != "Ada Baker" || u.Email != "Ada@Example.com" || u.EmailVerified || !u.Operator || u.Disabled || u.Profile["locale"] != "de" {
			t.Errorf("ByEmail(%q) = %+v, %v", spelt, u, err)
		}
	}
	if _, err := p.accounts.User(t.Context(), id.New()); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown user: %v, want NotFound", err)
	}
	var n int
	if err := p.db.QueryRow(t.Context(), `SELECT count(*) FROM auth.audit_events WHERE action = 'user.created' AND target = $1`, user.String()).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d audit events, %v", n, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	p := setup(t)
	p.create(t, "ada@example.com")
	for name, c := range map[string]struct {
		user account.NewUser
		kind fault.Kind
	}{
		"the same address":        {account.NewUser{Name: "Eve", Email: "ada@example.com", Password: goodPassword}, fault.Conflict},
		"another spelling":        {account.NewUser{Name: "Eve", Email: "\uff21DA@example.COM", Password: goodPassword}, fault.Conflict},
		"no address":              {account.NewUser{Name: "Eve", Password: goodPassword}, fault.Invalid},
		"no name":                 {account.NewUser{Name: " ", Email: "eve@example.com", Password: goodPassword}, fault.Invalid},
		"a name of two lines":     {account.NewUser{Name: "Eve\r\nEvil", Email: "eve@example.com", Password: goodPassword}, fault.Invalid},
		"a short password":        {account.NewUser{Name: "Eve", Email: "eve@example.com", Password: "short"}, fault.Invalid},
		"the address as password": {account.NewUser{Name: "Eve", Email: "eve.the.third@example.com", Password: "eve.the.third@example.com"}, fault.Invalid},
	} {
		if _, err := p.accounts.Create(t.Context(), operator(), c.user); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, want kind %d", name, err, c.kind)
		}
	}
	all, err := p.accounts.List(t.Context(), id.ID{}, 100)
	if err != nil || len(all) != 1 {
		t.Errorf("%d users, %v; a refused one was stored", len(all), err)
	}
}

func TestListPages(t *testing.T) {
	p := setup(t)
	for _, email := range []string{"a@example.com", "b@example.com", "c@example.com"} {
		if _, err := p.accounts.Create(t.Context(), operator(), account.NewUser{Name: email, Email: email}); err != nil {
			t.Fatal(err)
		}
	}
	first, err := p.accounts.List(t.Context(), id.ID{}, 2)
	if err != nil || len(first) != 2 {
		t.Fatalf("%d, %v", len(first), err)
	}
	rest, err := p.accounts.List(t.Context(), first[1].ID, 2)
	if err != nil || len(rest) != 1 || rest[0].Email != "c@example.com" {
		t.Errorf("%+v, %v", rest, err)
	}
}

func TestAnAddressAndItsPasswordSignIn(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.create(t, "ada@example.com")
	if _, err := p.accounts.Create(t.Context(), operator(), account.NewUser{Name: "No Password", Email: "none@example.com"}); err != nil {
		t.Fatal(err)
	}
	b := p.browser(t, "192.0.2.1")
	for email, pass := range map[string]string{"ada@example.com": goodPassword + "x", "none@example.com": "", "eve@example.com": goodPassword, "": "", "not an address": goodPassword} {
		if got := b.signIn(email, pass); got.status != http.StatusForbidden || b.get("/account").location != "/login" {
			t.Errorf("%q: %d to %q", email, got.status, got.location)
		}
	}
	if got := b.signIn("ADA@example.com", goodPassword); got.status != http.StatusSeeOther || !strings.Contains(b.get("/account").body, "ada@example.com") {
		t.Errorf("%d to %q", got.status, got.location)
	}
}

func TestAHashOfOldParametersIsRenewedAtSignIn(t *testing.T) {
	p := setup(t)
	user := p.create(t, "ada@example.com")
	hash := func() (h string) {
		if err := p.db.QueryRow(t.Context(), `SELECT hash FROM auth.passwords WHERE user_id = $1`, user).Scan(&h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	before := hash()
	p.accounts.Hasher = password.NewHasher(password.Params{Memory: 2 << 10, Time: 1, Threads: 1}, 2, 2)
	for range 2 {
		if got := p.browser(t, "192.0.2.1").signIn("ada@example.com", goodPassword); got.status != http.StatusSeeOther {
			t.Fatalf("%d to %q", got.status, got.location)
		}
	}
	if after := hash(); after == before || !strings.Contains(after, "m=2048,") {
		t.Errorf("hash = %s, was %s", after, before)
	}
}

// A17: what was let in before is out after.
func TestDisablingAndANewPasswordEndEverything(t *testing.T) {
	for name, act := range map[string]func(p *place, user id.ID) error{
		"disable": func(p *place, user id.ID) error { return p.accounts.Disable(t.Context(), operator(), user) },
		"new password": func(p *place, user id.ID) error {
			return p.accounts.SetPassword(t.Context(), operator(), user, secretOf("a dozen fresh brown eggs"))
		},
	} {
		p := setup(t)
		user := p.create(t, "ada@example.com")
		b := p.browser(t, "192.0.2.1")
		b.signIn("ada@example.com", goodPassword)
		if _, err := p.db.Exec(t.Context(), `INSERT INTO auth.clients (id, metadata) VALUES ('web', '{}')`); err != nil {
			t.Fatal(err)
		}
		if _, err := p.db.Exec(t.Context(), `INSERT INTO auth.grants (id, client_id, user_id, sid, scopes, resources, session, idle_expires_at, expires_at)
			VALUES ($1, 'web', $2, 's', '{}', '{}', '{}', now() + interval '1 day', now() + interval '1 day')`, id.New(), user); err != nil {
			t.Fatal(err)
		}
		if err := act(p, user); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := b.get("/account"); got.location != "/login" {
			t.Errorf("%s: the session lives on: %d", name, got.status)
		}
		if got := p.browser(t, "192.0.2.1").signIn("ada@example.com", goodPassword); got.status != 403 {
			t.Errorf("%s: the old password: %d, want 403", name, got.status)
		}
		var alive, revoked int
		err := p.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM auth.grants WHERE revoked_at IS NULL),
			(SELECT count(*) FROM auth.revocations WHERE kind = 'sub' AND value = $1 AND expires_at > now())`, user.String()).Scan(&alive, &revoked)
		if err != nil || alive != 0 || revoked != 1 {
			t.Errorf("%s: %d grants alive, %d revocations, %v; want 0 and 1", name, alive, revoked, err)
		}
	}
	p := setup(t)
	if err := p.accounts.Disable(t.Context(), operator(), id.New()); !fault.Is(err, fault.NotFound) {
		t.Errorf("disabling nobody: %v, want NotFound", err)
	}
	user := p.create(t, "ada@example.com")
	for range 2 {
		if err := p.accounts.Disable(t.Context(), operator(), user); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.accounts.Enable(t.Context(), operator(), user); err != nil {
		t.Fatal(err)
	}
	if got := p.browser(t, "192.0.2.1").signIn("ada@example.com", goodPassword); got.status != http.StatusSeeOther {
		t.Errorf("after Enable: %d to %q", got.status, got.location)
	}
}
