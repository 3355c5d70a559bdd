package oauth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"

	"larder/authserver/account"
	"larder/authserver/ciba"
	"larder/authserver/device"
	"larder/authserver/logout"
	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
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
		t: t, db: pgtest.New(t), clock: &testClock{},
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

	fetcher := outbound.New(outbound.Config{Timeout: 5 * time.Second, MaxBody: 16 << 10, AllowLoopback: true})
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
		Jar: jar, Timeout: 30 * time.Second,
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
	for range 100 {
		err := h.db.Owner.QueryRow(h.t.Context(), `SELECT coalesce(sum(count), 0) FROM auth.audit_events WHERE action = $1`, action).Scan(&got)
		if err != nil {
			h.t.Fatal(err)
		}
		if got >= want {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got != want {
		h.t.Errorf("%d audit events %s, want %d", got, action, want)
	}
}

// testClock is the real clock, moved.
type testClock struct{ ahead atomic.Int64 }

func (c *testClock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *testClock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

type testClients struct {
	mu   sync.Mutex
	byID map[string]*oidc.Client
}

func (c *testClients) set(client *oidc.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[client.ID] = client
}

func (c *testClients) Client(_ context.Context, clientID string) (*oidc.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	client, ok := c.byID[clientID]
	if !ok || client.Disabled {
		return nil, fault.New(fault.NotFound, "no such client")
	}
	return client, nil
}

// Secrets lie open in this stand-in.
func (*testClients) Secrets(_ context.Context, client *oidc.Client) ([]secret.String, error) {
	var values []secret.String
	for _, value := range client.SealedSecrets {
		values = append(values, secret.String(value))
	}
	return values, nil
}

// testKeys signs with one key per algorithm, as keys.Keys does.
type testKeys struct {
	byAlg map[string]jose.JSONWebKey
	mac   [][]byte
	jwks  []byte
}

// rsaPair is made once: it takes longer than everything else in a test.
var rsaPair = sync.OnceValues(func() (a, b *rsa.PrivateKey) {
	a, errA := rsa.GenerateKey(rand.Reader, 2048)
	b, errB := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(errA, errB); err != nil {
		panic(err)
	}
	return a, b
})

// testRSA is one of two RSA keys.
func testRSA(i int) *rsa.PrivateKey {
	a, b := rsaPair()
	return [...]*rsa.PrivateKey{a, b}[i]
}

func newTestKeys(t testing.TB) *testKeys {
	t.Helper()
	k := &testKeys{byAlg: map[string]jose.JSONWebKey{}, mac: [][]byte{make([]byte, 32)}}
	_, _ = rand.Read(k.mac[0])
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, ps := testRSA(0), testRSA(1)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	for _, key := range []struct {
		alg string
		key crypto.Signer
	}{{"ES256", ec}, {"RS256", rs}, {"EdDSA", ed}, {"PS256", ps}} {
		jwk := jose.JSONWebKey{Key: key.key, KeyID: rand.Text(), Algorithm: key.alg, Use: "sig"}
		k.byAlg[key.alg] = jwk
		set.Keys = append(set.Keys, jwk.Public())
	}
	if k.jwks, err = json.Marshal(set); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *testKeys) Sign(_ context.Context, alg, typ string, payload []byte) (string, error) {
	return signWith(k.byAlg[alg], typ, payload)
}

func signWith(key jose.JSONWebKey, typ string, payload []byte) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

func (k *testKeys) Verify(token string, typ ...string) (payload []byte, alg string, err error) {
	bad := fault.New(fault.Unauthenticated, "bad token")
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA, jose.PS256})
	if err != nil {
		return nil, "", bad
	}
	header := jws.Signatures[0].Protected
	got, _ := header.ExtraHeaders[jose.HeaderType].(string)
	if header.JSONWebKey != nil || !slices.Contains(typ, got) {
		return nil, "", bad
	}
	for key := range maps.Values(k.byAlg) {
		if key.KeyID == header.KeyID && key.Algorithm == header.Algorithm {
			if payload, err = jws.Verify(key.Public().Key); err == nil {
				return payload, key.Algorithm, nil
			}
		}
	}
	return nil, "", bad
}

func (k *testKeys) JWKS() []byte            { return k.jwks }
func (*testKeys) Algorithms() []string      { return []string{"ES256", "RS256", "EdDSA", "PS256"} }
func (k *testKeys) MACKeys(string) [][]byte { return k.mac }

const testSessionCookie = "larder-session"

type testSessions struct {
	mu       sync.Mutex
	byCookie map[string]oidc.Login
	down     error // what Current answers, if not nil
}

func (s *testSessions) add(login oidc.Login) (cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cookie = rand.Text()
	s.byCookie[cookie] = login
	return cookie
}

func (s *testSessions) Current(r *http.Request) (*oidc.Login, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return nil, s.down
	}
	if c, err := r.Cookie(testSessionCookie); err == nil {
		if login, ok := s.byCookie[c.Value]; ok {
			return &login, nil
		}
	}
	return nil, nil //nolint:nilnil // as the real one: nobody is signed in
}

func (s *testSessions) End(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, err := r.Cookie(testSessionCookie); err == nil {
		delete(s.byCookie, c.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: testSessionCookie, Path: "/", MaxAge: -1})
	return nil
}

func (s *testSessions) EndSID(_ context.Context, sid string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.byCookie, func(_ string, login oidc.Login) bool { return login.SID == sid })
	return nil
}

func (s *testSessions) lives(sid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, login := range s.byCookie {
		if login.SID == sid {
			return true
		}
	}
	return false
}

// testConsents covers everything unless asked to wait for consent. What it
// covers lies in auth.consents, where the refresh grant looks for it.
type testConsents struct {
	db      *pgtest.DB
	missing atomic.Bool
}

func (c *testConsents) Covered(ctx context.Context, user id.ID, clientID string, scopes, resources []string) (bool, error) {
	if c.missing.Load() {
		return false, nil
	}
	_, err := c.db.Owner.Exec(ctx, `INSERT INTO auth.consents (user_id, client_id, scopes, resources) VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`, user, clientID, scopes, resources)
	return err == nil, err
}

type testUsers struct {
	mu   sync.Mutex
	byID map[id.ID]oidc.User
}

func (u *testUsers) set(user oidc.User) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.byID[user.ID] = user
}

func (u *testUsers) User(_ context.Context, subject id.ID) (*oidc.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user, ok := u.byID[subject]
	if !ok {
		return nil, fault.New(fault.NotFound, "no such user")
	}
	return &user, nil
}

func (u *testUsers) ByEmail(_ context.Context, address string) (*oidc.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, user := range u.byID {
		if user.Email == address {
			return &user, nil
		}
	}
	return nil, fault.New(fault.NotFound, "no such user")
}

type testAPIKeys struct{ byKey map[string]oidc.APIKey }

func (k *testAPIKeys) Introspect(_ context.Context, key, _ string) (*oidc.APIKey, error) {
	found, ok := k.byKey[key]
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "no such key")
	}
	return &found, nil
}

func (k *testAPIKeys) Revoke(_ context.Context, keyID id.ID, _ audit.Actor) error {
	maps.DeleteFunc(k.byKey, func(_ string, key oidc.APIKey) bool { return key.ID == keyID })
	return nil
}

type testFlow struct {
	req      oidc.AuthRequest
	approved string
	denied   bool
}

type testFlows struct {
	mu   sync.Mutex
	byID map[string]*testFlow
}

func (f *testFlows) Begin(_ context.Context, _ http.ResponseWriter, _ *http.Request, req oidc.AuthRequest) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	flowID := rand.Text()
	f.byID[flowID] = &testFlow{req: req}
	return flowID, nil
}

func (f *testFlows) Resume(_ context.Context, _ *http.Request, flowID string) (*oidc.AuthRequest, string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	flow, ok := f.byID[flowID]
	if !ok {
		return nil, "", false, fault.New(fault.NotFound, "no such flow")
	}
	req := flow.req
	return &req, flow.approved, flow.denied, nil
}

func (f *testFlows) Finish(_ context.Context, flowID string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, first := f.byID[flowID]
	delete(f.byID, flowID)
	return first, nil
}

// decide does what the consent page would do.
func (f *testFlows) decide(flowID, sid string, deny bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byID[flowID].approved, f.byID[flowID].denied = sid, deny
}

// testPages writes in one line what a page would show.
type testPages struct{}

func (*testPages) Error(w http.ResponseWriter, _ *http.Request, err error) {
	message := "something went wrong"
	if shown, ok := errors.AsType[*fault.Error](err); ok {
		message = shown.Message
	}
	web.SetRetryAfter(w, err)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(web.Status(err))
	_, _ = fmt.Fprintf(w, "error page: %s", html.EscapeString(message))
}

func (*testPages) ConfirmLogout(w http.ResponseWriter, _ *http.Request, clientName string, hidden map[string]string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "confirm page: %s %s", html.EscapeString(clientName), html.EscapeString(fmt.Sprint(hidden)))
}

func (*testPages) LoggedOut(w http.ResponseWriter, _ *http.Request, page oidc.LoggedOut) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "logged-out page: %s %s", html.EscapeString(page.ClientName), html.EscapeString(page.ReturnURI))
	for _, frame := range page.Frames {
		_, _ = fmt.Fprintf(w, "\nframe %s", html.EscapeString(frame))
	}
	if page.Onward {
		_, _ = fmt.Fprint(w, "\nonward")
	}
}
