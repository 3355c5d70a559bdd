package rp_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"larder/internal/devstack/demo"
	"larder/internal/devstack/servers"
	"larder/tests/stack"
)

// oldestNode is what openid-client 6 needs.
const oldestNode = 20

// TestNode runs each script of the folder node. A script asks for the browser with {"open": URL}, gets the address
// that the browser was sent back to, and ends with exit code 0 when everything was right.
func TestNode(t *testing.T) {
	t.Parallel()
	dir := install(t)
	binaries := stack.BuildForTest(t)
	for _, script := range []string{"openid-client.mjs", "oauth4webapi.mjs", "dpop.mjs", "signed.mjs"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			converse(t, stack.New(t, binaries, stack.Options{}), dir, script)
		})
	}
}

func converse(t *testing.T, s *stack.Stack, dir, script string) {
	t.Helper()
	document, err := json.Marshal(s.Demo)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Dir, cmd.Stderr = dir, t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	say := func(line string) {
		if _, err := io.WriteString(stdin, line+"\n"); err != nil {
			t.Error(err)
		}
	}
	say(string(document))
	steps := 0
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var said struct{ Open, Done string }
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Errorf("%s printed %q", script, lines.Text())
			continue
		}
		if said.Open != "" {
			say(browse(t, s, s.User(t, demo.Admin), said.Open).String())
		}
		if said.Done != "" {
			steps++
			t.Log(said.Done)
		}
	}
	if err := cmd.Wait(); err != nil || steps == 0 {
		t.Errorf("%s: %v after %d steps", script, err, steps)
	}
}

// install copies the scripts to the development directory and installs exactly what their lock file says.
func install(t *testing.T) string {
	t.Helper()
	requireNode(t)
	dev, err := servers.Directory(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(dev, "test", "node")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fresh := same(t, filepath.Join(dir, "node_modules", ".locked"), filepath.Join("node", "package-lock.json"))
	for _, pattern := range []string{"*.mjs", "package.json", "package-lock.json"} {
		names, err := filepath.Glob(filepath.Join("node", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, name := range names {
			copyFile(t, name, filepath.Join(dir, filepath.Base(name)))
		}
	}
	if fresh {
		return dir
	}
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
	copyFile(t, filepath.Join("node", "package-lock.json"), filepath.Join(dir, "node_modules", ".locked"))
	return dir
}

func requireNode(t *testing.T) {
	t.Helper()
	const advice = "install Node.js 20 or newer with npm (`apt-get install nodejs npm`, `brew install node`), or run `make test`, which does"
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatalf("there is no npm here: %s", advice)
	}
	version, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	if err != nil {
		t.Fatalf("there is no node here (%v): %s", err, advice)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(version)), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestNode {
		t.Fatalf("node here is %s: %s", version, advice)
	}
}

func same(t *testing.T, a, b string) bool {
	t.Helper()
	one, err := os.ReadFile(a)
	if err != nil {
		return false
	}
	two, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(one) == string(two)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
