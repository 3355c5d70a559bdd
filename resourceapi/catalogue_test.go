package main

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/pgtest"
	"larder/internal/postgres"
	"larder/internal/secret"
	"larder/migrations"
)

func strings1(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryFamilyTableIsGuarded(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	tables := strings1(t, db.Owner, `SELECT relname::text FROM pg_class WHERE relnamespace = 'grocery'::regnamespace AND relkind IN ('r', 'p')`)
	if len(tables) < 9 {
		t.Fatalf("only these tables: %v", tables)
	}
	for name, sql := range map[string]string{
		"has no family": `SELECT c.relname::text FROM pg_class c WHERE relnamespace = 'grocery'::regnamespace AND relkind IN ('r', 'p')
			AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnotnull
			  AND a.attname = CASE c.relname WHEN 'families' THEN 'id' ELSE 'family_id' END)`,
		"is not under forced row-level security": `SELECT relname::text FROM pg_class WHERE relnamespace = 'grocery'::regnamespace
			AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)`,
		"has no policy for reading": `SELECT c.relname::text FROM pg_class c WHERE relnamespace = 'grocery'::regnamespace AND relkind IN ('r', 'p')
			AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*'))`,
		"has a policy that names no family and no person": `SELECT tablename || '/' || policyname FROM pg_policies WHERE schemaname = 'grocery'
			AND permissive = 'PERMISSIVE' AND coalesce(qual, with_check) NOT LIKE '%grocery.family()%'`,
		"says who did a thing, and the eraser may not take that away": `SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
			WHERE c.relnamespace = 'grocery'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped AND a.attname LIKE '%\_by'
			  AND (a.atttypid <> 'text'::regtype OR NOT has_column_privilege('larder_grocery', c.oid, a.attnum, 'UPDATE')
			    OR NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd IN ('w', '*')))`,
		"is a view, which would run as its owner": `SELECT relname::text FROM pg_class WHERE relnamespace = 'grocery'::regnamespace AND relkind IN ('v', 'm')`,
		"is a function that runs as its owner":    `SELECT proname::text FROM pg_proc WHERE pronamespace = 'grocery'::regnamespace AND prosecdef`,
		"belongs to the runtime role":             `SELECT relname::text FROM pg_class WHERE relnamespace = 'grocery'::regnamespace AND pg_has_role('larder_grocery', relowner, 'MEMBER')`,
		"is an index that does not begin with the family": `SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
			JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
			WHERE c.relnamespace = 'grocery'::regnamespace AND i.indexrelid NOT IN ('grocery.family_members_of_user'::regclass, 'grocery.footprints_of_user'::regclass, 'grocery.audit_events_settle'::regclass, 'grocery.recurring_due'::regclass, 'grocery.invitations_over'::regclass, 'grocery.app_installations_client'::regclass, 'grocery.audit_checkpoints_day'::regclass)
			  AND a.attname <> CASE c.relname WHEN 'families' THEN 'id' ELSE 'family_id' END`,
	} {
		if found := strings1(t, db.Owner, sql); len(found) > 0 {
			t.Errorf("%v %s", found, name)
		}
	}
}

func TestRuntimeRoleIsConfined(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	tables := strings1(t, h.db.Owner, `SELECT relname::text FROM pg_class WHERE relnamespace = 'grocery'::regnamespace AND relkind IN ('r', 'p')`)
	for _, table := range tables {
		var n int
		if err := h.db.Grocery.QueryRow(t.Context(), `SELECT count(*) FROM grocery.`+table).Scan(&n); err != nil || n != 0 {
			t.Errorf("with no context %s shows %d rows, %v", table, n, err)
		}
	}
	for _, statement := range []string{
		`UPDATE grocery.audit_events SET reason = ''`, `TRUNCATE grocery.items`,
		`UPDATE grocery.items SET private_to = NULL`, `UPDATE grocery.items SET family_id = gen_random_uuid()`,
		`UPDATE grocery.lists SET owner = 'zed'`, `UPDATE grocery.invitations SET role = 'admin'`,
		`ALTER TABLE grocery.items NO FORCE ROW LEVEL SECURITY`, `DROP POLICY item_reach ON grocery.items`,
		`SELECT FROM auth.users`,
	} {
		_, err := h.db.Grocery.Exec(t.Context(), statement)
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "42501" {
			t.Errorf("%s: got %v, want insufficient_privilege", statement, err)
		}
	}
}

func TestContextDoesNotOutliveItsTransaction(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.want(t, 200, h.admin, "GET", h.items(h.shared), nil)
	h.want(t, 200, h.admin, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	h.want(t, 403, h.guest, "DELETE", h.items(h.granted)+"/"+h.grantedItem, nil)
	// The very connections that served these requests.
	for range h.pool.Stat().TotalConns() {
		conn, err := h.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
		var n int
		var settings string
		err = conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM grocery.items), concat(current_setting('app.family', true),
			current_setting('app.standing', true), current_setting('app.principal', true), current_setting('app.user', true),
			current_setting('app.lists', true), current_setting('app.families', true), current_setting('app.rules', true))`).Scan(&n, &settings)
		if err != nil || n != 0 || settings != "" {
			t.Errorf("a pooled connection shows %d rows under %q, %v", n, settings, err)
		}
	}
}

// TestTheDatabaseKnowsTheRules runs as the runtime role, with a context that a
// careless statement might set, and tries what only a rule of the database
// stands against.
func TestTheDatabaseKnowsTheRules(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	type setting map[string]string
	in := func(standing, user string) setting {
		return setting{"app.family": h.id, "app.standing": standing, "app.user": user, "app.principal": "user:" + user}
	}
	for _, test := range []struct {
		name      string
		as        setting
		statement string
		args      []any
	}{
		{
			"a joiner without the invitation", in("joiner", "zed"),
			`INSERT INTO grocery.family_members (family_id, user_id, role, display_name) VALUES ($1, 'zed', 'admin', 'Z')`,
			[]any{h.id},
		},
		{
			"a founder of what was founded before", in("founder", "ann"),
			`INSERT INTO grocery.family_members (family_id, user_id, role, display_name) VALUES ($1, 'ann2', 'admin', 'A')`,
			[]any{h.id},
		},
		{
			"an admin who adds another person", in("admin", "ann"),
			`INSERT INTO grocery.family_members (family_id, user_id, role, display_name) VALUES ($1, 'zed', 'admin', 'Z')`,
			[]any{h.id},
		},
		{
			"a member who promotes himself", in("member", "bob"),
			`UPDATE grocery.family_members SET role = 'admin' WHERE family_id = $1 AND user_id = 'bob'`,
			[]any{h.id},
		},
		{
			"a member who installs an app", in("member", "bob"),
			`INSERT INTO grocery.app_installations (family_id, client_id, scopes, installed_by) VALUES ($1, 'x', '{a}', 'b')`,
			[]any{h.id},
		},
		{
			"a guest who makes a list", in("guest", "gus"),
			`INSERT INTO grocery.lists (family_id, id, kind, name, created_by, position) VALUES ($1, gen_random_uuid(), 'shared', 'x', 'b', 1)`,
			[]any{h.id},
		},
		{
			"a public item on a personal list", in("admin", "ann"),
			`INSERT INTO grocery.items (family_id, list_id, id, name, position, added_by) VALUES ($1, $2, gen_random_uuid(), 'x', 1, 'b')`,
			[]any{h.id, h.private},
		},
		{
			"a feed row of another family", in("admin", "ann"),
			`INSERT INTO grocery.change_feed (family_id, event, entity_id, version, actor) VALUES (gen_random_uuid(), 'x', 'x', 1, 'b')`, nil,
		},
	} {
		err := pgx.BeginFunc(t.Context(), h.db.Grocery, func(tx pgx.Tx) error {
			for name, value := range test.as {
				if _, err := tx.Exec(t.Context(), `SELECT set_config($1, $2, true)`, name, value); err != nil {
					return err
				}
			}
			_, err := tx.Exec(t.Context(), test.statement, test.args...)
			return err
		})
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "42501" {
			t.Errorf("%s: got %v, want a violation of row-level security", test.name, err)
		}
	}
}

func TestHotQueriesUseAnIndexThatBeginsWithTheFamily(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn, err := db.Grocery.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), `SET plan_cache_mode = force_generic_plan`); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ types, sql, args, index string }{
		"standing": {
			"uuid, text", `SELECT role FROM grocery.family_members WHERE family_id = $1 AND user_id = $2`,
			`gen_random_uuid(), 'a'`, "family_members",
		},
		"list": {
			"uuid, uuid", `SELECT kind FROM grocery.lists WHERE family_id = $1 AND id = $2`,
			`gen_random_uuid(), gen_random_uuid()`, "lists_pkey",
		},
		"page": {
			"uuid, uuid, float8, uuid", `SELECT name FROM grocery.items WHERE family_id = $1 AND list_id = $2 AND (position, id) > ($3, $4) ORDER BY position, id LIMIT 50`,
			`gen_random_uuid(), gen_random_uuid(), 0, gen_random_uuid()`, "items_order",
		},
		"audit": {
			"uuid, timestamptz, uuid", `SELECT action FROM grocery.audit_events WHERE family_id = $1 AND (occurred_at, id) < ($2, $3) ORDER BY occurred_at DESC, id DESC LIMIT 50`,
			`gen_random_uuid(), now(), gen_random_uuid()`, "audit_events_time",
		},
	} {
		if _, err := conn.Exec(t.Context(), `PREPARE `+name+` (`+test.types+`) AS `+test.sql); err != nil {
			t.Fatal(err)
		}
		rows, err := conn.Query(t.Context(), `EXPLAIN EXECUTE `+name+` (`+test.args+`)`, pgx.QueryExecModeExec)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, test.index) || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}

func TestMigrationsGoUpDownAndUp(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := secret.String(db.OwnerURL)
	if err := postgres.MigrateDown(t.Context(), owner, schema, migrations.ResourceAPI()); err != nil {
		t.Fatal(err)
	}
	if left := strings1(t, db.Owner, `SELECT nspname::text FROM pg_namespace WHERE nspname = 'grocery'`); len(left) > 0 {
		t.Error("the schema is there after going down")
	}
	for range 2 {
		if err := postgres.Migrate(t.Context(), owner, schema, migrations.ResourceAPI()); err != nil {
			t.Fatal(err)
		}
	}
	newServiceOn(t, db, nil).household(t, "")
}

// What an item's name counted for, written in two ways, becomes one row with the
// step that tells them to be one word.
func TestUsesOfOneNameAreMergedByItsMigration(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := secret.String(db.OwnerURL)
	if err := postgres.MigrateDown(t.Context(), owner, schema, migrations.ResourceAPI()); err != nil {
		t.Fatal(err)
	}
	before := fstest.MapFS{}
	names, err := fs.Glob(migrations.ResourceAPI(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name >= "0121" {
			continue
		}
		step, err := fs.ReadFile(migrations.ResourceAPI(), name)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = &fstest.MapFile{Data: step}
	}
	if err := postgres.Migrate(t.Context(), owner, schema, before); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO grocery.families (id, name, created_by) SELECT ('0198c1f0-0000-7000-8000-00000000000' || n)::uuid, 'F' || n, 'user:ann' FROM generate_series(1, 2) n`,
		// Of family 1 both ways; of its ann, and of family 2, the odd way alone, twice over in the first.
		`INSERT INTO grocery.item_uses (family_id, owner, name_key, name, unit, category, uses, last_at)
		 SELECT ('0198c1f0-0000-7000-8000-00000000000' || n)::uuid, owner, key, name, unit, '', uses, '2026-01-01'::timestamptz + days * interval '1 day' FROM (VALUES
		   (1, '', U&'cr\00E8me', U&'Cr\00E8me', 'l', 3, 1), (1, '', U&'cre\0300me', U&'Cre\0300me', 'ml', 4, 2), (1, '', 'milk', 'Milk', 'l', 5, 3),
		   (1, 'ann', U&'cre\0300me', U&'Cre\0300me', 'ml', 6, 4),
		   (2, '', U&'\1EBF', 'older', 'a', 1, 5), (2, '', U&'e\0302\0301', 'newest', 'b', 2, 7), (2, '', U&'\00EA\0301', 'newer', 'c', 4, 6)
		 ) AS u (n, owner, key, name, unit, uses, days)`,
	} {
		if _, err := db.Owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := postgres.Migrate(t.Context(), owner, schema, migrations.ResourceAPI()); err != nil {
		t.Fatal(err)
	}
	got := strings1(t, db.Owner, `SELECT concat_ws(' ', right(family_id::text, 1), '(' || owner || ')', name_key, unit, uses, last_at::date) FROM grocery.item_uses
		ORDER BY family_id, owner, name_key`)
	want := []string{
		"1 () crème l 7 2026-01-03", "1 () milk l 5 2026-01-04", "1 (ann) crème ml 6 2026-01-05",
		"2 () ế a 7 2026-01-08",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the uses are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if forced := strings1(t, db.Owner, `SELECT relname::text FROM pg_class WHERE oid = 'grocery.item_uses'::regclass AND relrowsecurity AND relforcerowsecurity`); len(forced) != 1 {
		t.Error("row-level security does not bind the owner any more")
	}
}
