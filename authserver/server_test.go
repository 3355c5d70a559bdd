package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/internal/dpop/dpoptest"
	"larder/internal/id"
)

// patience is for what happens in the background, on a machine that may be busy with much else.
const patience = 2 * time.Minute

// running is a server that serves until the test ends.
type running struct {
	url      string
	internal string
	addrs    []net.Addr // of all listeners
	stop     context.CancelFunc
	done     chan struct{}
	err      error
}

// start runs serve over the world's environment.
func (w *world) start(t *testing.T) *running {
	t.Helper()
	cfg, err := loadConfig(lookup(w.env), needServe)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s := &running{stop: stop, done: make(chan struct{})}
	bound := make(chan []net.Addr, 1)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError + 1}))
	go func() {
		defer close(s.done)
		s.err = serve(ctx, cfg, time.Now, log, func(addrs []net.Addr) { bound <- addrs })
	}()
	t.Cleanup(func() { stop(); <-s.done })
	select {
	case addrs := <-bound:
		s.addrs = addrs
		s.url, s.internal = "http://"+addrs[0].String(), "http://"+addrs[1].String()
	case <-s.done:
		t.Fatalf("serve: %v", s.err)
	}
	return s
}

// answer is a response whose body was read.
type answer struct {
	StatusCode int
	Status     string
	Header     http.Header
	Body       string
}

func (s *running) waitFor(t *testing.T, path string, status int) answer {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		res := s.do(t, http.MethodGet, path, "", nil)
		if res.StatusCode == status {
			return res
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET %s: %s, want %d", path, res.Status, status)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// do sends one request.
func (s *running) do(t *testing.T, method, path, body string, header http.Header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Status, res.Header, string(raw)}
}

// decode reads the body as JSON.
func (a answer) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), v); err != nil {
		t.Fatalf("%s: %v in %s", a.Status, err, a.Body)
	}
}

// token gets an access token by client_credentials.
// token asks for a token as a client, with a DPoP proof or without.
func (s *running) token(t *testing.T, clientID, clientSecret, scope string, proof ...string) (string, int) {
	t.Helper()
	req := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Dpop": proof}
	basic, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	basic.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(clientSecret))
	req["Authorization"] = basic.Header["Authorization"]
	res := s.do(t, http.MethodPost, "/token", url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}.Encode(), req)
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	res.decode(t, &tokens)
	return tokens.AccessToken, res.StatusCode
}

func (w *world) client(t *testing.T, name, scope string) (clientSecret string) {
	t.Helper()
	var made clientView
	w.must(t, &made, "", "client", "create", "--id", name, "--name", name, "--grant", "client_credentials", "--scope", scope, "--resource", testAPI)
	return made.ClientSecret
}

func TestTheAdminAPIDoesWhatTheCommandLineDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	adminSecret, otherSecret := w.client(t, "robot", "admin"), w.client(t, "other", "lists:read")
	s := w.start(t)
	s.waitFor(t, "/readyz", http.StatusOK)
	token, status := s.token(t, "robot", adminSecret, "admin")
	if status != http.StatusOK {
		t.Fatalf("token: %d", status)
	}
	call := func(method, path, body string, want int, v any) answer {
		t.Helper()
		h := http.Header{"Authorization": {"Bearer " + token}}
		if body != "" {
			h.Set("Content-Type", "application/json")
		}
		res := s.do(t, method, path, body, h)
		if res.StatusCode != want {
			t.Fatalf("%s %s: %s\n%s", method, path, res.Status, res.Body)
		}
		if v != nil {
			res.decode(t, v)
		}
		return res
	}

	var user userView
	call(http.MethodPost, "/admin/v1/users", `{"name":"Ada","email":"ada@larder.test","password":"a passphrase of some length"}`, http.StatusCreated, &user)
	call(http.MethodPatch, "/admin/v1/users/"+user.ID.String(), `{"disabled":true}`, http.StatusOK, &user)
	call(http.MethodPatch, "/admin/v1/users/"+user.ID.String(), `{"profile":{"nickname":"Addie","phone_number":"+431234567","phone_number_verified":true}}`, http.StatusOK, &user)
	if user.Profile["nickname"] != "Addie" || user.Profile["phone_number_verified"] != true {
		t.Errorf("profile %v", user.Profile)
	}
	if !user.Disabled {
		t.Errorf("user %+v", user)
	}
	call(http.MethodGet, "/admin/v1/users/"+id.New().String(), "", http.StatusNotFound, nil)
	call(http.MethodGet, "/admin/v1/users/nonsense", "", http.StatusNotFound, nil)

	var made struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	res := call(http.MethodPost, "/admin/v1/clients", `{"client_id":"new","client_name":"New","grant_types":["client_credentials"],"scope":"lists:read"}`, http.StatusCreated, &made)
	if made.ClientSecret == "" || res.Header.Get("Etag") != `"1"` || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("created %+v, %v", made, res.Header)
	}
	if _, status := s.token(t, "new", made.ClientSecret, "lists:read"); status != http.StatusOK {
		t.Errorf("the new client gets no token: %d", status)
	}
	var problem struct {
		Type   string
		Errors []struct{ Pointer string }
	}
	call(http.MethodPost, "/admin/v1/clients", `{"client_name":"","scope":"root","redirect_uris":["x"]}`, http.StatusBadRequest, &problem)
	if page := s.do(t, http.MethodGet, problem.Type, "", nil); len(problem.Errors) != 3 || page.StatusCode != http.StatusOK || !strings.HasPrefix(page.Body, "invalid_client_metadata\n") {
		t.Errorf("faults %+v, want all three; what they mean: %s %s", problem.Errors, page.Status, page.Body)
	}
	call(http.MethodPut, "/admin/v1/clients/new", `{"client_name":"N","grant_types":["client_credentials"]}`, http.StatusPreconditionRequired, nil)
	call(http.MethodPatch, "/admin/v1/clients/new", `{"disabled":true}`, http.StatusOK, nil)
	if _, status := s.token(t, "new", made.ClientSecret, "lists:read"); status != http.StatusUnauthorized {
		t.Errorf("a disabled client is answered with %d", status)
	}

	var account struct{ ID string }
	call(http.MethodPost, "/admin/v1/service-accounts", fmt.Sprintf(`{"family_id":%q,"name":"Fridge"}`, id.New()), http.StatusCreated, &account)
	var key struct {
		ID     string
		APIKey string `json:"api_key"`
	}
	call(http.MethodPost, "/admin/v1/api-keys", fmt.Sprintf(`{"service_account_id":%q,"scopes":["lists:read"]}`, account.ID), http.StatusCreated, &key)
	if !strings.HasPrefix(key.APIKey, "lrd_live_") {
		t.Errorf("key %+v", key)
	}
	call(http.MethodDelete, "/admin/v1/api-keys/"+key.ID, "", http.StatusNoContent, nil)
	call(http.MethodDelete, "/admin/v1/service-accounts/"+account.ID, "", http.StatusOK, nil)

	var keySet struct{ Keys []struct{ State string } }
	call(http.MethodPost, "/admin/v1/keys/rotate", `{}`, http.StatusOK, &keySet)
	if len(keySet.Keys) != 8 {
		t.Errorf("keys %+v", keySet)
	}
	seen := map[string]bool{}
	for path := "/admin/v1/audit?limit=2"; path != ""; {
		var page struct {
			Events []struct {
				ID, Action string
				Actor      struct{ Kind, ID string }
			}
			Next string
		}
		call(http.MethodGet, path, "", http.StatusOK, &page)
		for _, e := range page.Events {
			if seen[e.ID] {
				t.Fatalf("event %s is on two pages", e.ID)
			}
			seen[e.ID] = true
			seen[e.Action+" by "+e.Actor.ID] = true
		}
		path = page.Next
	}
	for _, want := range []string{"client.created by cli:tester", "client.created by robot", "user.disabled by robot", "api_key.revoked by robot", "signing_key.rotated by robot"} {
		if !seen[want] {
			t.Errorf("the audit log lacks %q: %v", want, seen)
		}
	}

	proof := dpoptest.NewKey(t).Proof(t, dpoptest.Request{Method: http.MethodPost, URL: w.env["AUTHSERVER_ISSUER"] + "/token", At: time.Now()})
	for name, c := range map[string]struct {
		authorization []string
		status        int
		challenge     string
	}{
		"nobody":          {nil, http.StatusUnauthorized, `Bearer realm="admin"`},
		"nonsense":        {[]string{"Bearer x"}, http.StatusUnauthorized, `error="invalid_token"`},
		"another scheme":  {[]string{"Basic eDp5"}, http.StatusBadRequest, `error="invalid_request"`},
		"twice":           {[]string{"Bearer x", "Bearer y"}, http.StatusBadRequest, `error="invalid_request"`},
		"bound to a key":  {[]string{"Bearer " + first(s.token(t, "robot", adminSecret, "admin", proof))}, http.StatusUnauthorized, `error="invalid_token"`},
		"without a scope": {[]string{"Bearer " + first(s.token(t, "other", otherSecret, "lists:read"))}, http.StatusUnauthorized, `error="invalid_token"`},
	} {
		res := s.do(t, http.MethodGet, "/admin/v1/users", "", http.Header{"Authorization": c.authorization})
		if got := res.Header.Get("Www-Authenticate"); res.StatusCode != c.status || !strings.Contains(got, c.challenge) {
			t.Errorf("%s: %s, %s", name, res.Status, got)
		}
	}
	w.must(t, nil, "", "client", "update", "robot", "--scope", "lists:read")
	s.waitFor(t, "/healthz", http.StatusOK)
	deadline := time.Now().Add(patience)
	for {
		res := s.do(t, http.MethodGet, "/admin/v1/users", "", http.Header{"Authorization": {"Bearer " + token}})
		if res.StatusCode == http.StatusForbidden {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a client that lost the scope still gets %s", res.Status)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func first(s string, _ int) string { return s }

func TestHealthAndMetricsOfARunningServer(t *testing.T) {
	t.Parallel()
	s := newWorld(t).start(t)
	s.waitFor(t, "/readyz", http.StatusOK)
	res := s.do(t, http.MethodGet, "/metrics", "", nil)
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("metrics on the public listener: %s", res.Status)
	}
	internal := &running{url: s.internal}
	for _, path := range []string{"/healthz", "/readyz"} {
		internal.waitFor(t, path, http.StatusOK)
	}
	text := internal.do(t, http.MethodGet, "/metrics", "", nil).Body
	for _, name := range []string{"http_request_duration_seconds", "go_goroutines", "larder_swept_rows_total"} {
		if !strings.Contains(text, name) {
			t.Errorf("metrics lack %s", name)
		}
	}
	if res := s.do(t, http.MethodGet, "/.well-known/openid-configuration", "", nil); res.StatusCode != http.StatusOK || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("discovery: %s %v", res.Status, res.Header)
	}
	s.stop()
	<-s.done
	if s.err != nil {
		t.Errorf("a stopped server reports %v", s.err)
	}
}

func TestAnUnconfinedDatabaseRoleIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.with("AUTHSERVER_DATABASE_URL", w.db.OwnerURL).start(t)
	select {
	case <-s.done:
	case <-time.After(patience):
		t.Fatal("a superuser serves")
	}
	if s.err == nil || !strings.Contains(s.err.Error(), "not confined") {
		t.Fatalf("%v", s.err)
	}
}

func TestAWrongKeyEncryptionKeyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(t, nil, "", "keys", "rotate")
	s := w.with("AUTHSERVER_KEY_ENCRYPTION_KEYS", "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4=").start(t)
	select {
	case <-s.done:
	case <-time.After(patience):
		t.Fatal("it serves with keys that it cannot open")
	}
	if s.err == nil || !strings.Contains(s.err.Error(), "key-encryption key") {
		t.Fatalf("%v", s.err)
	}
}

// relay passes connections on to an address while it is open.
type relay struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	open     bool
	conns    []net.Conn
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: ln, target: target}
	t.Cleanup(func() { _ = ln.Close(); r.set(false) })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			r.serve(in)
		}
	}()
	return r
}

func (r *relay) serve(in net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out, err := new(net.Dialer).DialContext(context.Background(), "tcp", r.target)
	if !r.open || err != nil {
		_ = in.Close()
		if err == nil {
			_ = out.Close()
		}
		return
	}
	r.conns = append(r.conns, in, out)
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
}

// set opens the relay, or closes it with every connection.
func (r *relay) set(open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = open
	if !open {
		for _, c := range r.conns {
			_ = c.Close()
		}
		r.conns = nil
	}
}

// through returns address with the relay's in place of its host.
func through(t *testing.T, address string) (string, *relay) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, u.Host)
	u.Host = r.listener.Addr().String()
	return u.String(), r
}

func TestTheServerStartsAndRecoversWithoutItsStores(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	machineSecret := w.client(t, "machine", "lists:read")
	databaseURL, database := through(t, w.env["AUTHSERVER_DATABASE_URL"])
	redisURL, redis := through(t, w.env["AUTHSERVER_REDIS_URL"])
	s := w.with("AUTHSERVER_DATABASE_URL", databaseURL, "AUTHSERVER_REDIS_URL", redisURL).start(t)

	unavailable := func(path string) {
		t.Helper()
		res := s.waitFor(t, path, http.StatusServiceUnavailable)
		if res.Header.Get("Retry-After") == "" {
			t.Errorf("%s has no Retry-After", path)
		}
	}
	unavailable("/readyz")
	unavailable("/authorize?client_id=machine")
	s.waitFor(t, "/healthz", http.StatusOK)
	database.set(true)
	redis.set(true)
	s.waitFor(t, "/readyz", http.StatusOK)
	if _, status := s.token(t, "machine", machineSecret, "lists:read"); status != http.StatusOK {
		t.Fatalf("token: %d", status)
	}

	database.set(false)
	unavailable("/readyz")
	// What needs no database still works: the client and the keys are in memory.
	if _, status := s.token(t, "machine", machineSecret, "lists:read"); status != http.StatusOK {
		t.Errorf("token while the database is away: %d", status)
	}
	unavailable("/authorize?client_id=nobody-has-asked-for-this-one&response_type=code")
	database.set(true)
	s.waitFor(t, "/readyz", http.StatusOK)

	redis.set(false)
	unavailable("/readyz")
	redis.set(true)
	s.waitFor(t, "/readyz", http.StatusOK)
}

func TestAServerMigratesAnEmptyDatabaseWhenItMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.db.Owner.Exec(t.Context(), `DROP SCHEMA auth CASCADE; DROP TABLE larder_auth_migrations`); err != nil {
		t.Fatal(err)
	}
	s := w.start(t)
	s.waitFor(t, "/readyz", http.StatusServiceUnavailable)
	time.Sleep(100 * time.Millisecond) // it had time enough to be ready, were it not for the schema
	if res := s.do(t, http.MethodGet, "/readyz", "", nil); res.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("ready without a schema: %s", res.Status)
	}
	s.stop()
	<-s.done
	w.with("AUTHSERVER_MIGRATE_DATABASE_URL", w.db.OwnerURL).start(t).waitFor(t, "/readyz", http.StatusOK)
}
