package main

import (
	"testing"

	"larder/internal/id"
)

// What is over goes in families in which nothing happens any more, also in one
// that was deleted, and what is not over stays.
func TestWhatIsOverIsSweptInIdleFamilies(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := h.db.Owner.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`UPDATE grocery.families SET history_days = 10 WHERE id = $1`, h.id)
	for _, days := range []int{6, 9, 29} {
		for _, family := range []string{h.id, id.New().String()} { // nobody's, too
			exec(`INSERT INTO grocery.change_feed (family_id, occurred_at, event, entity_id, version, actor)
			      SELECT $1, now() - make_interval(days => $2), 'old', 'x', 1, 'x' FROM generate_series(1, 3)`, family, days)
			exec(`INSERT INTO grocery.change_feed (family_id, occurred_at, event, entity_id, version, actor)
			      SELECT $1, now() - make_interval(days => $2 + 30), 'over', 'x', 1, 'x' FROM generate_series(1, 3)`, family, days)
			exec(`INSERT INTO grocery.operations (family_id, principal, id, digest, status, done_at)
			      VALUES ($1, 'x', gen_random_uuid(), '', 'applied', now() - make_interval(days => $2))`, family, days)
		}
		exec(`INSERT INTO grocery.item_history (family_id, item_id, list_id, removed, changed_by, changed_at, version, name, unit, note, category, barcode, photo, position, added_by, created_at)
		      VALUES ($1, gen_random_uuid(), $2, false, 'x', now() - make_interval(days => $3), 1, 'x', '', '', '', '', '', 1, 'x', now())`, h.id, h.shared, days)
	}
	h.sweeper.Sweep(t.Context())
	for name, test := range map[string]struct{ sql, want string }{
		"change_feed":  {`SELECT count(*) FILTER (WHERE event = 'old') || ' ' || count(*) FILTER (WHERE event = 'over') FROM grocery.change_feed`, "18 0"},
		"operations":   {`SELECT count(*) FROM grocery.operations WHERE principal = 'x'`, "2"},
		"item_history": {`SELECT count(*) FROM grocery.item_history WHERE changed_by = 'x'`, "2"},
	} {
		var got string
		if err := h.db.Owner.QueryRow(t.Context(), `SELECT (`+test.sql+`)::text`).Scan(&got); err != nil || got != test.want {
			t.Errorf("%s: %s are left, %v; want %s", name, got, err, test.want)
		}
	}
}
