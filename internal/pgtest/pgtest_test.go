package pgtest_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"larder/internal/pgtest"
)

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	one, two := pgtest.New(t), pgtest.New(t)
	if _, err := one.Owner.Exec(t.Context(), `CREATE TABLE public.only_here (n int)`); err != nil {
		t.Fatal(err)
	}
	var there bool
	err := two.Owner.QueryRow(t.Context(), `SELECT to_regclass('public.only_here') IS NOT NULL`).Scan(&there)
	if err != nil || there {
		t.Errorf("a table of one test's database is seen in the other's: %v, %v", there, err)
	}
}

func TestRuntimeRolesAreBoundAndApart(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for name, pool := range map[string]struct {
		own, other string
		query      func(sql string) error
	}{
		"auth":    {"auth", "grocery", func(sql string) error { _, err := db.Auth.Exec(t.Context(), sql); return err }},
		"grocery": {"grocery", "auth", func(sql string) error { _, err := db.Grocery.Exec(t.Context(), sql); return err }},
	} {
		if err := pool.query(`DO $$ BEGIN
			IF NOT has_schema_privilege('` + pool.own + `', 'USAGE') OR has_schema_privilege('` + pool.other + `', 'USAGE') THEN
				RAISE 'wrong schema privileges';
			END IF;
			IF (SELECT rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
				RAISE 'too powerful';
			END IF;
		END $$`); err != nil {
			t.Errorf("role of %s: %v", name, err)
		}
		err := pool.query(`CREATE TABLE ` + pool.own + `.intruder (n int)`)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "42501" {
			t.Errorf("role of %s creates a table in its schema: got %v, want insufficient_privilege", name, err)
		}
	}
}

func TestDatabaseIsDroppedAtTheEnd(t *testing.T) {
	t.Parallel()
	watcher := pgtest.New(t)
	var name string
	t.Run("test", func(t *testing.T) {
		db := pgtest.New(t)
		name = db.Name
		if err := db.Auth.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	var there bool
	err := watcher.Owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there)
	if err != nil || there {
		t.Errorf("database %s is there after its test: %v, %v", name, there, err)
	}
}

func TestRedisDatabasesAreApartAndEmpty(t *testing.T) {
	t.Parallel()
	one, two := pgtest.Redis(t), pgtest.Redis(t)
	if one.Options().DB == two.Options().DB {
		t.Fatalf("both tests got database %d", one.Options().DB)
	}
	if err := one.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := two.Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("a key of one test's database in the other's: %v", err)
	}
	if size, err := two.DBSize(t.Context()).Result(); err != nil || size != 0 {
		t.Errorf("a leased database holds %d keys, %v", size, err)
	}
}
