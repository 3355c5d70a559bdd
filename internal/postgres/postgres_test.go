package postgres_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/pgtest"
	"larder/internal/postgres"
	"larder/internal/secret"
	"larder/migrations"
)

var schemas = map[string]func() fs.FS{"auth": migrations.Authserver, "grocery": migrations.ResourceAPI}

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	for schema, steps := range schemas {
		t.Run(schema, func(t *testing.T) {
			db := pgtest.New(t)
			url := secret.String(db.OwnerURL)
			tables := func() int {
				var n int
				err := db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM information_schema.tables WHERE table_schema = $1`, schema).Scan(&n)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			before := tables()
			if before == 0 {
				t.Fatal("the schema has no tables")
			}
			if err := postgres.MigrateDown(t.Context(), url, schema, steps()); err != nil {
				t.Fatal(err)
			}
			if n := tables(); n != 0 {
				t.Fatalf("%d tables are left after going down", n)
			}
			if err := postgres.CheckVersion(t.Context(), db.Owner, schema, steps()); err == nil {
				t.Error("CheckVersion is content with an empty schema")
			}
			if err := postgres.Migrate(t.Context(), url, schema, steps()); err != nil {
				t.Fatal(err)
			}
			if n := tables(); n != before {
				t.Fatalf("%d tables after going up again, had %d", n, before)
			}
			if err := postgres.CheckVersion(t.Context(), db.Owner, schema, steps()); err != nil {
				t.Error(err)
			}
			if _, err := db.Owner.Exec(t.Context(), "DELETE FROM larder_"+schema+"_migrations WHERE version_id = 1"); err != nil {
				t.Fatal(err)
			}
			if err := postgres.CheckVersion(t.Context(), db.Owner, schema, steps()); err == nil {
				t.Error("CheckVersion does not miss the first step")
			}
		})
	}
}

func TestReplicasThatStartTogetherMigrateOnce(t *testing.T) {
	db := pgtest.New(t)
	steps := fstest.MapFS{
		"0001_once.sql": {Data: []byte("-- +goose Up\nCREATE SCHEMA once;\nCREATE TABLE once.t (n int);\nINSERT INTO once.t VALUES (1);\n-- +goose Down\nDROP SCHEMA once CASCADE;\n")},
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), secret.String(db.OwnerURL), "once", steps); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var rows int
	if err := db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM once.t`).Scan(&rows); err != nil || rows != 1 {
		t.Fatalf("%d rows, %v: the step ran other than once", rows, err)
	}
}

func TestARoleThatRowLevelSecurityWouldNotBindIsRefused(t *testing.T) {
	db := pgtest.New(t)
	if err := postgres.CheckRole(t.Context(), db.Owner, "grocery"); err == nil {
		t.Error("the owner passed")
	}
	if err := postgres.CheckRole(t.Context(), db.Grocery, "grocery"); err != nil {
		t.Errorf("the runtime role was refused: %v", err)
	}
	if err := postgres.CheckRole(t.Context(), db.Auth, "auth"); err != nil {
		t.Errorf("the runtime role was refused: %v", err)
	}
}

func TestEachServiceSeesItsOwnSchemaOnly(t *testing.T) {
	db := pgtest.New(t)
	var n int
	if err := db.Grocery.QueryRow(t.Context(), `SELECT count(*) FROM auth.users`).Scan(&n); err == nil {
		t.Error("the grocery role can read auth.users")
	}
	if err := db.Auth.QueryRow(t.Context(), `SELECT count(*) FROM grocery.families`).Scan(&n); err == nil {
		t.Error("the auth role can read grocery.families")
	}
}

func TestErrorsBecomeKinds(t *testing.T) {
	db := pgtest.New(t)
	exec := func(sql string) error {
		return postgres.InTx(t.Context(), db.Owner, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
	}
	const user = `INSERT INTO auth.users (id, name) VALUES ('0193d1a0-0000-7000-8000-000000000001', 'Ada');`
	for name, c := range map[string]struct {
		sql  string
		want fault.Kind
	}{
		"unique":            {user + user, fault.Conflict},
		"foreign key":       {`INSERT INTO auth.passwords (user_id, hash) VALUES ('0193d1a0-0000-7000-8000-000000000009', 'x')`, fault.Conflict},
		"check":             {`INSERT INTO auth.users (id, name) VALUES ('0193d1a0-0000-7000-8000-000000000001', '')`, fault.Invalid},
		"not a uuid":        {`SELECT 'x'::uuid`, fault.Invalid},
		"statement timeout": {`SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)`, fault.Unavailable},
		"killed":            {`SELECT pg_terminate_backend(pg_backend_pid())`, fault.Unavailable},
		"our own mistake":   {`SELECT nonsense`, fault.Internal},
	} {
		if err := exec(c.sql); err == nil || fault.KindOf(err) != c.want {
			t.Errorf("%s: %v is kind %v, want %v", name, err, fault.KindOf(err), c.want)
		}
	}
	var n int
	if err := postgres.Translate(db.Owner.QueryRow(t.Context(), `SELECT 1 WHERE false`).Scan(&n)); !fault.Is(err, fault.NotFound) {
		t.Errorf("no rows: %v", err)
	}
	known := fault.New(fault.Forbidden, "no")
	if err := postgres.Translate(known); !errors.Is(err, known) {
		t.Errorf("a classified error changed: %v", err)
	}
}

func TestAServerThatIsGoneIsUnavailable(t *testing.T) {
	pool, err := postgres.Open(t.Context(), "postgres://nobody:hush@127.0.0.1:1/none", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	err = postgres.InTx(t.Context(), pool, func(pgx.Tx) error { return nil })
	if !fault.Is(err, fault.Unavailable) {
		t.Fatalf("%v, want Unavailable", err)
	}
	if _, err := postgres.Open(context.Background(), "postgres://u:hush@[", 1); err == nil || strings.Contains(err.Error(), "hush") {
		t.Fatalf("a URL that cannot be read: %v", err)
	}
}

func TestTimeoutsAreTheAddresssOrOurs(t *testing.T) {
	t.Parallel()
	const statement, lock, idle = "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"
	for address, want := range map[string]struct {
		connect time.Duration
		params  map[string]string
	}{
		"postgres://localhost/x": {3 * time.Second, map[string]string{statement: "10s", lock: "5s", idle: "30s"}},
		"postgres://localhost/x?connect_timeout=20&lock_timeout=5min":                   {20 * time.Second, map[string]string{statement: "10s", lock: "5min", idle: "30s"}},
		"postgres://localhost/x?statement_timeout=1min&" + idle + "=0&timezone=Etc/GMT": {3 * time.Second, map[string]string{statement: "1min", lock: "5s", idle: "0", "timezone": "UTC"}},
	} {
		pool, err := postgres.Open(t.Context(), secret.String(address), 1)
		if err != nil {
			t.Fatal(err)
		}
		got := pool.Config().ConnConfig
		pool.Close()
		if got.ConnectTimeout != want.connect {
			t.Errorf("%s: a connection may take %s, want %s", address, got.ConnectTimeout, want.connect)
		}
		for name, value := range want.params {
			if got.RuntimeParams[name] != value {
				t.Errorf("%s: %s is %q, want %q", address, name, got.RuntimeParams[name], value)
			}
		}
	}
}
