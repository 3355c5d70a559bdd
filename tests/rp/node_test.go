package rp_test

import (
	"testing"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

// TestNode runs each script of the folder node. A script asks for the browser with {"open": URL}, gets the address
// that the browser was sent back to, and ends with exit code 0 when everything was right.
func TestNode(t *testing.T) {
	dir := install(t) // one test after the other, so before they run in parallel
	t.Parallel()
	binaries := stack.BuildForTest(t)
	for _, script := range []string{"openid-client.mjs", "oauth4webapi.mjs", "dpop.mjs", "fapi2.mjs", "signed.mjs"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			converse(t, stack.New(t, binaries, stack.Options{}), dir, script, nil)
		})
	}
}

// deeds are what a script may ask of its test, by {"please": deed}. The script gets what the deed returns, one line.
type deeds = map[string]func() string

func converse(t *testing.T, s *stack.Stack, dir, script string, can deeds, env ...string) {
	t.Helper()
	s.Converse(t, stack.Script{
		Dir: dir, Name: script, Env: env, Deeds: can,
		Open: func(url string) string { return browse(t, s, s.User(t, demo.Admin), url).String() },
	})
}

// install copies the scripts to the development directory and installs exactly what their lock file says. All tests use
// the same folder, so they call it before t.Parallel.
func install(t *testing.T) string {
	t.Helper()
	return stack.InstallNode(t, "node", "node", "*.mjs")
}
