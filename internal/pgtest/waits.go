package pgtest

import (
	"testing"
	"time"
)

// Waits returns once n statements wait for a lock in the test's database.
func (db *DB) Waits(t testing.TB, n int) {
	t.Helper()
	const (
		waiting = `SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()`
		looks   = 24_000 // two minutes of them
	)
	var now int
	for range looks {
		if err := db.Owner.QueryRow(t.Context(), waiting).Scan(&now); err != nil {
			t.Fatal(err)
		}
		if now >= n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%d statements wait, not %d", now, n)
}
