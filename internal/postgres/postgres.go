package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/secret"
)

// Open returns a pool for the runtime role in url. It does not wait for the
// server: a service starts without its database and is not ready until it is
// there. maxConns bounds the pool. Timeouts that url names are kept.
func Open(ctx context.Context, url secret.String, maxConns int32) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		return nil, errors.New("the database URL cannot be read") // pgx's error may repeat the password
	}
	cfg.MaxConns = maxConns
	cfg.MaxConnLifetime = time.Hour
	cfg.MaxConnIdleTime = 10 * time.Minute
	cfg.HealthCheckPeriod = 15 * time.Second
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 3 * time.Second
	}
	params := cfg.ConnConfig.RuntimeParams
	for name, usual := range map[string]string{
		"statement_timeout": "10s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "30s",
	} {
		if params[name] == "" {
			params[name] = usual
		}
	}
	params["timezone"] = "UTC"
	// Every query of ours is served by an index whatever its parameters are, and
	// planning one under row-level security takes ten times as long as running it.
	params["plan_cache_mode"] = "force_generic_plan"
	return pgxpool.NewWithConfig(ctx, cfg)
}

const selectRole = `
SELECT r.rolsuper, r.rolbypassrls,
       EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = $1 AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
  FROM pg_roles r WHERE r.rolname = current_user`

// CheckRole refuses a role that row-level security would not bind: a
// superuser, one with BYPASSRLS, or one that owns (or can become the owner of)
// tables of the schema.
func CheckRole(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	var super, bypass, owner bool
	if err := pool.QueryRow(ctx, selectRole, schema).Scan(&super, &bypass, &owner); err != nil {
		return Translate(err)
	}
	if super || bypass || owner {
		return fmt.Errorf("the runtime role is not confined (superuser %t, bypassrls %t, owner in %s %t): "+
			"use a LOGIN role that is only a member of larder_auth or larder_grocery", super, bypass, schema, owner)
	}
	return nil
}

// Beginner is a pool or a connection.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// InTx runs f in one transaction and commits it if f returns nil. Its errors
// are translated.
func InTx(ctx context.Context, db Beginner, f func(pgx.Tx) error) error {
	return Translate(pgx.BeginFunc(ctx, db, f))
}
