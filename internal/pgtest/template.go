package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"

	"larder/internal/devstack/servers"
	"larder/internal/postgres"
	"larder/internal/secret"
	"larder/migrations"
)

const (
	testPrefix     = "larder_test_"
	templatePrefix = "larder_template_"
)

// schema is what one service keeps, and the steps that make it.
type schema struct {
	name  string
	steps fs.FS
}

func schemas() []schema {
	return []schema{{"auth", migrations.Authserver()}, {"grocery", migrations.ResourceAPI()}}
}

// ensureTemplate returns the name of a database with both schemas, made by whichever test comes first.
func ensureTemplate(ctx context.Context, conn *pgx.Conn, server string) (string, error) {
	sum, err := contentHash(schemas())
	if err != nil {
		return "", err
	}
	name := templatePrefix + sum
	if there, err := exists(ctx, conn, name); err != nil || there {
		return name, err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtext($1))`, templatePrefix); err != nil {
		return "", err
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtext($1))`, templatePrefix)
	}()
	if there, err := exists(ctx, conn, name); err != nil || there {
		return name, err
	}
	if err := sweep(ctx, conn); err != nil {
		return "", err
	}
	return name, build(ctx, conn, server, name)
}

// build makes the template under another name first, so that a killed build is never taken for a template.
func build(ctx context.Context, conn *pgx.Conn, server, name string) error {
	half := name + "_half"
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + quote(half) + " WITH (FORCE)", "CREATE DATABASE " + quote(half)} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make the template database (the role of the database address needs CREATEDB): %w", err)
		}
	}
	address, err := servers.WithDatabase(server, half)
	if err != nil {
		return err
	}
	for _, s := range schemas() {
		if err := postgres.Migrate(ctx, secret.String(address), s.name, s.steps); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+quote(half)+" RENAME TO "+quote(name))
	return err
}

// sweep drops what nobody will use again: databases of tests that were killed over an hour ago, and the templates of
// migrations that have changed since. Another checkout on the same server builds its template anew when it misses it.
func sweep(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `
		SELECT datname FROM pg_database d
		WHERE (starts_with(datname, $1)
		       OR (starts_with(datname, $2) AND split_part(datname, '_', 3) ~ '^[0-9]+$'
		           AND split_part(datname, '_', 3)::bigint < extract(epoch FROM now()) - 3600))
		  AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)`, templatePrefix, testPrefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		// Somebody may be cloning it right now, which the server refuses to disturb: then it stays for next time.
		_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name))
	}
	return nil
}

func exists(ctx context.Context, conn *pgx.Conn, database string) (bool, error) {
	var there bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&there)
	return there, err
}

// contentHash names the migrations: each schema, each file and what is in it.
func contentHash(all []schema) (string, error) {
	sum := sha256.New()
	for _, s := range all {
		names, err := fs.Glob(s.steps, "*.sql")
		if err != nil {
			return "", err
		}
		for _, name := range names {
			raw, err := fs.ReadFile(s.steps, name)
			if err != nil {
				return "", err
			}
			_, _ = fmt.Fprintf(sum, "%s/%s %d\n%s", s.name, name, len(raw), raw)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
