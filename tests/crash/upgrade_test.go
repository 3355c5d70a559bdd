package crash_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/devstack/demo"
	"larder/internal/id"
	"larder/tests/stack"
)

// ours are the tables that later releases may change; those of the migrations and of the job queue change otherwise.
const ours = `
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname IN ('auth', 'grocery') AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE 'river%' ORDER BY 1`

// TestAnUpgradeFailsNoRequest takes the schema through the three states of a change while both releases serve: expanded
// under the old one, filled while they are exchanged, contracted under the new one. A release that is to come is not
// here, so what it does to the schema stands for it: a column in every table, and a step that this one does not know.
func TestAnUpgradeFailsNoRequest(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{AuthServers: 2, ResourceAPIs: 2})
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, s.OwnerURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(ctx)) })
	rows, err := conn.Query(ctx, ours)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 20 {
		t.Fatalf("the tables are %v, %v", tables, err)
	}
	load := newLoad(t, s)
	defer load.end()

	change := func(format string) {
		load.progress()
		for _, table := range tables {
			// As a migration does: it waits for nobody for long, lest everybody wait for it.
			for end := time.Now().Add(patience); ; time.Sleep(pace) {
				_, err := conn.Exec(ctx, "SET lock_timeout = '200ms'; "+fmt.Sprintf(format, table))
				if err == nil {
					break
				}
				if time.Now().After(end) {
					t.Fatal(err)
				}
			}
		}
		load.progress()
	}
	change(`ALTER TABLE %s ADD COLUMN of_the_next_release text NOT NULL DEFAULT 'n'`)
	for _, schema := range []string{"auth", "grocery"} {
		if _, err := conn.Exec(ctx, `INSERT INTO larder_`+schema+`_migrations (version_id, is_applied) VALUES (9999, true)`); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2 {
		for _, service := range []*stack.Service{s.AuthServers[n], s.ResourceAPIs[n]} {
			if err := service.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := service.Start(ctx); err != nil {
				t.Fatal(err)
			}
			load.progress()
		}
	}
	change(`ALTER TABLE %s ALTER of_the_next_release DROP DEFAULT, ALTER of_the_next_release DROP NOT NULL, ALTER of_the_next_release TYPE int USING 1`)
	change(`ALTER TABLE %s DROP COLUMN of_the_next_release`)
}

// load is what people do all along, each thing at most once and never again.
type load struct {
	t      *testing.T
	stack  *stack.Stack
	web    *stack.Client
	access atomic.Pointer[string]
	turns  atomic.Int64 // of each kind of work
	writes atomic.Int64
	stop   context.CancelFunc
	work   sync.WaitGroup
}

func newLoad(t *testing.T, s *stack.Stack) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{t: t, stack: s, web: s.Client(s.Demo.Clients.Web), stop: stop}
	ada, browser := s.User(t, demo.Admin), s.NewBrowser()
	tokens, err := l.web.Authorize(ctx, browser, ada, scope, url.Values{"resource": {s.API}})
	if err != nil {
		t.Fatal(err)
	}
	l.access.Store(&tokens.AccessToken)
	refresh := tokens.RefreshToken
	l.repeat(ctx, &l.turns, func() error {
		got, err := l.web.Refresh(ctx, refresh)
		if err != nil {
			return err
		}
		tokens, err := got.Tokens()
		if err != nil {
			return err
		}
		refresh = tokens.RefreshToken
		l.access.Store(&tokens.AccessToken)
		_, err = l.web.Authorize(ctx, browser, ada, scope, url.Values{"resource": {s.API}})
		return err
	})
	l.repeat(ctx, &l.writes, func() error { return l.write(ctx) })
	return l
}

func (l *load) repeat(ctx context.Context, done *atomic.Int64, work func() error) {
	l.work.Go(func() {
		for ctx.Err() == nil && !l.t.Failed() {
			if err := work(); err != nil && ctx.Err() == nil {
				l.t.Error(err)
			}
			done.Add(1)
			time.Sleep(pace)
		}
	})
}

func (l *load) write(ctx context.Context) error {
	list := "/v1/families/" + l.stack.Demo.FamilyID + "/lists/" + l.stack.Demo.Lists[0].ID
	item := id.New().String()
	at := list + "/items/" + item
	for _, r := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodPost, list + "/items", `{"id":"` + item + `","name":"One"}`, 201},
		{http.MethodPut, at + "/check", "", 200},
		{http.MethodPatch, at, `{"note":"n"}`, 200},
		{http.MethodGet, list + "/items", "", 200},
		{http.MethodPost, "/v1/families/" + l.stack.Demo.FamilyID + "/sync", `{"operations":[]}`, 200},
		{http.MethodDelete, at, "", 204},
		{http.MethodGet, "/v1/families/" + l.stack.Demo.FamilyID + "/members", "", 200},
	} {
		got, err := l.stack.Call(ctx, *l.access.Load(), r.method, r.path, r.body)
		if err != nil {
			return err
		}
		if got.Status != r.want {
			return fmt.Errorf("%s %s: %s", r.method, r.path, got)
		}
	}
	got, err := l.stack.Call(ctx, l.stack.Demo.APIKey, http.MethodGet, list, "")
	if err == nil && got.Status != http.StatusOK {
		err = fmt.Errorf("with the API key: %s", got)
	}
	return err
}

// progress waits until each kind of work was done a few times more.
func (l *load) progress() {
	l.t.Helper()
	turns, writes := l.turns.Load()+3, l.writes.Load()+3
	for end := time.Now().Add(patience); l.turns.Load() < turns || l.writes.Load() < writes; time.Sleep(pace) {
		if l.t.Failed() || time.Now().After(end) {
			l.t.Fatalf("the work stands still: %d and %d", l.turns.Load(), l.writes.Load())
		}
	}
}

func (l *load) end() {
	l.stop()
	l.work.Wait()
}
