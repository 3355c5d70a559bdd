package audit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/pgtest"
)

func TestABurstIsCountedAndNeverLost(t *testing.T) {
	db := pgtest.New(t)
	q := &audit.Queue{Log: audit.Auth(), DB: db.Auth, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}

	const burst = 10_000
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range burst / 10 {
				q.Put(audit.Event{
					OccurredAt: time.Now(), Action: "login.failed", Result: audit.Failure,
					Actor: audit.Actor{Kind: "anonymous", ID: "-"}, Reason: "wrong password",
				})
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q.Run(ctx)

	var rows, events int
	err := db.Owner.QueryRow(t.Context(), `SELECT count(*), coalesce(sum(count), 0) FROM auth.audit_events`).Scan(&rows, &events)
	if err != nil {
		t.Fatal(err)
	}
	if events != burst {
		t.Errorf("%d events were counted, want %d", events, burst)
	}
	if rows > 1100 {
		t.Errorf("%d rows were written, want the overflow counted into one", rows)
	}
}

// refusing is a database that is gone until it is told to come back.
type refusing struct {
	audit.Sender
	mu   sync.Mutex
	gone bool
}

func (d *refusing) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return failed{}
	}
	return d.Sender.SendBatch(ctx, b)
}

type failed struct{ pgx.BatchResults }

func (failed) Close() error { return errors.New("connection refused") }

func TestEventsOutlastADatabaseThatIsGone(t *testing.T) {
	db := pgtest.New(t)
	sender := &refusing{Sender: db.Auth, gone: true}
	q := &audit.Queue{Log: audit.Auth(), DB: sender, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	q.Put(audit.Event{OccurredAt: time.Now(), Action: "login.failed", Result: audit.Failure, Actor: audit.Actor{Kind: "anonymous", ID: "-"}})

	over, cancel := context.WithCancel(t.Context())
	cancel()
	q.Run(over)
	sender.mu.Lock()
	sender.gone = false
	sender.mu.Unlock()
	q.Run(over)

	var rows int
	if err := db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.audit_events`).Scan(&rows); err != nil || rows != 1 {
		t.Fatalf("%d rows, %v; want the one event", rows, err)
	}
}

func TestTheServiceMayOnlyAppend(t *testing.T) {
	db := pgtest.New(t)
	err := audit.Auth().Insert(t.Context(), db.Auth, audit.Event{
		OccurredAt: time.Now(), Action: "client.created", Result: audit.Success, Actor: audit.Actor{Kind: "operator", ID: "cli"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{`UPDATE auth.audit_events SET action = 'x'`, `DELETE FROM auth.audit_events`, `TRUNCATE auth.audit_events`} {
		if _, err := db.Auth.Exec(t.Context(), sql); err == nil {
			t.Errorf("the runtime role could %s", sql)
		}
	}
}

// Whoever invents families or actors makes no queue grow.
func TestAFloodOfDifferentEventsIsBounded(t *testing.T) {
	db := pgtest.New(t)
	var told bytes.Buffer
	q := &audit.Queue{Log: audit.Auth(), DB: db.Auth, Logger: slog.New(slog.NewTextHandler(&told, nil))}
	for n := range 10_000 {
		q.Put(audit.Event{
			OccurredAt: time.Now(), Action: "list.viewed", Result: audit.Denied, FamilyID: id.New(),
			Actor: audit.Actor{Kind: "user", ID: strconv.Itoa(n)}, Reason: "no member",
		})
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	q.Run(over)
	var rows int
	if err := db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.audit_events`).Scan(&rows); err != nil || rows != 3*1024 {
		t.Errorf("%d rows were written, %v", rows, err)
	}
	if !strings.Contains(told.String(), "were lost") {
		t.Errorf("nobody was told: %s", told.String())
	}
}
