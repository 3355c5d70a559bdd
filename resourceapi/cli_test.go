package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	netmail "net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/brand"
	"larder/internal/devstack/demo"
	"larder/internal/id"
	"larder/internal/pgtest"
	"larder/resourceapi/bearer/bearertest"
)

func TestConfigReportsEveryFaultAtOnceAndNoSecret(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"RESOURCEAPI_ADDR": "9100", "RESOURCEAPI_INTERNAL_ADDR": "0.0.0.0:1", "RESOURCEAPI_ISSUER": "http://login.example.com",
		"RESOURCEAPI_RESOURCE": "https://api.example.com/", "RESOURCEAPI_DATABASE_URL": "postgres://u:hunter2@h:x/",
		"RESOURCEAPI_CLIENT_SECRET": "hunter2", "RESOURCEAPI_LOG_LEVEL": "loud", "RESOURCEAPI_DEVELOPMENT": "perhaps",
		"RESOURCEAPI_DATABASE_CONNECTIONS": "1", "RESOURCEAPI_TRUSTED_PROXIES": "10.0.0.0/8,everyone",
		"RESOURCEAPI_REDIS_URL": "http://:hunter2@h", "RESOURCEAPI_DPOP_NONCE_REQUIRED": "perhaps",
	}
	_, err := loadConfig(func(name string) string { return env[name] }, needServe)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range append([]string{"RESOURCEAPI_CLIENT_ID"}, keys(env)...) {
		if !strings.Contains(err.Error(), name+":") {
			t.Errorf("%s is not mentioned", name)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret shows: %v", err)
	}
}

func keys(m map[string]string) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	c, err := loadConfig(func(string) string { return "" }, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Config{
		Addr: "localhost:9100", InternalAddr: "127.0.0.1:9101", ShutdownDelay: 5 * time.Second, DatabaseConns: 16, QuotaPrincipal: 1200, QuotaFamily: 6000, QuotaAddress: 600,
		AuditRetention: 400 * 24 * time.Hour,
		Mail:           MailConfig{Brand: brand.Larder(), From: &netmail.Address{Name: "Larder", Address: "no-reply@localhost"}},
	}, c); diff != "" {
		t.Error(diff)
	}
}

func TestCommandLineExplainsItself(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	for args, want := range map[string]struct {
		out   string
		usage bool
	}{
		"--help":        {"Usage: resourceapi COMMAND", false},
		"serve --help":  {"RESOURCEAPI_DATABASE_URL", false},
		"version":       {"resourceapi ", false},
		"":              {"Usage: resourceapi COMMAND", true},
		"dance":         {`no command "dance"`, true},
		"migrate twice": {"takes no arguments", true},
	} {
		var out bytes.Buffer
		err := run(t.Context(), strings.Fields(args), none, nil, &out, &out)
		if errors.Is(err, errUsage) != want.usage || !strings.Contains(out.String(), want.out) {
			t.Errorf("%q: got %v, %s", args, err, out.String())
		}
	}
}

func demoEnv(db *pgtest.DB, change map[string]string) func(string) string {
	env := map[string]string{"RESOURCEAPI_DEVELOPMENT": "true", "RESOURCEAPI_DATABASE_URL": db.GroceryURL}
	maps.Copy(env, change)
	return func(name string) string { return env[name] }
}

func TestDemoMakesTheFamilyOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	document := demo.New()
	for i := range document.Users {
		document.Users[i].ID = id.New().String()
	}
	document.Clients.Machine.ID = "machine"
	document.FamilyID = id.New().String()
	seed := func(d demo.Demo) (done demo.Demo) {
		t.Helper()
		raw, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := run(t.Context(), []string{"demo"}, demoEnv(db, nil), bytes.NewReader(raw), &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &done); err != nil {
			t.Fatal(err)
		}
		return done
	}
	first := seed(document)
	if len(first.Lists) != 3 || first.FamilyID != document.FamilyID {
		t.Fatalf("family %s and lists %v", first.FamilyID, first.Lists)
	}
	second := seed(first)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the second run (+) differs:\n%s", diff)
	}
	counts := strings1(t, db.Owner, `SELECT concat_ws(' ', (SELECT count(*) FROM grocery.families), (SELECT count(*) FROM grocery.family_members),
		(SELECT count(*) FROM grocery.lists), (SELECT count(*) FROM grocery.items), (SELECT count(*) FROM grocery.list_permissions),
		(SELECT count(*) FROM grocery.app_installations))`)
	if diff := cmp.Diff("2 4 3 16 1 1", counts[0]); diff != "" {
		t.Errorf("families, members, lists, items, permissions, apps: %s", diff)
	}
}

func TestDemoIsForDevelopmentOnLoopback(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for name, change := range map[string]map[string]string{
		"not in development":   {"RESOURCEAPI_DEVELOPMENT": "false"},
		"a public listener":    {"RESOURCEAPI_ADDR": "0.0.0.0:9100"},
		"every interface":      {"RESOURCEAPI_ADDR": ":9100"},
		"an internal one wide": {"RESOURCEAPI_INTERNAL_ADDR": "0.0.0.0:1", "RESOURCEAPI_INTERNAL_PRIVATE": "true"},
	} {
		if err := run(t.Context(), []string{"demo"}, demoEnv(db, change), strings.NewReader("{}"), io.Discard, io.Discard); err == nil {
			t.Errorf("%s: seeded", name)
		}
	}
}

// proxy stands between the service and PostgreSQL, and can be cut.
type proxy struct {
	target string
	mu     sync.Mutex
	cut    bool
	conns  []net.Conn
}

func newProxy(t *testing.T, target string) (*proxy, string) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	p := &proxy{target: target}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.forward(t.Context(), c)
		}
	}()
	return p, ln.Addr().String()
}

func (p *proxy) forward(ctx context.Context, c net.Conn) {
	up, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.target)
	p.mu.Lock()
	if err != nil || p.cut {
		p.mu.Unlock()
		_ = c.Close()
		return
	}
	p.conns = append(p.conns, c, up)
	p.mu.Unlock()
	go func() { _, _ = io.Copy(up, c); _ = up.Close() }()
	_, _ = io.Copy(c, up)
	_ = c.Close()
}

func (p *proxy) set(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// hostPort is where the test's PostgreSQL listens.
func hostPort(db *pgtest.DB) string {
	c := db.Grocery.Config().ConnConfig
	return net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
}

// listening reads a log until the service has said where it listens, and then
// for as long as it speaks.
func listening(t *testing.T, log io.Reader) (public, internal string) {
	t.Helper()
	lines := bufio.NewScanner(log)
	for (public == "" || internal == "") && lines.Scan() {
		var said struct{ Msg, Listener, Addr string }
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Fatalf("%v in the log: %s", err, lines.Bytes())
		}
		switch said.Msg + " " + said.Listener {
		case "listening public":
			public = said.Addr
		case "listening internal":
			internal = said.Addr
		}
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	return public, internal
}

// TestServeStartsWithoutTheDatabaseAndRecovers runs the whole command.
func TestServeStartsWithoutTheDatabaseAndRecovers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	issuer := bearertest.New(t, resource, time.Now)
	gateway, addr := newProxy(t, hostPort(db))
	gateway.set(true)
	env := map[string]string{
		"RESOURCEAPI_ADDR": "127.0.0.1:0", "RESOURCEAPI_INTERNAL_ADDR": "127.0.0.1:0", "RESOURCEAPI_DEVELOPMENT": "true",
		"RESOURCEAPI_ISSUER": issuer.URL, "RESOURCEAPI_RESOURCE": "http://localhost:9100", "RESOURCEAPI_CLIENT_ID": issuer.Config().ClientID,
		"RESOURCEAPI_CLIENT_SECRET": issuer.Config().ClientSecret.Reveal(),
		"RESOURCEAPI_DATABASE_URL":  strings.Replace(db.GroceryURL, hostPort(db), addr, 1),
	}
	issuer.Resource = "http://localhost:9100"
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	read, write := io.Pipe()
	go func() {
		err := run(ctx, []string{"serve"}, func(name string) string { return env[name] }, nil, io.Discard, write)
		_ = write.Close()
		ended <- err
	}()
	public, internal := listening(t, read)
	token := issuer.UserToken("ann", "family:read")
	get := func(url string) (status int, header http.Header) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, nil
		}
		_ = answer.Body.Close()
		return answer.StatusCode, answer.Header
	}
	until := func(url string, want int) http.Header {
		t.Helper()
		for range looks {
			if status, header := get(url); status == want {
				return header
			}
			sleep(t)
		}
		t.Fatalf("%s never answered %d", url, want)
		return nil
	}
	until("http://"+public+"/healthz", 200)
	for _, gone := range []string{"/readyz", "/v1/families"} {
		if got := until("http://"+public+gone, 503); got.Get("Retry-After") == "" {
			t.Errorf("%s has no Retry-After", gone)
		}
	}
	gateway.set(false)
	until("http://"+internal+"/readyz", 200)
	until("http://"+public+"/v1/families", 200)
	gateway.set(true)
	until("http://"+public+"/v1/families", 503)
	until("http://"+public+"/readyz", 503)
	gateway.set(false)
	until("http://"+public+"/v1/families", 200)
	until("http://"+internal+"/metrics", 200)
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("stopped with %v", err)
		}
	case <-time.After(patience):
		t.Error("did not stop")
	}
}

func TestServeRefusesARoleThatRowLevelSecurityDoesNotBind(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	issuer := bearertest.New(t, resource, time.Now)
	env := map[string]string{
		"RESOURCEAPI_ADDR": "127.0.0.1:0", "RESOURCEAPI_INTERNAL_ADDR": "127.0.0.1:0", "RESOURCEAPI_DEVELOPMENT": "true",
		"RESOURCEAPI_ISSUER": issuer.URL, "RESOURCEAPI_RESOURCE": "http://localhost:9100", "RESOURCEAPI_CLIENT_ID": "resourceapi",
		"RESOURCEAPI_CLIENT_SECRET": "0123456789abcdef", "RESOURCEAPI_DATABASE_URL": db.OwnerURL,
	}
	err := run(t.Context(), []string{"serve"}, func(name string) string { return env[name] }, nil, io.Discard, t.Output())
	if err == nil || !strings.Contains(err.Error(), "not confined") {
		t.Errorf("got %v", err)
	}
}
