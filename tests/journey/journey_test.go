package journey_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"larder/internal/devstack/servers"
	"larder/internal/emulator"
	"larder/tests/stack"
)

// TestJourneys runs the scripts of the folder node that tell a journey, or that which JOURNEY names. PICTURES names a folder
// for screenshots of every page; those of a failed journey lie in the development directory.
func TestJourneys(t *testing.T) {
	dir := stack.InstallNode(t, "journey", filepath.Join("..", "rp", "node"), "talk.mjs", "../../journey/node/*.mjs")
	chromium := stack.Chromium(t)
	t.Parallel()
	s := start(t)
	s.Converse(t, stack.Script{
		Dir: dir, Name: "journeys.mjs", Deeds: deeds(t, s),
		Env: []string{chromium, "MAILS=" + s.Mails(), "TEXTS=" + s.Texts(), "LEAVE=" + leave(t)},
	})
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
	accounts := 0
	return map[string]func() string{
		"make an account": func() string {
			accounts++
			email := fmt.Sprintf("person-%d@example.com", accounts)
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
