package personkey

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/jobs"
	"larder/internal/pgtest"
	"larder/internal/secret"
)

const insertPerson = `
WITH person AS (INSERT INTO auth.users (id, name, operator, profile) VALUES ($1, 'Nina', false, '{}') RETURNING id)
INSERT INTO auth.emails (canonical, user_id, address, verified_at) SELECT $1::text || '@example.com', id, $1::text || '@example.com', now() FROM person`

func setup(t *testing.T) (db *pgtest.DB, keys *Keys, user id.ID) {
	t.Helper()
	db, user = pgtest.New(t), id.New()
	log := slog.New(slog.DiscardHandler)
	queue, err := jobs.NewQueue(db.Auth, "auth", log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Owner.Exec(t.Context(), insertPerson, user); err != nil {
		t.Fatal(err)
	}
	return db, &Keys{DB: db.Auth, Jobs: queue, Generate: secret.New, Now: time.Now, Log: log}, user
}

func count(t *testing.T, db *pgxpool.Pool, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func scripts(name string) draft {
	return draft{name: name, family: Family{ID: id.New(), Name: "Bakers"}, scopes: []string{"lists:read"}, expiresAt: time.Now().Add(90 * 24 * time.Hour)}
}

// together runs f so many times at once and returns how often it said yes.
func together(t *testing.T, times int, f func() (bool, error)) (yes int) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range times {
		all.Go(func() {
			ok, err := f()
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if ok {
				yes++
			}
		})
	}
	all.Wait()
	return yes
}

func TestOfManyRevocationsAtOnceOneEndsTheKey(t *testing.T) {
	t.Parallel()
	db, keys, user := setup(t)
	k, _, err := keys.create(t.Context(), user, scripts("Display"))
	if err != nil {
		t.Fatal(err)
	}
	if ended, err := keys.revoke(t.Context(), id.New(), k.ID); ended || err != nil {
		t.Errorf("somebody else's key: ended %t, %v", ended, err)
	}
	if n := together(t, 8, func() (bool, error) { return keys.revoke(t.Context(), user, k.ID) }); n != 1 {
		t.Errorf("%d revocations ended the key", n)
	}
	for query, want := range map[string]int{
		`SELECT count(*) FROM auth.audit_events WHERE action = 'api_key.revoked' AND target = $1`:       1,
		`SELECT count(*) FROM auth.revocations WHERE kind = 'api_key' AND value = $1`:                   1,
		`SELECT count(*) FROM auth.api_keys WHERE id = $1::uuid AND revoked_at IS NULL`:                 0,
		`SELECT count(*) FROM auth.audit_events WHERE action = 'api_key.created' AND target = $1::text`: 1,
	} {
		if n := count(t, db.Owner, query, k.ID.String()); n != want {
			t.Errorf("%s: %d, want %d", query, n, want)
		}
	}
}

func TestTwentyKeysAreEnoughHoweverManyAreMadeAtOnce(t *testing.T) {
	t.Parallel()
	db, keys, user := setup(t)
	n := together(t, maxKeys+4, func() (bool, error) {
		_, _, err := keys.create(t.Context(), user, scripts("Script"))
		if fault.Is(err, fault.Conflict) {
			return false, nil
		}
		return err == nil, err
	})
	if n != maxKeys {
		t.Errorf("%d keys were made", n)
	}
	if _, err := db.Owner.Exec(t.Context(), `UPDATE auth.users SET delete_at = now() WHERE id = $1`, user); err != nil {
		t.Fatal(err)
	}
	if _, _, err := keys.create(t.Context(), user, scripts("Too late")); !fault.Is(err, fault.Conflict) {
		t.Errorf("a key for an account that is about to go: %v", err)
	}
}

func TestOwnersAreWarnedOnceAndInTime(t *testing.T) {
	t.Parallel()
	db, keys, user := setup(t)
	for name, days := range map[string]struct{ age, left int }{
		"due":       {85, 5},
		"not yet":   {80, 10},
		"over":      {91, -1},
		"brief one": {1, 6},
	} {
		if _, err := db.Owner.Exec(t.Context(), `
INSERT INTO auth.api_keys (id, user_id, family_id, family_name, name, hash, hint, scopes, created_at, expires_at)
VALUES ($1, $2, $1, 'Bakers', $3, decode(md5($3), 'hex'), 'abcd', '{lists:read}', now() - $4 * interval '1 day', now() + $5 * interval '1 day')`,
			id.New(), user, name, days.age, days.left); err != nil {
			t.Fatal(err)
		}
	}
	together(t, 4, func() (bool, error) { return false, keys.Warn(t.Context()) })
	rows, err := db.Owner.Query(t.Context(), `SELECT args->'facts'->>'key' FROM auth.river_job WHERE kind = 'mail' AND args->>'template' = 'key_expires'`)
	if err != nil {
		t.Fatal(err)
	}
	warned, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || fmt.Sprint(warned) != "[due]" {
		t.Errorf("warned of %q, %v", warned, err)
	}
}

func TestAKeyIsAPersonsOrAServiceAccounts(t *testing.T) {
	t.Parallel()
	db, _, user := setup(t)
	for name, query := range map[string]string{
		"nobody's":     `INSERT INTO auth.api_keys (id, hash, hint, scopes) VALUES ($1, 'a', 'abcd', '{}')`,
		"without end":  `INSERT INTO auth.api_keys (id, user_id, family_id, family_name, name, hash, hint, scopes) VALUES ($1, $1, $1, 'F', 'K', 'b', 'abcd', '{}')`,
		"of no family": `INSERT INTO auth.api_keys (id, user_id, name, hash, hint, scopes, expires_at) VALUES ($1, $1, 'K', 'c', 'abcd', '{}', now())`,
	} {
		if _, err := db.Owner.Exec(t.Context(), query, user); err == nil || errors.Is(err, t.Context().Err()) {
			t.Errorf("a key that is %s: %v", name, err)
		}
	}
}
