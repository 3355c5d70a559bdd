package journey_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"larder/internal/devstack/servers"
	"larder/internal/emulator"
	"larder/tests/stack"
)

// atOnce is how many journeys are under way at a time: a browser makes a small machine busy.
const atOnce = 2

// TestJourneys runs each script of the folder node that tells a journey. PICTURES names a folder for screenshots of every
// page; those of a failed journey lie in the development directory.
func TestJourneys(t *testing.T) {
	dir := stack.InstallNode(t, "journey", filepath.Join("..", "rp", "node"), "talk.mjs", "../../journey/node/*.mjs")
	chromium := stack.Chromium(t)
	t.Parallel()
	journeys := []string{
		"registering", "password", "profile", "second-step", "sent-codes", "passkeys", "providers", "linking", "device", "consent", "step-up", "sessions", "not-me",
		"keys", "privacy", "scriptless", "narrow",
	}
	s := start(t)
	env := []string{
		chromium, "BROWSER=" + launch(t, dir, chromium), "MAILS=" + s.Mails(), "TEXTS=" + s.Texts(), "LEAVE=" + leave(t),
		"LOOKED=" + t.TempDir(),
	}
	turns := make(chan struct{}, atOnce)
	for _, name := range journeys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			turns <- struct{}{}
			defer func() { <-turns }()
			s.Converse(t, stack.Script{Dir: dir, Name: name + ".mjs", Env: append([]string{"JOURNEY=" + name}, env...), Deeds: deeds(t, s)})
		})
	}
}

// start starts two replicas of everything, which a browser calls by a name, and the providers to sign in with.
func start(t *testing.T) *stack.Stack {
	t.Helper()
	providers, err := emulator.Listen(t.Context(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for name, value := range providers.Environment() {
		env = append(env, name+"="+value)
	}
	return stack.New(t, stack.BuildForTest(t), stack.Options{AuthServers: 2, Host: "localhost", Env: env})
}

// launch starts the browser and returns where scripts reach it.
func launch(t *testing.T, dir, chromium string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "serve.mjs")
	cmd.Dir, cmd.Stderr, cmd.Env = dir, t.Output(), append(os.Environ(), chromium)
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
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // the context of the test has ended by then, and with it perhaps the browser
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	return strings.TrimSpace(address)
}

// leave is the folder for what failed journeys leave behind.
func leave(t *testing.T) string {
	t.Helper()
	dev, err := servers.Directory(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dev, "test", "journeys")
}

// deeds are what people in a journey cannot do in a browser.
func deeds(t *testing.T, s *stack.Stack) map[string]func() string {
	t.Helper()
	return map[string]func() string{
		"make an account": func() string {
			n := accounts.Add(1)
			email := fmt.Sprintf("person-%d@example.com", n)
			const name = "Robin Vogel"
			made, err := s.Operate(t.Context(), "user", "create", "--json", "--name", name, "--email", email, "--email-verified")
			if err != nil {
				t.Error(err)
			}
			person := map[string]string{"name": name, "email": email}
			if err := json.Unmarshal([]byte(made), &person); err != nil {
				t.Errorf("%v: %s", err, made)
			}
			line, _ := json.Marshal(person)
			return string(line)
		},
	}
}

var accounts atomic.Int64
