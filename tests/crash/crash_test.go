package crash_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

const (
	quickRounds  = 8
	quickOutages = 2
	people       = 4
	// perRound is how much has to be acknowledged, of writes and of rotations each, from one kill to the next.
	perRound = 16
	patience = 3 * time.Minute
	// answeredAgain is less than how long a refresh token that was used is answered again, with what it gave.
	answeredAgain = 25 * time.Second
	// pace leaves the processor to the services.
	pace  = 2 * time.Millisecond
	scope = "openid offline_access family:read family:write lists:read lists:write"
)

// rounds is how often each misfortune happens; LARDER_CRASH_ROUNDS asks for more.
func rounds(t *testing.T, quick int) int {
	t.Helper()
	told := os.Getenv("LARDER_CRASH_ROUNDS")
	if told == "" {
		return quick
	}
	n, err := strconv.Atoi(told)
	if err != nil || n < 1 {
		t.Fatalf("LARDER_CRASH_ROUNDS is %q, want a number of rounds", told)
	}
	return n
}

// trial is one stack under attack.
type trial struct {
	*stack.Stack
	t      *testing.T
	web    *stack.Client
	writes atomic.Int64 // acknowledged
	turns  atomic.Int64 // acknowledged rotations
	again  atomic.Int64 // of either that was sent again
	people []*person

	receiver *receiver
	owed     []string // addresses whose mail was acknowledged
}

// person is a client with a session of its own: one part rotates its tokens, the other writes with them.
type person struct {
	*writer
	refresh string
	access  atomic.Pointer[string]
}

func TestKillingLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	c := newTrial(t, stack.New(t, stack.BuildForTest(t), stack.Options{}))
	restart := func(victim *stack.Service) func() {
		return func() {
			victim.Kill()
			if err := victim.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.endure(rounds(t, quickRounds), restart(c.ResourceAPIs[0]), restart(c.AuthServers[0]))
}

// TestLosingPostgresLosesNothingThatWasAcknowledged kills the server under both services, and cuts their connections to
// one that lives: then it may have committed what it could not say. They recover by themselves.
func TestLosingPostgresLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	c := newTrial(t, stack.New(t, stack.BuildForTest(t), stack.Options{Database: db.database()}))
	cut := func() {
		c.Postgres.Cut()
		time.Sleep(rand.N(20 * time.Millisecond))
		c.Postgres.Mend()
	}
	c.endure(rounds(t, quickOutages), db.crash, cut, cut)
}

func newTrial(t *testing.T, s *stack.Stack) *trial {
	t.Helper()
	c := &trial{Stack: s, t: t, web: s.Client(s.Demo.Clients.Web)}
	c.gather()
	c.subscribe()
	return c
}

// endure lets misfortunes happen in the midst of what everybody does, and then looks whether anything is missing.
func (c *trial) endure(rounds int, misfortunes ...func()) {
	ctx, stop := context.WithCancel(c.t.Context())
	before := c.people[0].sync("")
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	for _, p := range c.people {
		work.Go(func() { c.until(ctx, p.rotate) })
		work.Go(func() { c.until(ctx, p.write) })
	}
	for range rounds {
		for _, happens := range misfortunes {
			c.progress()
			c.knock()
			happens()
		}
	}
	c.progress()
	stop()
	work.Wait()
	if c.t.Failed() {
		return
	}
	c.t.Logf("%d rounds: %d writes and %d rotations were acknowledged, %d sent again", rounds, c.writes.Load(), c.turns.Load(), c.again.Load())
	if c.again.Load() == 0 {
		c.t.Error("no kill met a request: this shows nothing")
	}
	for _, p := range c.people {
		p.rotate() // nobody is logged out
		p.check()
	}
	c.checkFeed(before)
	c.checkRows()
	c.checkLetters()
}

// gather signs everyone in and gives each a list.
func (c *trial) gather() {
	ada, browser := c.User(c.t, demo.Admin), c.NewBrowser()
	for n := range people {
		tokens, err := c.web.Authorize(c.t.Context(), browser, ada, scope, url.Values{"resource": {c.API}})
		if err != nil {
			c.t.Fatal(err)
		}
		p := &person{refresh: tokens.RefreshToken}
		p.access.Store(&tokens.AccessToken)
		p.writer = newWriter(c, p, fmt.Sprintf("List %d", n))
		c.people = append(c.people, p)
	}
}

// signIn is for whom an outage has logged out: it tries until everything is there again.
func (c *trial) signIn() (tokens *stack.Tokens, err error) {
	for end := time.Now().Add(patience); ; time.Sleep(pace) {
		tokens, err = c.web.Authorize(c.t.Context(), c.NewBrowser(), c.User(c.t, demo.Admin), scope, url.Values{"resource": {c.API}})
		if err == nil || time.Now().After(end) {
			return tokens, err
		}
	}
}

// until repeats work until the end, or until something is wrong.
func (c *trial) until(ctx context.Context, work func()) {
	for ctx.Err() == nil && !c.t.Failed() {
		work()
		time.Sleep(pace)
	}
}

// progress waits until enough of both was acknowledged since it was called, and then for a moment that nobody can tell.
func (c *trial) progress() {
	c.t.Helper()
	writes, turns := c.writes.Load()+perRound, c.turns.Load()+perRound
	for deadline := time.Now().Add(patience); c.writes.Load() < writes || c.turns.Load() < turns; time.Sleep(pace) {
		if c.t.Failed() || time.Now().After(deadline) {
			c.t.Fatalf("after %s there are %d writes and %d rotations, want %d and %d", patience, c.writes.Load(), c.turns.Load(), writes, turns)
		}
	}
	time.Sleep(rand.N(20 * time.Millisecond))
}

// insist sends a request until it is answered: a service that is gone, or only just back, is asked again.
func (c *trial) insist(send func(ctx context.Context) (*stack.Response, error)) (answer *stack.Response, first bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), patience)
	defer cancel()
	for first = true; ; first = false {
		answer, err := send(ctx)
		switch {
		case err != nil || answer.Status == http.StatusBadGateway: // of the load balancer
		case answer.Status != http.StatusServiceUnavailable:
			return answer, first
		case answer.Header.Get("Retry-After") == "":
			c.t.Errorf("a 503 that does not say when to come again: %s", answer)
		}
		if ctx.Err() != nil {
			c.t.Errorf("not answered within %s: %v, %v", patience, answer, err)
			return &stack.Response{}, first
		}
		c.again.Add(1)
		time.Sleep(pace)
	}
}

// rotate uses the refresh token up. Whatever was killed when, its holder has to get the next one, within the time in
// which a token that was used is answered again: a machine that took longer to start what was killed owes nothing.
func (p *person) rotate() {
	began := time.Now()
	answer, _ := p.trial.insist(func(ctx context.Context) (*stack.Response, error) { return p.trial.web.Refresh(ctx, p.refresh) })
	tokens, err := answer.Tokens()
	if err != nil && time.Since(began) > answeredAgain {
		tokens, err = p.trial.signIn()
	}
	if err != nil {
		p.trial.t.Errorf("a forced logout: %v", err)
		return
	}
	p.refresh = tokens.RefreshToken
	p.access.Store(&tokens.AccessToken)
	p.trial.turns.Add(1)
}
