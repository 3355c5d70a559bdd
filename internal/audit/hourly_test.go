package audit_test

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/pgtest"
)

// What is read over and over makes two events an hour, however often; a new hour
// begins with an event of its own, and an end leaves nothing untold.
func TestWhatRepeatsItselfIsToldOnceAndThenCounted(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	began := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	now := began
	h := &audit.Hourly{
		Queue: &audit.Queue{Log: audit.Auth(), DB: db.Auth, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))},
		Now:   func() time.Time { return now },
	}
	read := func(who, target string, times int) {
		for range times {
			now = now.Add(time.Second)
			h.Put(audit.Event{OccurredAt: now, Action: "list.seen", Result: audit.Success, Actor: audit.Actor{Kind: "app", ID: who}, Target: target})
		}
	}
	read("poller", "weekly", 1000)
	read("poller", "party", 1)
	read("other", "weekly", 2)
	for _, key := range []string{"K1", "K2", "K1"} { // of one person, who is told which was used
		now = now.Add(time.Second)
		h.Put(audit.Event{
			OccurredAt: now, Action: "list.seen", Result: audit.Success, Actor: audit.Person(id.ID{15: 1}), Target: "weekly", Details: map[string]any{"api_key_id": key},
		})
	}
	now = began.Add(2 * time.Hour)
	read("poller", "weekly", 3)
	now = now.Add(time.Second)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	h.Run(over)

	rows, err := db.Owner.Query(t.Context(), `
SELECT actor_id || ' ' || target || ' ' || count || ' ' || to_char(occurred_at AT TIME ZONE 'UTC', 'HH24:MI:SS') FROM auth.audit_events ORDER BY actor_id, target, occurred_at`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	want := []string{
		"00000000-0000-0000-0000-000000000001 weekly 1 08:16:44", "00000000-0000-0000-0000-000000000001 weekly 1 08:16:45", "00000000-0000-0000-0000-000000000001 weekly 1 08:16:46",
		"other weekly 1 08:16:42", "other weekly 1 08:16:43", "poller party 1 08:16:41",
		"poller weekly 1 08:00:01", "poller weekly 999 08:16:40", "poller weekly 1 10:00:01", "poller weekly 2 10:00:03",
	}
	var n int
	for ; rows.Next(); n++ {
		var row string
		if err := rows.Scan(&row); err != nil {
			t.Fatal(err)
		}
		if n < len(want) && row != want[n] {
			t.Errorf("row %d is %q, want %q", n, row, want[n])
		}
	}
	if rows.Err() != nil || n != len(want) {
		t.Errorf("%d rows, %v; want %d", n, rows.Err(), len(want))
	}
}

// Whoever reads ever new things makes no memory grow, and all is counted.
func TestAFloodOfDifferentReadsIsBounded(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	h := &audit.Hourly{Queue: &audit.Queue{Log: audit.Auth(), DB: db.Auth, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}, Now: time.Now}
	family := id.New()
	const different, remembered, repeated = 20_000, 8192, 3 // of each, one is told of and two are counted
	total := 0
	for n := range different {
		times := repeated
		if n >= different-remembered { // these end with the process, and then beside the writing
			times = 1
		}
		for range times {
			total++
			h.Put(audit.Event{
				OccurredAt: time.Now(), Action: "list.seen", Result: audit.Success, FamilyID: family,
				Actor: audit.Actor{Kind: "app", ID: "crawler"}, Target: strconv.Itoa(n),
			})
		}
	}
	if known := h.Known(); known > remembered {
		t.Errorf("%d are remembered", known)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	h.Run(over)
	var rows, events int
	err := db.Owner.QueryRow(t.Context(), `SELECT count(*), coalesce(sum(count), 0) FROM auth.audit_events`).Scan(&rows, &events)
	if err != nil || events != total || rows > 1100 {
		t.Errorf("%d reads in %d rows, %v; want all %d, and few rows", events, rows, err, total)
	}
}
