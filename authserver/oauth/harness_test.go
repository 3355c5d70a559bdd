package oauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"larder/authserver/account"
	"larder/authserver/ciba"
	"larder/authserver/device"
	"larder/authserver/logout"
	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/jobs"
	"larder/internal/jwks"
	"larder/internal/limit"
	"larder/internal/outbound"
	"larder/internal/pgtest"
	"larder/internal/revocation"
	"larder/internal/sealed"
	"larder/internal/secret"
	"larder/internal/web"
)

const testAPI = "https://api.larder.test"

// harness is a Provider on real PostgreSQL and Redis behind a real listener,
// with the other features of the authserver as small stand-ins in memory.
type harness struct {
	t        testing.TB
	p        *Provider
	db       *pgtest.DB
	issuer   string
	handler  http.Handler
	clock    *testClock
	clients  *testClients
	keys     *testKeys
	sessions *testSessions
	consents *testConsents
	users    *testUsers
	apiKeys  *testAPIKeys
	flows    *testFlows
	devices  *device.Authorizations
	asked    *ciba.Requests
	pages    *testPages
}

func newHarness(t testing.TB, changes ...func(*Dependencies)) *harness {
	t.Helper()
	h := &harness{
		t: t, db: pgtest.New(t), clock: &testClock{began: time.Now()},
		clients: &testClients{byID: map[string]*oidc.Client{}}, sessions: &testSessions{byCookie: map[string]oidc.Login{}},
		users: &testUsers{byID: map[id.ID]oidc.User{}}, apiKeys: &testAPIKeys{byKey: map[string]oidc.APIKey{}},
		flows: &testFlows{byID: map[string]*testFlow{}}, pages: &testPages{},
	}
	h.keys, h.consents = newTestKeys(t), &testConsents{db: h.db}
	redis := pgtest.Redis(t)
	h.devices = &device.Authorizations{Redis: redis, Now: h.clock.Now}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	h.issuer = server.URL
	log := slog.New(slog.DiscardHandler)
	queue := &audit.Queue{Log: audit.Auth(), DB: h.db.Auth, Logger: log}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { queue.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })

	fetcher := outbound.New(outbound.Config{Timeout: time.Minute, MaxBody: 16 << 10, AllowLoopback: true})
	queued, err := jobs.NewQueue(h.db.Auth, "auth", log)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := sealed.NewKeyring(bytes.Repeat([]byte{1}, sealed.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	h.asked = &ciba.Requests{
		DB: h.db.Auth, Users: h.users, Jobs: queued, Limit: &limit.Limiter{Redis: redis}, Now: h.clock.Now,
		Canonical: account.Canonical, Keyring: func() *sealed.Keyring { return ring },
	}
	d := Dependencies{
		Config: Config{
			Issuer:          h.issuer,
			ResourceServers: []oidc.ResourceServer{{Resource: testAPI, Scopes: []string{"family:read", "family:write", "lists:read", "lists:write", "audit:read"}}},
		},
		Clients: h.clients, Keys: h.keys, Sessions: h.sessions, Consents: h.consents, Users: h.users, APIKeys: h.apiKeys,
		Flows: h.flows, Devices: h.devices, Backchannel: h.asked, Logouts: &logout.Notices{DB: h.db.Auth, Jobs: queued}, Pages: h.pages, Audit: queue, Revocations: &revocation.Set{}, DB: h.db.Auth, Redis: redis,
		PublishedKeys: &jwks.Cache{Getter: fetcher, Now: h.clock.Now}, Fetcher: fetcher,
		Now: h.clock.Now, Log: log,
	}
	for _, change := range changes {
		change(&d)
	}
	h.p, err = New(d)
	if err != nil {
		t.Fatal(err)
	}
	handler = h.mount(h.p)
	h.handler = handler
	return h
}

// mount is a Provider with the steps that lie beside it.
func (h *harness) mount(p *Provider) http.Handler {
	rt := web.NewRouter(web.Problem)
	p.Mount(rt)
	rt.Handle(http.MethodGet, "/login", h.handleStep)
	rt.Handle(http.MethodGet, "/consent", h.handleStep)
	return (&web.Observer{Log: p.Log, Now: h.clock.Now, Report: web.Problem}).Wrap(rt, prometheus.NewRegistry())
}

// handleStep is where a page would be; tests act and go on by themselves.
func (h *harness) handleStep(w http.ResponseWriter, r *http.Request) error {
	_, err := fmt.Fprintf(w, "page %s flow %s", r.URL.Path, r.URL.Query().Get("flow"))
	return err
}

// addClient registers a client with the given secret; "" makes it public.
func (h *harness) addClient(clientID, clientSecret string, m oidc.Metadata) *oidc.Client {
	h.t.Helper()
	c := &oidc.Client{ID: clientID, Metadata: m, Version: 1}
	if clientSecret != "" {
		c.SecretHashes = [][]byte{secret.Sum(clientSecret)}
	}
	if c.Metadata.TokenEndpointAuthMethod == "" {
		c.Metadata.TokenEndpointAuthMethod = oidc.ClientSecretBasic
		if clientSecret == "" {
			c.Metadata.TokenEndpointAuthMethod = oidc.AuthMethodNone
		}
	}
	if c.Metadata.ClientName == "" {
		c.Metadata.ClientName = clientID
	}
	if _, err := h.db.Owner.Exec(h.t.Context(), `INSERT INTO auth.clients (id, metadata) VALUES ($1, $2)`, clientID, c.Metadata); err != nil {
		h.t.Fatal(err)
	}
	h.clients.set(c)
	return c
}

// addUser makes a person with every standard claim.
func (h *harness) addUser(name string) oidc.User {
	h.t.Helper()
	u := oidc.User{
		ID: id.New(), Name: name, Email: strings.ToLower(name) + "@larder.test", EmailVerified: true, UpdatedAt: h.clock.Now(),
		Profile: map[string]any{
			"given_name": name, "family_name": "Lovelace", "middle_name": "King", "nickname": "Addie", "preferred_username": "ada",
			"profile": "https://larder.test/ada", "picture": "https://larder.test/ada.png", "website": "https://ada.test", "gender": "female",
			"birthdate": "1815-12-10", "zoneinfo": "Europe/London", "locale": "en-GB",
			"phone_number": "+441234567890", "phone_number_verified": true,
			"address": map[string]any{"formatted": "12 St James's Square, London"},
		},
	}
	if _, err := h.db.Owner.Exec(h.t.Context(), `INSERT INTO auth.users (id, name) VALUES ($1, $2)`, u.ID, name); err != nil {
		h.t.Fatal(err)
	}
	h.users.set(u)
	return u
}

// browser is an HTTP client with cookies that stops at every redirect.
func (h *harness) browser() *http.Client {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &http.Client{
		Jar: jar, Timeout: 2 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// signIn gives the browser a session of the user.
func (h *harness) signIn(browser *http.Client, user id.ID) oidc.Login {
	h.t.Helper()
	login := oidc.Login{Subject: user, SID: rand.Text(), AuthTime: h.clock.Now(), ACR: oidc.ACRPassword, AMR: []string{"pwd"}}
	issuer, err := url.Parse(h.issuer)
	if err != nil {
		h.t.Fatal(err)
	}
	browser.Jar.SetCookies(issuer, []*http.Cookie{{Name: testSessionCookie, Value: h.sessions.add(login), Path: "/"}})
	return login
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

// json decodes the body into a map, which must be a JSON object.
func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("body %q: %v", a.body, err)
	}
	return m
}

// errorCode is the error member of a JSON body, "" without one.
func (a answer) errorCode() string {
	var body struct{ Error string }
	_ = json.Unmarshal([]byte(a.body), &body)
	return body.Error
}

// post sends a form. auth is empty or client_id and client_secret for Basic.
func (h *harness) post(path string, form url.Values, auth ...string) answer {
	h.t.Helper()
	r := h.request(http.MethodPost, path, form)
	if len(auth) == 2 {
		r.SetBasicAuth(url.QueryEscape(auth[0]), url.QueryEscape(auth[1]))
	}
	return h.do(nil, r)
}

func (h *harness) get(browser *http.Client, path string) answer {
	h.t.Helper()
	return h.do(browser, h.request(http.MethodGet, path, nil))
}

// request makes a request to the server; path may be absolute, and a form
// becomes the body.
func (h *harness) request(method, path string, form url.Values) *http.Request {
	h.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = h.issuer + path
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(h.t.Context(), method, path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (h *harness) do(browser *http.Client, r *http.Request) answer {
	h.t.Helper()
	if browser == nil {
		browser = h.browser()
	}
	resp, err := browser.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// audited counts the audit events of an action, waiting for the queue.
func (h *harness) audited(action string, want int) {
	h.t.Helper()
	var got int
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := h.db.Owner.QueryRow(h.t.Context(), `SELECT coalesce(sum(count), 0) FROM auth.audit_events WHERE action = $1`, action).Scan(&got)
		if err != nil {
			h.t.Fatal(err)
		}
		if got >= want || time.Now().After(deadline) {
			break
		}
	}
	if got != want {
		h.t.Errorf("%d audit events %s, want %d", got, action, want)
	}
}
