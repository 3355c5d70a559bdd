package main

import (
	"context"
	"sync"
	"testing"
	"time"
)

func TestRecurringItemsComeBack(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	path := h.path + "/recurring"
	milk := map[string]any{"name": "Oat milk", "quantity": 2, "unit": "l", "list_id": h.shared, "every": 3, "period": "day"}
	made := h.want(t, 201, h.member, "POST", path, milk)
	at := path + "/" + made.field(t, "id")
	if got := h.want(t, 200, h.member, "GET", at, nil); got.field(t, "next_on") == "" {
		t.Errorf("%s", got)
	}
	for _, bad := range []map[string]any{
		{"name": "x", "list_id": h.shared, "period": "hour"},
		{"name": "x", "list_id": h.shared, "period": "day", "every": 0},
		{"name": "x", "list_id": h.shared, "period": "day", "next_on": "2001-01-01"},
		{"name": "x", "list_id": h.shared, "period": "day", "next_on": "tomorrow"},
		{"name": "x", "list_id": h.private, "period": "day"},
		{"name": "x", "period": "day"},
	} {
		if got := h.do(t, h.admin, "POST", path, bad).status; got != 400 && got != 422 {
			t.Errorf("%v: %d", bad, got)
		}
	}
	h.want(t, 403, h.guest, "GET", path, nil)
	h.want(t, 404, h.alien, "POST", path, milk)
	h.want(t, 412, h.member, "PATCH", at, map[string]any{"every": 2}, "If-Match", `"9"`)
	h.want(t, 200, h.member, "PATCH", at, map[string]any{"every": 1, "period": "week"}, "If-Match", `"1"`)

	// Two replicas look at the same moment, and again while it is there still.
	second := newServiceOn(t, h.db, nil)
	comeDue := func() {
		t.Helper()
		if _, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.recurring SET next_on = next_on - 7, next_at = now() - interval '1 minute'`); err != nil {
			t.Fatal(err)
		}
		var looks sync.WaitGroup
		for _, s := range []*service{h.service, second} {
			looks.Go(func() { s.orders.Look(t.Context()) })
		}
		looks.Wait()
	}
	count := func(list string) (open int) {
		t.Helper()
		if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM grocery.items WHERE family_id = $1 AND list_id = $2 AND name = 'Oat milk' AND checked_at IS NULL`,
			h.id, list).Scan(&open); err != nil {
			t.Fatal(err)
		}
		return open
	}
	comeDue()
	comeDue()
	if got := count(h.shared); got != 1 {
		t.Fatalf("it is on the list %d times", got)
	}
	if got := h.want(t, 200, h.member, "GET", at, nil).field(t, "next_on"); got <= time.Now().UTC().Add(-24*time.Hour).Format(time.DateOnly) {
		t.Errorf("next on %s", got)
	}
	// Bought, it comes back; on an archived list it does not.
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.items SET checked_at = now(), checked_by = 'user:bob' WHERE name = 'Oat milk'`); err != nil {
		t.Fatal(err)
	}
	h.want(t, 200, h.member, "PATCH", h.path+"/lists/"+h.shared, map[string]any{"archived": true})
	comeDue()
	if got := count(h.shared); got != 0 {
		t.Errorf("it is on the archived list %d times", got)
	}
	h.want(t, 200, h.member, "PATCH", h.path+"/lists/"+h.shared, map[string]any{"archived": false})
	comeDue()
	if got := count(h.shared); got != 1 {
		t.Errorf("it came back %d times", got)
	}
	var actor string
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT added_by FROM grocery.items WHERE name = 'Oat milk' AND checked_at IS NULL`).Scan(&actor); err != nil || actor != "system:clock" {
		t.Errorf("added by %s: %v", actor, err)
	}
	// The family moves to where the day begins twelve hours earlier, or more.
	h.want(t, 200, h.admin, "PATCH", h.path, map[string]any{"timezone": "Pacific/Auckland"})
	var begins string
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT (next_at AT TIME ZONE 'Pacific/Auckland' - next_on)::text FROM grocery.recurring WHERE family_id = $1 AND name = 'Oat milk'`, h.id).Scan(&begins); err != nil || begins != "04:00:00" {
		t.Errorf("its day begins at %s: %v", begins, err)
	}
	h.want(t, 204, h.member, "DELETE", at, nil, "If-Match", "*")
	comeDue()
	h.want(t, 404, h.member, "GET", at, nil)
}

// In the morning of a time zone something is due in all its families at once.
func TestOneLookServesEveryFamily(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	if _, err := s.db.Owner.Exec(t.Context(), `
WITH f AS (INSERT INTO grocery.families (id, name, created_by) SELECT gen_random_uuid(), 'Family', 'user:ann' FROM generate_series(1, 120) RETURNING id),
     l AS (INSERT INTO grocery.lists (family_id, id, kind, name, created_by, position) SELECT id, id, 'shared', 'List', 'user:ann', 1 FROM f RETURNING id)
INSERT INTO grocery.recurring (family_id, id, list_id, name, unit, note, category, every, period, next_on, next_at, created_by)
SELECT id, id, id, 'Milk', '', '', '', 1, 'day', current_date - 1, now() - interval '1 minute', 'user:ann' FROM l`); err != nil {
		t.Fatal(err)
	}
	s.orders.Look(t.Context())
	var waiting, put int
	if err := s.db.Owner.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM grocery.recurring WHERE next_at <= now()), (SELECT count(*) FROM grocery.items)`).Scan(&waiting, &put); err != nil || waiting != 0 || put != 120 {
		t.Errorf("%d families wait, %d have it on their list: %v", waiting, put, err)
	}
}

// due makes a family with so many lists, all with milk on them and due again.
func (s *service) due(t *testing.T, lists int) (family string) {
	t.Helper()
	if err := s.db.Owner.QueryRow(t.Context(), `
WITH f AS (INSERT INTO grocery.families (id, name, created_by) SELECT gen_random_uuid(), 'Family', 'user:ann' RETURNING id),
     m AS (INSERT INTO grocery.family_members (family_id, user_id, role, display_name) SELECT id, 'ann', 'admin', 'Ann' FROM f),
     l AS (INSERT INTO grocery.lists (family_id, id, kind, name, created_by, position) SELECT id, gen_random_uuid(), 'shared', 'List', 'user:ann', 1 FROM f, generate_series(1, $1) RETURNING family_id, id),
     r AS (INSERT INTO grocery.recurring (family_id, id, list_id, name, unit, note, category, every, period, next_on, next_at, created_by)
           SELECT family_id, id, id, 'Milk', '', '', '', 1, 'day', current_date - 1, now() - interval '1 minute', 'user:ann' FROM l),
     i AS (INSERT INTO grocery.items (family_id, list_id, id, name, position, added_by) SELECT family_id, id, id, 'Milk', 1, 'user:ann' FROM l)
SELECT id FROM f`, lists).Scan(&family); err != nil {
		t.Fatal(err)
	}
	return family
}

// Two replicas that are at one family's lists take them in the same order.
func TestListsAreTakenInOrder(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	const lists = 8
	s.due(t, lists)
	other, err := s.db.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := other.Exec(t.Context(), `SELECT FROM grocery.items ORDER BY list_id LIMIT 1 FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	var look sync.WaitGroup
	look.Go(func() { s.orders.Look(t.Context()) })
	s.db.Waits(t, 1)
	var free int
	if err := s.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM (SELECT FROM grocery.items FOR UPDATE SKIP LOCKED) AS those`).Scan(&free); err != nil || free != lists-1 {
		t.Errorf("of %d lists %d are free while the first one is waited for: %v", lists, free, err)
	}
	if err := other.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	look.Wait()
}

// While a family moves, or forgets one of its people, what recurs there is put on
// lists, which makes things that belong to the family.
func TestAFamilyChangesWhileThingsRecur(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	for name, change := range map[string]func(family string) reply{
		"it moves": func(family string) reply {
			return s.do(t, s.user("ann"), "PATCH", "/v1/families/"+family, map[string]any{"timezone": "Pacific/Auckland"})
		},
		"somebody is forgotten": func(string) reply {
			return s.do(t, s.theIssuer(), "POST", "/v1/erasures", map[string]any{"user_id": "ann"})
		},
	} {
		family := s.due(t, 1)
		if _, err := s.db.Owner.Exec(t.Context(), `INSERT INTO grocery.family_members (family_id, user_id, role, display_name) VALUES ($1, 'ben', 'member', 'Ben')`, family); err != nil {
			t.Fatal(err)
		}
		clock, err := s.db.Owner.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := clock.Exec(t.Context(), `SELECT FROM grocery.recurring WHERE family_id = $1 FOR UPDATE`, family); err != nil {
			t.Fatal(err)
		}
		var changing sync.WaitGroup
		changing.Go(func() {
			if got := change(family); got.status >= 300 {
				t.Errorf("%s: %s", name, got)
			}
		})
		s.db.Waits(t, 1)
		if _, err := clock.Exec(t.Context(), `INSERT INTO grocery.item_uses (family_id, owner, name_key, name, unit, category) VALUES ($1, '', 'tea', 'Tea', '', '')`, family); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := clock.Commit(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		changing.Wait()
	}
}
