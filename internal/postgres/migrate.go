package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"larder/internal/secret"
)

// Migrate brings a schema to the newest of its steps, as the role in url that
// owns it. Replicas that start together take turns under an advisory lock; a
// schema that is up to date costs one query.
func Migrate(ctx context.Context, url secret.String, schema string, steps fs.FS) error {
	return migrate(url, schema, steps, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

// MigrateDown takes back every step; tests use it to go up, down and up.
func MigrateDown(ctx context.Context, url secret.String, schema string, steps fs.FS) error {
	return migrate(url, schema, steps, func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, 0)
		return err
	})
}

func migrate(url secret.String, schema string, steps fs.FS, move func(*goose.Provider) error) error {
	cfg, err := pgx.ParseConfig(url.Reveal())
	if err != nil {
		return errors.New("the database URL cannot be read") // pgx's error may repeat the password
	}
	db := stdlib.OpenDB(*cfg)
	defer func() { _ = db.Close() }()

	// The version table lies outside the schema, so that going down may drop it.
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, steps,
		goose.WithTableName("larder_"+schema+"_migrations"),
		goose.WithSessionLocker(locker),
		// Branches bring their migrations in ranges of their own, in any order.
		goose.WithAllowOutofOrder(true),
		goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrations of schema %s: %w", schema, err)
	}
	if err := move(p); err != nil {
		return fmt.Errorf("migrating schema %s: %w", schema, Translate(err))
	}
	return nil
}

// CheckVersion reports an error unless the schema has every step that this
// program knows; a newer schema is fine, since steps only expand under a
// running release.
func CheckVersion(ctx context.Context, db interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, schema string, steps fs.FS,
) error {
	names, err := fs.Glob(steps, "*.sql")
	if err != nil {
		return err
	}
	known := make([]int64, 0, len(names))
	for _, name := range names {
		v, err := goose.NumericComponent(name)
		if err != nil {
			return err
		}
		known = append(known, v)
	}
	var taken int
	query := "SELECT count(DISTINCT version_id) FROM " + pgx.Identifier{"larder_" + schema + "_migrations"}.Sanitize() + " WHERE version_id = ANY($1)"
	if err := db.QueryRow(ctx, query, known).Scan(&taken); err != nil {
		return fmt.Errorf("reading the version of schema %s: %w", schema, Translate(err))
	}
	if lacks := len(known) - taken; lacks > 0 {
		return fmt.Errorf("schema %s lacks %d of the %d steps of this program: run the migrate subcommand", schema, lacks, len(known))
	}
	return nil
}
