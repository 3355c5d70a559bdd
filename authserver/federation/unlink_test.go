package federation

import (
	"strings"
	"testing"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/pgtest"
)

func TestTheLastWayInIsNotUnlinked(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := &Identities{DB: db.Auth, Now: time.Now}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Owner.Exec(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	const insert = `
INSERT INTO auth.identities (id, user_id, provider, issuer, subject, email, private_relay, created_at, last_used_at, suspended_at)
VALUES ($1::uuid, $2, $3, $3, $1::uuid::text, 'nina@example.com', false, now(), now(), CASE WHEN $4 THEN now() END)`
	for name, has := range map[string]struct{ password, passkey, apple, suspended, goes bool }{
		"alone":                           {},
		"beside a password":               {password: true, goes: true},
		"beside a passkey":                {passkey: true, goes: true},
		"beside Apple":                    {apple: true, goes: true},
		"beside Apple, suspended":         {apple: true, suspended: true},
		"beside a passkey and that Apple": {passkey: true, apple: true, suspended: true, goes: true},
		"beside all":                      {password: true, passkey: true, apple: true, goes: true},
	} {
		user, linked := id.New(), id.New()
		exec(`INSERT INTO auth.users (id, name, operator, profile) VALUES ($1, 'Nina', false, '{}')`, user)
		exec(insert, linked, user, google, false)
		if has.password {
			exec(`INSERT INTO auth.passwords (user_id, hash, changed_at) VALUES ($1, 'x', now())`, user)
		}
		if has.passkey {
			exec(`INSERT INTO auth.passkey_users (user_id, handle) VALUES ($1::uuid, decode(repeat(md5($1::uuid::text), 4), 'hex'))`, user)
			exec(`INSERT INTO auth.passkeys (id, user_id, credential_id, public_key, sign_count, backup_eligible, backup_state, name, created_at)
VALUES ($1::uuid, $1::uuid, decode(md5($1::uuid::text), 'hex'), 'x', 0, false, false, 'Phone', now())`, user)
		}
		if has.apple {
			exec(insert, id.New(), user, apple, has.suspended)
		}
		err := s.unlink(t.Context(), user, linked)
		if has.goes && err != nil || !has.goes && !fault.Is(err, fault.Conflict) {
			t.Errorf("unlinking Google %s: %v", name, err)
		}
	}
}

func TestANameFromElsewhereIsFitForAnAccount(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		" Ada \t Lovelace ":             "Ada Lovelace",
		"Ada\x00\x1b[31mLovelace\u0085": "Ada [31mLovelace",
		"Ada\xff":                       "Ada",
		"\x07":                          "nina",
		strings.Repeat("é", 150):        strings.Repeat("é", 100),
	} {
		if got := nameOf(&profile{Name: said, Email: "nina@example.com"}); got != want {
			t.Errorf("%q becomes %q, want %q", said, got, want)
		}
	}
	if got := nameOf(&profile{Email: "x7@privaterelay.appleid.com", PrivateRelay: true}); got != "New member" {
		t.Errorf("a forwarding address becomes %q", got)
	}
}
