package revocation

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"larder/internal/id"
)

const (
	insertRevocation = `
INSERT INTO auth.revocations (kind, value, expires_at) SELECT $1, value, now() + $3::interval FROM unnest($2::text[]) AS value
ON CONFLICT (kind, value) DO UPDATE SET revoked_at = clock_timestamp(), expires_at = greatest(revocations.expires_at, excluded.expires_at)`

	selectRevocations = `
SELECT kind, value, revoked_at, expires_at FROM auth.revocations
 WHERE revoked_at > $1 AND expires_at > now() AND kind <> 'withdrawn' ORDER BY revoked_at LIMIT 100000`

	deleteExpired = `DELETE FROM auth.revocations WHERE expires_at < now()`
)

const (
	// kept is how long a revocation is remembered: twice as long as the longest
	// access token may live, and far longer than any cache of an introspection.
	kept      = 2 * time.Hour
	pollEvery = 500 * time.Millisecond
	// overlap is read again at each poll: a row becomes visible at its commit,
	// which may come this long after its revoked_at.
	overlap = 30 * time.Second
)

// Execer is the transaction of the change that causes a revocation.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Insert revokes in the transaction db of the change that causes it.
func Insert(ctx context.Context, db Execer, kind, value string) error {
	return insert(ctx, db, kind, []string{value})
}

// InsertGrants is Insert for grants that end together, however many they are.
func InsertGrants(ctx context.Context, db Execer, grants []id.ID) error {
	values := make([]string, len(grants))
	for i, g := range grants {
		values[i] = g.String()
	}
	return insert(ctx, db, Grant, values)
}

func insert(ctx context.Context, db Execer, kind string, values []string) error {
	_, err := db.Exec(ctx, insertRevocation, kind, values, kept)
	return err
}

// Querier is a pool or a connection.
type Querier interface {
	Execer
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Load reads into s what was revoked after since, and returns the newest
// revocation that it saw.
func Load(ctx context.Context, db Querier, s *Set, now, since time.Time) (time.Time, error) {
	rows, err := db.Query(ctx, selectRevocations, since)
	if err != nil {
		return since, err
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Entry, error) {
		var e Entry
		return e, row.Scan(&e.Kind, &e.Value, &e.RevokedAt, &e.ExpiresAt)
	})
	if err != nil {
		return since, err
	}
	s.Add(now, entries...)
	if len(entries) > 0 {
		since = entries[len(entries)-1].RevokedAt
	}
	return since, nil
}

// Follow keeps s up to date with the table until ctx is done, and sweeps
// expired rows once a minute. A poll that fails is logged and tried again.
func Follow(ctx context.Context, db Querier, s *Set, now func() time.Time, log *slog.Logger) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var newest, swept time.Time
	for {
		seen, err := Load(ctx, db, s, now(), newest.Add(-overlap))
		newest = seen
		if err == nil && now().Sub(swept) > time.Minute {
			swept = now()
			_, err = db.Exec(ctx, deleteExpired)
		}
		if err != nil && ctx.Err() == nil {
			log.LogAttrs(ctx, slog.LevelWarn, "revocations not read", slog.String("error", err.Error()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
