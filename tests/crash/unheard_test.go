package crash_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

// spokenWithin is how long a service may take to tell the database what to do.
const spokenWithin = 5 * time.Second

// deafened is a stack whose database can be kept from answering.
type deafened struct {
	*stack.Stack
	t    *testing.T
	conn *pgx.Conn // past the line
}

// TestWhatWasDoneUnheardIsDoneOnce has PostgreSQL commit a write and a rotation, and cuts the line before it can say so.
// Whoever asked is told to come again, comes, and it was done once.
func TestWhatWasDoneUnheardIsDoneOnce(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	ctx, web := t.Context(), s.Client(s.Demo.Clients.Web)
	tokens, err := web.Authorize(ctx, s.NewBrowser(), s.User(t, demo.Admin), scope, url.Values{"resource": {s.API}})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, s.OwnerURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(ctx)) })
	d := &deafened{s, t, conn}

	items := "/v1/families/" + s.Demo.FamilyID + "/lists/" + s.Demo.Lists[0].ID + "/items"
	made, err := s.Call(ctx, tokens.AccessToken, http.MethodPost, items, `{"name":"Milk"}`)
	if err != nil {
		t.Fatal(err)
	}
	item := made.Text(".id")
	check := func(method string) func() (*stack.Response, error) {
		return func() (*stack.Response, error) {
			return s.Call(ctx, tokens.AccessToken, method, items+"/"+item+"/check", "")
		}
	}
	checked := func() int {
		return d.count(`SELECT count(*) FROM grocery.change_feed WHERE event = 'item.checked' AND entity_id = $1`, item)
	}
	before := d.unheard(checked, func() {
		d.succeed(check(http.MethodPut))
		d.succeed(check(http.MethodDelete))
	}, check(http.MethodPut))
	d.succeed(check(http.MethodPut))
	if after := checked(); after != before+1 {
		t.Errorf("the item was checked off %d times", after-before)
	}

	refresh := func() (*stack.Response, error) { return web.Refresh(ctx, tokens.RefreshToken) }
	next := func() {
		if tokens, err = d.succeed(refresh).Tokens(); err != nil {
			t.Fatal(err)
		}
	}
	turned := func() int { return d.count(`SELECT sum(generation) FROM auth.grants`) }
	before = d.unheard(turned, next, refresh)
	next() // nobody is logged out
	if after := turned(); after != before+1 {
		t.Errorf("the token was turned %d times", after-before)
	}
	next()
}

func (d *deafened) count(query string, args ...any) (n int) {
	d.t.Helper()
	if err := d.conn.QueryRow(d.t.Context(), query, args...).Scan(&n); err != nil {
		d.t.Fatal(err)
	}
	return n
}

// succeed asks until the services have found out which of their connections are dead.
func (d *deafened) succeed(ask func() (*stack.Response, error)) *stack.Response {
	d.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(pace) {
		got, err := ask()
		if err == nil && got.Status == http.StatusOK {
			return got
		}
		if err != nil || got.Status != http.StatusServiceUnavailable || time.Now().After(end) {
			d.t.Fatalf("%v, %v; want 200", got, err)
		}
	}
}

// unheard asks for something that is done, as effects count, while the services hear nothing of their database, and
// returns what was counted before. What comes first is warm: a service that first has to connect or prepare does not
// get so far, and then all is tried again.
func (d *deafened) unheard(effects func() int, warm func(), ask func() (*stack.Response, error)) (before int) {
	d.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		warm()
		before = effects()
		d.Postgres.Deafen()
		answer := make(chan *stack.Response, 1)
		go func() {
			got, err := ask()
			if err != nil {
				d.t.Error(err)
			}
			answer <- got
		}()
		done := false
		for stop := time.Now().Add(spokenWithin); !done && time.Now().Before(stop); time.Sleep(pace) {
			done = effects() > before
		}
		d.Postgres.Cut()
		d.Postgres.Mend()
		got := <-answer
		if done {
			if got == nil || got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
				d.t.Fatalf("what nobody knows was answered with %v", got)
			}
			return before
		}
	}
	d.t.Fatal("nothing was done unheard")
	return 0
}
