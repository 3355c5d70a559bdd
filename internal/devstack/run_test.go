package devstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"larder/internal/devstack/demo"
	"larder/internal/loopback"
)

// terminal collects what a run says.
type terminal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *terminal) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// running is one run of the stack, with stand-ins for the services.
type running struct {
	dir   string
	said  *terminal
	stop  context.CancelFunc
	ended chan error
}

func runStack(t *testing.T, dir string) *running {
	t.Helper()
	env := map[string]string{
		"AUTHSERVER_ADDR": reserve(t), "AUTHSERVER_INTERNAL_ADDR": reserve(t),
		"RESOURCEAPI_ADDR": reserve(t), "RESOURCEAPI_INTERNAL_ADDR": reserve(t),
	}
	ctx, stop := context.WithCancel(t.Context())
	r := &running{dir: dir, said: &terminal{}, stop: stop, ended: make(chan error, 1)}
	s := &Stack{
		Root: filepath.Join("testdata", "module"), Dir: dir, Stdout: r.said, Stderr: r.said,
		Getenv: func(name string) string { return env[name] },
	}
	go func() { r.ended <- s.Run(ctx) }()
	return r
}

func reserve(t *testing.T) string {
	t.Helper()
	addr, release, err := loopback.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}

// demo waits for the document, which is the sign that all is up.
func (r *running) demo(t *testing.T) demo.Demo {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	for {
		var document demo.Demo
		raw, err := os.ReadFile(filepath.Join(r.dir, demoFile))
		if err == nil {
			if err := json.Unmarshal(raw, &document); err != nil {
				t.Fatal(err)
			}
			return document
		}
		select {
		case err := <-r.ended:
			t.Fatalf("it ended before it was up: %v\n%s", err, r.said)
		case <-deadline:
			t.Fatalf("no %s in five minutes\n%s", demoFile, r.said)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(5 * time.Minute):
		t.Fatalf("it does not end\n%s", r.said)
		return nil
	}
}

func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func settings(t *testing.T, base string) map[string]string {
	t.Helper()
	response, err := http.Get(base + "/environment")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var lines []string
	if err := json.NewDecoder(response.Body).Decode(&lines); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		got[name] = value
	}
	return got
}

func TestRunSeedsServesStopsAndKeepsPasswords(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	first := runStack(t, dir)
	before := first.demo(t)
	if info, err := os.Stat(filepath.Join(dir, demoFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of %s: %v, %v; want 0600", demoFile, info.Mode(), err)
	}
	admin, _ := before.User(demo.Admin)
	if admin.Password == "" || before.FamilyID == "" || before.Metrics.AuthServer == "" {
		t.Errorf("the document is not complete: %+v", before)
	}
	second := runStack(t, dir)
	if err := second.wait(t); err == nil || !strings.Contains(err.Error(), "LARDER_DEV_DIR") {
		t.Errorf("a second run in the same directory: got %v, want advice", err)
	}
	if after := first.demo(t); cmp.Diff(before, after) != "" {
		t.Error("the second run touched the document of the first")
	}
	testRoles(t, settings(t, before.Issuer), settings(t, before.API))
	first.stop()
	if err := first.wait(t); err != nil {
		t.Errorf("stopped on request: %v", err)
	}
	for _, word := range []string{"authserver drains", "resourceapi drains"} {
		if !strings.Contains(first.said.String(), word) {
			t.Errorf("%q is not in what was said:\n%s", word, first.said)
		}
	}

	third := runStack(t, dir)
	again := third.demo(t)
	if diff := cmp.Diff(before.Users, again.Users); diff != "" {
		t.Errorf("people changed from run to run (-first +second):\n%s", diff)
	}
	third.stop()
	if err := third.wait(t); err != nil {
		t.Error(err)
	}
}

// testRoles checks that the services get roles of their own without power.
func testRoles(t *testing.T, auth, api map[string]string) {
	t.Helper()
	for group, url := range map[string]string{"larder_auth": auth["AUTHSERVER_DATABASE_URL"], "larder_grocery": api["RESOURCEAPI_DATABASE_URL"]} {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		var member, powerful bool
		err = conn.QueryRow(t.Context(), `SELECT pg_has_role(current_user, $1, 'USAGE'), rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole
			FROM pg_roles WHERE rolname = current_user`, group).Scan(&member, &powerful)
		if err != nil || !member || powerful {
			t.Errorf("role for %s: member %v, powerful %v, %v", group, member, powerful, err)
		}
		_ = conn.Close(t.Context())
	}
	if auth["AUTHSERVER_DEMO_RESOURCEAPI_SECRET"] != api["RESOURCEAPI_CLIENT_SECRET"] || api["RESOURCEAPI_CLIENT_SECRET"] == "" {
		t.Error("the resource API's secret is not the one that the authorization server registers")
	}
}

func TestRunEndsWithTheLastWordsOfAServiceThatDies(t *testing.T) {
	t.Parallel()
	r := runStack(t, openDir(t))
	document := r.demo(t)
	if response, err := http.Post(document.API+"/crash", "", http.NoBody); err == nil {
		_ = response.Body.Close()
		t.Fatal("it did not crash")
	}
	err := r.wait(t)
	if err == nil || !strings.Contains(err.Error(), "resourceapi stopped (exit status 7)") || !strings.Contains(err.Error(), "meets its end") {
		t.Errorf("got %v, want the exit status and the last words", err)
	}
	if !strings.Contains(r.said.String(), "authserver drains") {
		t.Error("the other service was not stopped")
	}
}

func TestTestGivesTheCommandServersAndPassesOnItsStatus(t *testing.T) {
	t.Parallel()
	said := &terminal{}
	s := &Stack{Root: ".", Dir: openDir(t), Stdout: said, Stderr: said, Getenv: func(string) string { return "" }}
	err := s.Test(t.Context(), []string{"/bin/sh", "-c", "echo $DATABASE_URL $REDIS_URL; test -x \"$CHROMIUM\" && exit 3"})
	if failed, ok := errors.AsType[*ExitError](err); !ok || failed.Code != 3 {
		t.Errorf("got %v, want exit status 3 and a browser", err)
	}
	for _, scheme := range []string{"postgres://", "redis://"} {
		if !strings.Contains(said.String(), scheme) {
			t.Errorf("the command got no %s address:\n%s", scheme, said)
		}
	}
	if err := s.Clean(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("after Clean the directory is there: %v", err)
	}
}
