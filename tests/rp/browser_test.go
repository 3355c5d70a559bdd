package rp_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/devstack/demo"
	"larder/internal/loopback"
	"larder/tests/stack"
)

// TestSPA runs oidc-client-ts in Chromium, as the public client of the demo family.
func TestSPA(t *testing.T) {
	dir, browser := install(t), stack.Chromium(t)
	t.Parallel()
	converse(t, stack.New(t, stack.BuildForTest(t), stack.Options{}), dir, "spa.mjs", nil, browser)
}

// TestNextJS builds the example app, runs it and signs in with it in Chromium.
func TestNextJS(t *testing.T) {
	scripts, browser := install(t), stack.Chromium(t)
	t.Parallel()
	app := build(t)
	// The app takes no token that ends within a minute, so it refreshes at every chance.
	s := stack.New(t, stack.BuildForTest(t), stack.Options{Env: []string{"AUTHSERVER_ACCESS_TOKEN_LIFESPAN=1m"}})
	base := serve(t, s, app)
	db, err := pgx.Connect(t.Context(), s.OwnerURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(t.Context()) })
	converse(t, s, scripts, "nextjs.mjs", deeds{
		"count refreshes": func() string {
			var n int
			if err := db.QueryRow(t.Context(), "SELECT sum(generation) FROM auth.grants").Scan(&n); err != nil {
				t.Error(err)
			}
			return strconv.Itoa(n)
		},
		"let the sign-in grow old": func() string {
			const age = "UPDATE auth.grants SET session = jsonb_set(session, '{auth_time}', to_jsonb(now() - interval '1 hour'))"
			if _, err := db.Exec(t.Context(), age); err != nil {
				t.Error(err)
			}
			return "done"
		},
		"invite": func() string { return base + "/join#invitation=" + invitation(t, s) },
	}, browser, "APP="+base)
}

// invitation makes one for a member of the demo family and returns its token.
func invitation(t *testing.T, s *stack.Stack) string {
	t.Helper()
	tokens, err := s.Client(s.Demo.Clients.Web).Authorize(t.Context(), s.NewBrowser(), s.User(t, demo.Admin), "openid family:write", map[string][]string{"resource": {s.API}})
	if err != nil {
		t.Error(err)
		return ""
	}
	made, err := s.Call(t.Context(), tokens.AccessToken, http.MethodPost, "/v1/families/"+s.Demo.FamilyID+"/invitations", `{"role":"member"}`)
	if err != nil || made.Status != http.StatusCreated {
		t.Errorf("an invitation: %+v, %v", made, err)
		return ""
	}
	return made.Text("token")
}

// build makes the production build of the example, unless that of the same files is there.
func build(t *testing.T) string {
	t.Helper()
	source := filepath.Join("..", "..", "examples", "nextjs")
	dir := stack.InstallNode(t, "nextjs", source, "*.ts", "tsconfig.json")
	sum := sha256.New()
	err := fs.WalkDir(os.DirFS(source), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if entry != nil && (entry.Name() == "node_modules" || entry.Name() == ".next") {
				return fs.SkipDir
			}
			return err
		}
		raw, err := os.ReadFile(filepath.Join(source, path))
		if err != nil || strings.HasPrefix(path, ".") || entry.Name() == "next-env.d.ts" {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n%s", path, len(raw), raw)
		if strings.Contains(path, "/") {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
				return err
			}
			stack.CopyFile(t, filepath.Join(source, path), filepath.Join(dir, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want, mark := hex.EncodeToString(sum.Sum(nil)), filepath.Join(dir, ".next", "larder-built")
	if built, err := os.ReadFile(mark); err == nil && string(built) == want {
		return dir
	}
	stack.Run(t, dir, "npm", "run", "build")
	if err := os.WriteFile(mark, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// serve registers the app, starts it and returns its address.
func serve(t *testing.T, s *stack.Stack, dir string) string {
	t.Helper()
	addr, release, err := loopback.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	base := "http://localhost:" + port // another host than the provider's, with cookies of its own
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	body, _ := json.Marshal(map[string]any{
		"client_name": "Groceries", "redirect_uris": []string{base + "/api/auth/callback/larder"}, "post_logout_redirect_uris": []string{base + "/"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "scope": "openid profile email family:read family:write lists:read lists:write",
		"backchannel_logout_uri": base + "/api/backchannel-logout", "backchannel_logout_session_required": true,
	})
	resp, err := http.Post(s.Issuer+"/connect/register", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&client); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("registration: %d, %v", resp.StatusCode, err)
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("node_modules", "next", "dist", "bin", "next"), "start", "-H", "localhost", "-p", port)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, t.Output(), t.Output()
	cmd.Env = append(os.Environ(), "NEXT_TELEMETRY_DISABLED=1", "AUTH_URL="+base, "AUTH_SECRET="+client.Secret,
		"AUTH_LARDER_ISSUER="+s.Issuer, "AUTH_LARDER_ID="+client.ID, "AUTH_LARDER_SECRET="+client.Secret, "LARDER_API="+s.API)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the context of the test has ended by then, and with it the app
	deadline := time.Now().Add(3 * time.Minute)
	for {
		resp, err := http.Get(base)
		if err == nil {
			_ = resp.Body.Close()
			return base
		}
		if time.Now().After(deadline) {
			t.Fatalf("the app does not answer: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
