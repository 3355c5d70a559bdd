package account_test

import (
	"bytes"
	"context"
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

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"larder/authserver/account"
	"larder/authserver/flow"
	"larder/authserver/mfa"
	"larder/authserver/oidc"
	"larder/authserver/page"
	"larder/authserver/session"
	"larder/internal/audit"
	"larder/internal/brand"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/password"
	"larder/internal/pgtest"
	"larder/internal/risk"
	"larder/internal/sealed"
	"larder/internal/secret"
	"larder/internal/web"
)

const goodPassword = "four loaves of rye bread"

func operator() audit.Actor { return audit.Actor{Kind: "operator", ID: "test"} }

// place is a server with the sign-in pages on real stores.
type place struct {
	accounts *account.Accounts
	sessions *session.Sessions
	flows    *flow.Flows
	signIns  *risk.SignIns
	handler  *account.Handler
	redis    *redis.Client
	db       *pgxpool.Pool
	events   *events
	url      string
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

// reasons counts the events of an action by their reason.
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
	if clientID != "web" {
		return nil, fault.New(fault.NotFound, "no such client")
	}
	return &oidc.Client{ID: "web", Metadata: oidc.Metadata{
		ClientName: "<b>Larder Web</b>", LogoURI: "http://insecure.example/logo.png", PolicyURI: "https://web.example/privacy", TOSURI: "javascript:alert(1)",
	}}, nil
}

func setup(t *testing.T) *place {
	t.Helper()
	db, rdb := pgtest.New(t), pgtest.Redis(t)
	ring, err := sealed.NewKeyring(bytes.Repeat([]byte{1}, sealed.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := page.New("http://localhost:9000", brand.Larder())
	if err != nil {
		t.Fatal(err)
	}
	p := &place{redis: rdb, db: db.Auth, events: &events{}}
	p.sessions = &session.Sessions{Redis: rdb, Keyring: func() *sealed.Keyring { return ring }, Now: time.Now}
	p.accounts = &account.Accounts{
		DB: db.Auth, Sessions: p.sessions, Now: time.Now,
		Hasher: password.NewHasher(password.Params{Memory: 1 << 10, Time: 1, Threads: 1}, 2, 64),
	}
	p.sessions.Stands = p.accounts.Stands
	p.signIns = &risk.SignIns{DB: db.Auth, Now: time.Now}
	p.sessions.Started = func(ctx context.Context, r *http.Request, login oidc.Login) error {
		return p.signIns.Remember(ctx, risk.Visit{User: login.Subject, Device: session.Devices{}.Device(r), Source: r.Header.Get("Test-Source"), Risk: login.Risk})
	}
	p.flows = &flow.Flows{Redis: rdb, Devices: session.Devices{}}
	factors := &mfa.Factors{DB: db.Auth, Redis: rdb, Sessions: p.sessions, Now: time.Now}
	p.handler = &account.Handler{
		Factors: &mfa.Handler{Factors: factors}, Enrolments: factors,
		Accounts: p.accounts, Throttle: &account.Throttle{Redis: rdb, Limiter: &limit.Limiter{Redis: rdb, DB: db.Auth, Lasting: true}, Devices: p.signIns},
		Sessions: p.sessions, Flows: p.flows, Clients: oneClient{}, Devices: session.Devices{}, Pages: pages, Languages: pages, Places: (*risk.Places)(nil), Audit: p.events,
		// Tests say where they come from; a server asks the connection.
		Source: func(r *http.Request) string {
			if from := r.Header.Get("Test-Source"); from != "" {
				return from
			}
			return limit.Source(r)
		},
		Now: time.Now,
	}
	rt := web.NewRouter(pages.Error)
	p.handler.Mount(rt)
	rt.Handle(http.MethodGet, "/begin", func(w http.ResponseWriter, r *http.Request) error {
		flowID, err := p.flows.Begin(r.Context(), w, r, oidc.AuthRequest{ClientID: "web", Form: url.Values{"redirect_uri": {"com.example.app:/cb"}}, LoginHint: "ada@example.com"})
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, flowID)
	})
	obs := &web.Observer{Log: slog.New(slog.DiscardHandler), Now: time.Now, Report: pages.Error}
	srv := httptest.NewServer(obs.Wrap(rt, prometheus.NewRegistry()))
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

func (p *place) create(t *testing.T, email string) id.ID {
	t.Helper()
	user, err := p.accounts.Create(t.Context(), operator(), account.NewUser{Name: "Ada Baker", Email: email, Password: goodPassword, EmailVerified: true})
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// browser keeps cookies and follows no redirect.
type browser struct {
	t      *testing.T
	base   string
	source string
	http.Client
}

func (p *place) browser(t *testing.T, source string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: p.url, source: source, Client: http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what a browser got.
type answer struct {
	status   int
	location string
	header   http.Header
	body     string
}

func (b *browser) do(method, path string, form url.Values, header ...string) answer {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Test-Source", b.source)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
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
	return answer{res.StatusCode, res.Header.Get("Location"), res.Header, string(raw)}
}

func (b *browser) get(path string) answer { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

func (b *browser) signIn(email, pass string, more ...string) answer {
	b.t.Helper()
	form := url.Values{"email": {email}, "password": {pass}, "action": {"login"}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return b.do(http.MethodPost, "/login", form)
}

func (b *browser) begin() string {
	b.t.Helper()
	return strings.Trim(b.get("/begin").body, `"`)
}

// plain takes out what differs from page to page by design.
func plain(body string) string {
	body = regexp.MustCompile(`nonce="[^"]*"`).ReplaceAllString(body, "")
	return regexp.MustCompile(`value="[^"]*@[^"]*"`).ReplaceAllString(body, "")
}

func secretOf(s string) secret.String { return secret.String(s) }
