package mfa_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/riverqueue/river"

	"larder/authserver/account"
	"larder/authserver/flow"
	"larder/authserver/mfa"
	"larder/authserver/oidc"
	"larder/authserver/onetime"
	"larder/authserver/page"
	"larder/authserver/session"
	"larder/internal/audit"
	"larder/internal/brand"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/mail"
	"larder/internal/password"
	"larder/internal/pgtest"
	"larder/internal/risk"
	"larder/internal/sealed"
	"larder/internal/web"
)

const goodPassword = "four loaves of rye bread"

func operator() audit.Actor { return audit.Actor{Kind: "operator", ID: "test"} }

// clock is the time when it was made, moved: it stands still, so that no time
// step turns by itself.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// noPasskeys is a person without any.
type noPasskeys struct{}

func (noPasskeys) List(context.Context, id.ID) ([]oidc.Passkey, error) { return nil, nil }

func (noPasskeys) Act(http.ResponseWriter, *http.Request, *oidc.Login, url.Values) error {
	return errors.New("nobody has passkeys here")
}

// replica is one of several servers over the same stores.
type replica struct {
	factors  *mfa.Factors
	accounts *account.Accounts
	sessions *session.Sessions
	codes    *onetime.Codes
	messages *onetime.Handler
	url      string
}

// place is an installation with two replicas.
type place struct {
	*replica // the first
	second   *replica
	db       *pgtest.DB
	clock    *clock
	ring     *sealed.Keyring
	events   *events
	post     *post
}

// post keeps the subjects of the letters that are queued.
type post struct {
	mu       sync.Mutex
	subjects []string
	codes    []onetime.Job // that are to be delivered
}

func (p *post) Insert(_ context.Context, _ pgx.Tx, args river.JobArgs) error {
	if job, ok := args.(onetime.Job); ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.codes = append(p.codes, job)
		return nil
	}
	letter, ok := args.(mail.Letter)
	if !ok || letter.To == "" || letter.Link != nil {
		return fmt.Errorf("not a notice: %v", args)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subjects = append(p.subjects, letter.Facts["subject"])
	return nil
}

// events keeps audit events for a test to look at.
type events struct {
	mu  sync.Mutex
	all []audit.Event
}

func (e *events) Put(ev audit.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

func (e *events) reasons(action string) map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := map[string]int{}
	for _, ev := range e.all {
		if ev.Action == action {
			n[ev.Reason]++
		}
	}
	return n
}

// oneClient is the client registry of these tests.
type oneClient struct{}

func (oneClient) Client(_ context.Context, clientID string) (*oidc.Client, error) {
	return &oidc.Client{ID: clientID, Metadata: oidc.Metadata{ClientName: "Larder <Web>"}}, nil
}

func setup(t *testing.T) *place {
	t.Helper()
	ring, err := sealed.NewKeyring(bytes.Repeat([]byte{1}, sealed.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	p := &place{db: pgtest.New(t), clock: &clock{now: time.Now()}, ring: ring, events: &events{}, post: &post{}}
	redisURL := pgtest.RedisURL(t)
	p.replica = p.start(t, redisURL)
	p.second = p.start(t, redisURL)
	return p
}

func (p *place) start(t *testing.T, redisURL string) *replica {
	t.Helper()
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(options)
	t.Cleanup(func() { _ = rdb.Close() })
	pages, err := page.New("http://localhost:9000", brand.Larder())
	if err != nil {
		t.Fatal(err)
	}
	keyring := func() *sealed.Keyring { return p.ring }
	r := &replica{}
	r.sessions = &session.Sessions{Redis: rdb, Keyring: keyring, Now: p.clock.Now}
	r.accounts = &account.Accounts{
		DB: p.db.Auth, Sessions: r.sessions, Now: p.clock.Now,
		Hasher: password.NewHasher(password.Params{Memory: 1 << 10, Time: 1, Threads: 1}, 2, 64),
	}
	r.factors = &mfa.Factors{
		DB: p.db.Auth, Redis: rdb, Keyring: keyring, MACKeys: func() [][]byte { return [][]byte{bytes.Repeat([]byte{2}, 32)} },
		Sessions: r.sessions, Jobs: p.post, Now: p.clock.Now,
	}
	flows := &flow.Flows{Redis: rdb, Devices: session.Devices{}}
	limiter := &limit.Limiter{Redis: rdb}
	r.codes = &onetime.Codes{
		DB: p.db.Auth, MACKeys: r.factors.MACKeys, Jobs: p.post, Teller: r.factors, Limits: limiter, SMS: true, Now: p.clock.Now,
	}
	r.messages = &onetime.Handler{Codes: r.codes, Browsers: r.sessions, Devices: session.Devices{}, Pages: pages, Source: limit.Source}
	handler := &mfa.Handler{
		Factors: r.factors, Throttle: &mfa.Throttle{Redis: rdb, Limiter: limiter, Now: p.clock.Now},
		Passkeys: noPasskeys{}, Messages: r.messages, Sessions: r.sessions, Flows: flows, Clients: oneClient{}, Users: r.accounts, Devices: session.Devices{}, Pages: pages,
		Audit: p.events, Source: limit.Source, Now: p.clock.Now,
	}
	rt := web.NewRouter(pages.Error)
	handler.Mount(rt)
	(&account.Handler{
		Accounts: r.accounts, Factors: handler, Enrolments: r.factors, Sessions: r.sessions, Flows: flows, Clients: oneClient{}, Devices: session.Devices{},
		Throttle: &account.Throttle{Redis: rdb, Limiter: limiter, Devices: &risk.SignIns{DB: p.db.Auth, Now: p.clock.Now}},
		Pages:    pages, Languages: pages, Places: (*risk.Places)(nil), Audit: p.events, Source: limit.Source, Now: p.clock.Now,
	}).Mount(rt)
	rt.Handle(http.MethodGet, "/begin", func(w http.ResponseWriter, r *http.Request) error {
		flowID, err := flows.Begin(r.Context(), w, r, oidc.AuthRequest{ClientID: "web", Form: url.Values{"redirect_uri": {"https://web.example/cb"}}})
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, flowID)
	})
	rt.Handle(http.MethodGet, "/whoami", func(w http.ResponseWriter, req *http.Request) error {
		login, err := r.sessions.Current(req)
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, login)
	})
	srv := httptest.NewServer((&web.Observer{Log: slog.New(slog.DiscardHandler), Now: time.Now, Report: pages.Error}).Wrap(rt, prometheus.NewRegistry()))
	t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

func (p *place) create(t *testing.T, email string) id.ID {
	t.Helper()
	user, err := p.accounts.Create(t.Context(), operator(), account.NewUser{Name: "Ada Baker", Email: email, Password: goodPassword, EmailVerified: true})
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// enrol gives the user a factor past the pages, and steps out of the time step
// that it spent.
func (p *place) enrol(t *testing.T, user id.ID) (secret string, codes []string) {
	t.Helper()
	key, err := p.factors.Propose(t.Context(), user, "a session", "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	codes, err = p.factors.Confirm(t.Context(), user, "a session", p.code(t, key.Secret()))
	if err != nil {
		t.Fatal(err)
	}
	p.clock.advance(time.Minute)
	return key.Secret(), codes
}

// code is what the person's app shows now.
func (p *place) code(t *testing.T, secret string) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, p.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// browser keeps cookies and follows no redirect.
type browser struct {
	t    *testing.T
	base string
	http.Client
}

func (r *replica) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: r.url, Client: http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type answer struct {
	status   int
	location string
	body     string
}

func (b *browser) do(method, path string, form url.Values) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.Do(r)
	if err != nil {
		b.t.Error(err)
		return answer{}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Error(err)
	}
	return answer{res.StatusCode, res.Header.Get("Location"), string(raw)}
}

func (b *browser) get(path string) answer { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

// press posts a form with the button.
func (b *browser) press(path, action string, fields ...string) answer {
	b.t.Helper()
	form := url.Values{"action": {action}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do(http.MethodPost, path, form)
}

// password signs Ada in as far as her password goes.
func (b *browser) password(more ...string) answer {
	b.t.Helper()
	return b.press("/login", "login", append([]string{"email", "ada@example.com", "password", goodPassword}, more...)...)
}

func (b *browser) cookie(name string) string {
	b.t.Helper()
	home, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(home) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// acr is the class of the session, "" when nobody is signed in.
func (b *browser) acr() string {
	b.t.Helper()
	m := regexp.MustCompile(`"ACR":"([^"]*)"`).FindStringSubmatch(b.get("/whoami").body)
	if m == nil {
		return ""
	}
	return m[1]
}

func find(t *testing.T, body, expression string) string {
	t.Helper()
	m := regexp.MustCompile(expression).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no %s in %s", expression, body)
	}
	return html.UnescapeString(m[1])
}

// grant is a grant that a sign-in of this class made.
func (p *place) grant(t *testing.T, user id.ID, acr string) id.ID {
	t.Helper()
	g := id.New()
	const insert = `
WITH c AS (INSERT INTO auth.clients (id, metadata) VALUES ($1::text, '{}') RETURNING id)
INSERT INTO auth.grants (id, client_id, user_id, sid, scopes, resources, session, idle_expires_at, expires_at)
SELECT $2, c.id, $3, 'sid', '{}', '{}', jsonb_build_object('acr', $4::text), now() + interval '1 day', now() + interval '1 day' FROM c`
	if _, err := p.db.Owner.Exec(t.Context(), insert, g.String(), g, user, acr); err != nil {
		t.Fatal(err)
	}
	return g
}

// revoked reports whether a grant and its access tokens are.
func (p *place) revoked(t *testing.T, grant id.ID) (revoked bool) {
	t.Helper()
	const query = `
SELECT revoked_at IS NOT NULL AND EXISTS (SELECT 1 FROM auth.revocations WHERE kind = 'grant_id' AND value = $1::text)
  FROM auth.grants WHERE id = $1::uuid`
	if err := p.db.Owner.QueryRow(t.Context(), query, grant.String()).Scan(&revoked); err != nil {
		t.Fatal(err)
	}
	return revoked
}
