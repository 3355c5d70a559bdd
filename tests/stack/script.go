package stack

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"larder/internal/devstack/servers"
)

// oldestNode is what openid-client 6 needs.
const oldestNode = 20

// Script is a program in Node that a test has a conversation with, line by line: it is given the demo document, asks for
// what it cannot do itself, and says what it has done.
type Script struct {
	// Dir is where InstallNode put the file Name.
	Dir, Name string
	// Env is added to the environment, as "NAME=value".
	Env []string
	// Open follows {"open": URL} as a person's browser and returns the address that it was sent back to.
	Open func(url string) string
	// Deeds are what the script may ask for by {"please": deed}. It gets what the deed returns, one line.
	Deeds map[string]func() string
}

// Converse runs a script to its end. It must exit with code 0 and have said at least one {"done": step}.
func (s *Stack) Converse(t testing.TB, script Script) {
	t.Helper()
	document, err := json.Marshal(s.Demo) //nolint:gosec // the document of the demo, for the demo
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", script.Name) //nolint:gosec // a script of ours
	cmd.Dir, cmd.Stderr, cmd.Env = script.Dir, t.Output(), append(os.Environ(), script.Env...)
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
			t.Errorf("%s printed %q", script.Name, lines.Text())
			continue
		}
		if said.Open != "" {
			if script.Open == nil {
				t.Fatalf("%s wants %s opened, and nobody is there to do so", script.Name, said.Open)
			}
			say(script.Open(said.Open))
		}
		if said.Please != "" {
			deed, ok := script.Deeds[said.Please]
			if !ok {
				t.Errorf("%s asks for %q", script.Name, said.Please)
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
		t.Errorf("%s: %v after %d steps", script.Name, err, steps)
	}
}

// InstallNode copies the files that match the patterns, taken from the folder from, with its package.json and lock file
// into a folder of the development directory that is called name, and has npm install what the lock file says, unless
// that is there already. Packages that test at the same time may share the folder if they take the same files.
func InstallNode(t testing.TB, name, from string, patterns ...string) string {
	t.Helper()
	requireNode(t)
	dev, err := servers.Directory(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(dev, "test", name)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // programs are no secret
		t.Fatal(err)
	}
	unlock, err := lock(filepath.Join(dir, ".lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unlock() }()
	seen := map[string]string{}
	for _, pattern := range append(slices.Clip(patterns), "package.json", "package-lock.json") {
		names, err := filepath.Glob(filepath.Join(from, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, name := range names {
			base := filepath.Base(name)
			if other := seen[base]; other != "" {
				t.Fatalf("%s and %s would be one file", other, name)
			}
			seen[base] = name
			CopyFile(t, name, filepath.Join(dir, base))
		}
	}
	locked, installed := filepath.Join(from, "package-lock.json"), filepath.Join(dir, "node_modules", ".locked")
	if Same(t, installed, locked) {
		return dir
	}
	Run(t, dir, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	CopyFile(t, locked, installed)
	return dir
}

// Chromium finds the browser as larder-dev does, which `make test` has bring it. The answer is for Script.Env.
func Chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return "CHROMIUM=" + path
		}
	}
	t.Fatal("there is no Chromium here: install it, set CHROMIUM to it, or run `make test`, which brings it")
	return ""
}

// Run runs a program in dir, or fails the test with what it printed.
func Run(t testing.TB, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...) //nolint:gosec // a program that the test names
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, output)
	}
}

// CopyFile copies a file whole or not at all, for somebody may be reading the copy; one that is the same stays.
func CopyFile(t testing.TB, from, to string) {
	t.Helper()
	if Same(t, to, from) {
		return
	}
	raw, err := os.ReadFile(from) //nolint:gosec // a path of the test's
	if err == nil {
		err = os.WriteFile(to+".half", raw, 0o644) //nolint:gosec // programs are no secret
	}
	if err == nil {
		err = os.Rename(to+".half", to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func requireNode(t testing.TB) {
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

// Same reports whether both files are there and hold the same.
func Same(t testing.TB, a, b string) bool {
	t.Helper()
	one, err := os.ReadFile(a) //nolint:gosec // a path of the test's
	if err != nil {
		return false
	}
	two, err := os.ReadFile(b) //nolint:gosec // a path of the test's
	if err != nil {
		t.Fatal(err)
	}
	return string(one) == string(two)
}
