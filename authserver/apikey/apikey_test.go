package apikey_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/apikey"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/pgtest"
	"larder/internal/revocation"
)

var operator = audit.Actor{Kind: "operator", ID: "test"}

type bundle struct {
	db      *pgtest.DB
	keys    *apikey.Keys
	now     time.Time
	account apikey.ServiceAccount
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{db: pgtest.New(t), now: time.Now().UTC().Truncate(time.Microsecond)}
	b.keys = &apikey.Keys{
		DB: b.db.Auth, Scopes: []string{"lists:read", "lists:write", "family:read"},
		Now: func() time.Time { return b.now }, Log: slog.New(slog.DiscardHandler),
	}
	var err error
	if b.account, err = b.keys.CreateAccount(t.Context(), id.New(), "Fridge", operator); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAKeyIsShownOnceAndIntrospectsToItsFamily(t *testing.T) {
	t.Parallel()
	b := setup(t)
	expiry := b.now.Add(time.Hour)
	made, value, err := b.keys.Create(t.Context(), b.account.ID, []string{"lists:read"}, expiry, operator)
	if err != nil {
		t.Fatal(err)
	}
	plain := value.Reveal()
	if !strings.HasPrefix(plain, "lrd_live_") || len(plain) != len("lrd_live_")+36 || !strings.HasSuffix(plain, made.Hint) {
		t.Fatalf("key %q, hint %q", plain, made.Hint)
	}
	got, err := b.keys.Introspect(t.Context(), plain, "")
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != made.ID || got.FamilyID != b.account.FamilyID || got.ServiceAccountID != b.account.ID ||
		got.Name != "Fridge" || !slices.Equal(got.Scopes, []string{"lists:read"}) || !got.ExpiresAt.Equal(expiry) {
		t.Fatalf("introspected %+v", got)
	}
	var stored int
	err = b.db.Owner.QueryRow(t.Context(),
		`SELECT count(*) FROM auth.api_keys k, auth.audit_events a WHERE k::text || a::text LIKE '%' || $1 || '%'`, plain[9:20]).Scan(&stored)
	if err != nil || stored != 0 {
		t.Fatalf("the key lies readable in the database: %d, %v", stored, err)
	}
}

func TestKeysThatAreNotInForceAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	create := func(expiry time.Time) (apikey.Key, string) {
		k, value, err := b.keys.Create(t.Context(), b.account.ID, []string{"lists:read"}, expiry, operator)
		if err != nil {
			t.Fatal(err)
		}
		return k, value.Reveal()
	}
	_, expiring := create(b.now.Add(time.Minute))
	revoked, revokedValue := create(time.Time{})
	_, orphan := create(time.Time{})
	if err := b.keys.Revoke(t.Context(), revoked.ID, operator); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(2 * time.Minute)
	for name, key := range map[string]string{
		"expired": expiring, "revoked": revokedValue, "a prefix": orphan[:len(orphan)-1], "with a space": orphan + " ",
		"another last character": orphan[:len(orphan)-1] + string('a'+(orphan[len(orphan)-1]+1)%25),
	} {
		if _, err := b.keys.Introspect(t.Context(), key, ""); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v, want Unauthenticated", name, err)
		}
	}
	if _, err := b.keys.Introspect(t.Context(), orphan, ""); err != nil {
		t.Fatalf("the key in force: %v", err)
	}
	if _, err := b.keys.DisableAccount(t.Context(), b.account.ID, operator); err != nil {
		t.Fatal(err)
	}
	if _, err := b.keys.Introspect(t.Context(), orphan, ""); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("of a disabled account: %v", err)
	}
	var set revocation.Set
	if _, err := revocation.Load(t.Context(), b.db.Auth, &set, b.now, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if n := len(set.Since(time.Time{})); n != 3 {
		t.Fatalf("%d revocations in the feed, want every key of the account", n)
	}
}

// noDB fails the test when the database is asked.
type noDB struct {
	apikey.DB
	t *testing.T
}

func (d noDB) QueryRow(context.Context, string, ...any) pgx.Row {
	d.t.Error("the database was asked")
	return row{}
}

type row struct{}

func (row) Scan(...any) error { return errors.New("no database") }

func TestMalformedKeysNeverReachTheDatabase(t *testing.T) {
	t.Parallel()
	keys := &apikey.Keys{DB: noDB{t: t}, Now: time.Now}
	for _, key := range []string{
		"", "lrd_live_", "lrd_test_" + strings.Repeat("a", 36), "lrd_live_" + strings.Repeat("a", 36),
		"lrd_live_" + strings.Repeat("a", 35) + "\x00", strings.Repeat("x", 1<<20),
	} {
		if _, err := keys.Introspect(t.Context(), key, ""); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%.20q: %v", key, err)
		}
	}
}

func TestBadKeysAreRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, err := b.keys.Create(t.Context(), b.account.ID, []string{"lists:read", "admin", "lists:read"}, b.now.Add(-time.Second), operator)
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Invalid || len(e.Fields) != 3 {
		t.Fatalf("%+v", err)
	}
	if _, _, err := b.keys.Create(t.Context(), id.New(), []string{"lists:read"}, time.Time{}, operator); !fault.Is(err, fault.NotFound) {
		t.Fatalf("for nobody: %v", err)
	}
	if err := b.keys.Revoke(t.Context(), id.New(), operator); !fault.Is(err, fault.NotFound) {
		t.Fatalf("revoking nothing: %v", err)
	}
}

func TestLastUseIsWrittenBehindTheRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made, value, err := b.keys.Create(t.Context(), b.account.ID, []string{"lists:read"}, time.Time{}, operator)
	if err != nil {
		t.Fatal(err)
	}
	lastUsed := func() *time.Time {
		// Run writes once more when its context is over.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.keys.Run(ctx)
		all, err := b.keys.List(t.Context(), b.account.ID, id.ID{}, 10)
		if err != nil || len(all) != 1 || all[0].ID != made.ID {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0].LastUsedAt
	}
	if lastUsed() != nil {
		t.Fatal("used before its first use")
	}
	first := b.now
	for range 3 {
		if _, err := b.keys.Introspect(t.Context(), value.Reveal(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := lastUsed(); got == nil || !got.Equal(first) {
		t.Fatalf("last used %v, want %v", got, first)
	}
	b.now = first.Add(30 * time.Second)
	_, _ = b.keys.Introspect(t.Context(), value.Reveal(), "")
	if got := lastUsed(); !got.Equal(first) {
		t.Fatalf("written again within the minute: %v", got)
	}
	b.now = first.Add(2 * time.Minute)
	_ = lastUsed()
	_, _ = b.keys.Introspect(t.Context(), value.Reveal(), "")
	if got := lastUsed(); !got.Equal(b.now) {
		t.Fatalf("last used %v, want %v", got, b.now)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("lrd_live_")
	f.Add("lrd_live_" + strings.Repeat("a", 36))
	f.Add("lrd_live_" + strings.Repeat("é", 18))
	f.Fuzz(func(t *testing.T, s string) {
		if !apikey.Parse(s) {
			return
		}
		// Any one changed character must break the checksum.
		for i := range len(s) {
			b := []byte(s)
			b[i] = 'a' + (b[i]+1)%26
			if b[i] != s[i] && apikey.Parse(string(b)) {
				t.Fatalf("%q and %q both parse", s, b)
			}
		}
	})
}
