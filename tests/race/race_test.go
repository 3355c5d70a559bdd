package race_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

const (
	width  = 32
	rounds = 200
	scope  = "openid offline_access lists:read"
)

// party is the web client and Ada's browser, signed in and with consent given.
type party struct {
	*stack.Stack
	web     *stack.Client
	browser *stack.Browser
	ada     demo.User
}

func newParty(t *testing.T, options stack.Options) *party {
	t.Helper()
	s := stack.New(t, stack.BuildForTest(t), options)
	p := &party{Stack: s, web: s.Client(s.Demo.Clients.Web), browser: s.NewBrowser(), ada: s.User(t, demo.Admin)}
	p.tokens(t)
	return p
}

func (p *party) tokens(t *testing.T) *stack.Tokens {
	t.Helper()
	tokens, err := p.web.Authorize(t.Context(), p.browser, p.ada, scope, url.Values{"resource": {p.API}})
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// replica is the web client with its eyes on one replica, without the load balancer.
func (p *party) replica(n int) *stack.Client {
	direct := *p.web
	direct.Issuer = p.AuthServers[n%len(p.AuthServers)].URL
	return &direct
}

// together runs ask at the same moment, half at each replica, and returns the answers.
func (p *party) together(t *testing.T, ask func(c *stack.Client) (*stack.Response, error)) []*stack.Response {
	t.Helper()
	var (
		gate    = make(chan struct{})
		running sync.WaitGroup
		answers = make([]*stack.Response, width)
		faults  = make([]error, width)
	)
	for n := range width {
		client := p.replica(n)
		running.Go(func() {
			<-gate
			answers[n], faults[n] = ask(client)
		})
	}
	close(gate)
	running.Wait()
	for _, err := range faults {
		if err != nil {
			t.Fatal(err)
		}
	}
	return answers
}

func TestACodeIsSpentOnce(t *testing.T) {
	t.Parallel()
	p := newParty(t, stack.Options{AuthServers: 2})
	for round := range rounds {
		attempt := p.web.Begin(scope, nil)
		page, err := p.browser.Open(t.Context(), attempt.URL)
		if err != nil {
			t.Fatal(err)
		}
		code, err := p.web.Code(attempt, page)
		if err != nil {
			t.Fatal(err)
		}
		given := 0
		for _, got := range p.together(t, func(c *stack.Client) (*stack.Response, error) {
			return c.Exchange(t.Context(), code, attempt.Verifier)
		}) {
			switch {
			case got.Status == http.StatusOK:
				given++
			case got.Status != http.StatusBadRequest || got.Text(".error") != "invalid_grant":
				t.Errorf("round %d: a loser got %v", round, got)
			}
		}
		if given != 1 {
			t.Fatalf("round %d: the code was spent %d times", round, given)
		}
	}
}

func TestARefreshTokenHasOneSuccessor(t *testing.T) {
	t.Parallel()
	p := newParty(t, stack.Options{AuthServers: 2})
	first := p.tokens(t).RefreshToken
	token := first
	for round := range rounds {
		successors := make(map[string]int)
		for _, got := range p.together(t, func(c *stack.Client) (*stack.Response, error) {
			return c.Refresh(t.Context(), token)
		}) {
			tokens, err := got.Tokens()
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			successors[tokens.RefreshToken]++
		}
		if len(successors) != 1 || successors[token] > 0 {
			t.Fatalf("round %d: the token had %d successors, itself among them %d times", round, len(successors), successors[token])
		}
		for token = range successors {
		}
	}
	// Reuse beyond the last rotation means that somebody has stolen a token, and the whole family dies.
	for _, reused := range []string{first, token} {
		got, err := p.web.Refresh(t.Context(), reused)
		if err != nil || got.Status != http.StatusBadRequest || got.Text(".error") != "invalid_grant" {
			t.Errorf("after the reuse: %v, %v; want invalid_grant", got, err)
		}
	}
}
