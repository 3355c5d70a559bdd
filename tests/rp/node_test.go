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
	dir := install(t) // one test after the other, so before they run in parallel
	t.Parallel()
	binaries := stack.BuildForTest(t)
	for _, script := range []string{"openid-client.mjs", "oauth4webapi.mjs", "dpop.mjs", "signed.mjs"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			converse(t, stack.New(t, binaries, stack.Options{}), dir, script, nil)
		})
	}
}

// deeds are what a script may ask of its test, by {"please": deed}. The script gets what the deed returns, one line.
type deeds map[string]func() string

func converse(t *testing.T, s *stack.Stack, dir, script string, can deeds, env ...string) {
	t.Helper()
	document, err := json.Marshal(s.Demo)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Dir, cmd.Stderr, cmd.Env = dir, t.Output(), append(os.Environ(), env...)
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
		var said struct{ Open, Done, Please string }
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Errorf("%s printed %q", script, lines.Text())
			continue
		}
		if said.Open != "" {
			say(browse(t, s, s.User(t, demo.Admin), said.Open).String())
		}
		if said.Please != "" {
			deed, ok := can[said.Please]
			if !ok {
				t.Errorf("%s asks for %q", script, said.Please)
				continue
			}
			say(deed())
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

// install copies the scripts to the development directory and installs exactly what their lock file says. All tests use
// the same folder, so they call it before t.Parallel.
func install(t *testing.T) string {
	t.Helper()
	return installFrom(t, "node", "node", "*.mjs")
}

// installFrom copies the files of from that match the patterns, with package.json and its lock file, into a folder of
// the development directory and has npm install what the lock file says, unless that is there already.
func installFrom(t *testing.T, from, name string, patterns ...string) string {
	t.Helper()
	requireNode(t)
	dev, err := servers.Directory(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(dev, "test", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(from, "package-lock.json")
	for _, pattern := range append(patterns, "package.json", "package-lock.json") {
		names, err := filepath.Glob(filepath.Join(from, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, name := range names {
			copyFile(t, name, filepath.Join(dir, filepath.Base(name)))
		}
	}
	if same(t, filepath.Join(dir, "node_modules", ".locked"), locked) {
		return dir
	}
	run(t, dir, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	copyFile(t, locked, filepath.Join(dir, "node_modules", ".locked"))
	return dir
}

func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, output)
	}
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
