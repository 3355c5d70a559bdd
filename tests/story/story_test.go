package story_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

// TestStories gives each story a Larder of its own: they take servers away, turn keys and lock people out.
func TestStories(t *testing.T) {
	t.Parallel()
	binaries := stack.BuildForTest(t)
	tell(t, "testdata", binaries, func(tb testing.TB) *stack.Stack {
		tb.Helper()
		return stack.New(tb, binaries, stack.Options{})
	})
}

// TestFamilyStories has all its stories in one Larder: what they do to the lists they make is nobody else's business.
func TestFamilyStories(t *testing.T) {
	t.Parallel()
	binaries := stack.BuildForTest(t)
	shared := stack.New(t, binaries, stack.Options{})
	tell(t, "testdata/family", binaries, func(testing.TB) *stack.Stack { return shared })
}

func tell(t *testing.T, dir string, binaries stack.Binaries, in func(testing.TB) *stack.Stack) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			tb, ok := env.T().(testing.TB)
			if !ok {
				return fmt.Errorf("testscript hands out a %T", env.T())
			}
			n := begin(tb, in(tb))
			for name, value := range n.variables(string(binaries)) {
				env.Setenv(name, value)
			}
			env.Values[telling{}] = n
			return nil
		},
		Cmds:                commands(),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// narrator tells one story: who is there, and what happened last.
type narrator struct {
	ctx      context.Context //nolint:containedctx // testscript's commands take none
	stack    *stack.Stack
	clients  map[string]*stack.Client
	people   map[string]demo.User
	browsers map[string]*stack.Browser
	// credentials is what each caller of the API sends.
	credentials map[string]string
	mails       map[string]bool // those that were looked at, by file

	person  string // whose browser is in use
	client  *stack.Client
	attempt *stack.Attempt
	code    string
	page    *stack.Page
	last    *stack.Response
}

func begin(t testing.TB, s *stack.Stack) *narrator {
	t.Helper()
	n := &narrator{
		ctx: t.Context(), stack: s,
		mails: make(map[string]bool),
		clients: map[string]*stack.Client{
			"web": s.Client(s.Demo.Clients.Web), "machine": s.Client(s.Demo.Clients.Machine),
			"spa": s.Client(s.Demo.Clients.SPA), "resourceapi": s.ResourceServer(),
		},
		people:   make(map[string]demo.User),
		browsers: make(map[string]*stack.Browser),
		// The key is the demo family's; nobody sends nothing.
		credentials: map[string]string{"key": s.Demo.APIKey, "nobody": ""},
	}
	for _, user := range s.Demo.Users {
		name := strings.ToLower(strings.Fields(user.Name)[0])
		n.people[name], n.browsers[name] = user, s.NewBrowser()
	}
	return n
}

// variables are what a story may write with a dollar sign, and the environment of its operator's command line.
func (n *narrator) variables(binaries string) map[string]string {
	known := map[string]string{
		"ISSUER": n.stack.Issuer, "API": n.stack.API,
		"FAMILY": "/v1/families/" + n.stack.Demo.FamilyID, "FAMILY_ID": n.stack.Demo.FamilyID,
		"API_KEY": n.stack.Demo.APIKey, "MACHINE": n.stack.Demo.Clients.Machine.ID, "WEB": n.stack.Demo.Clients.Web.ID,
	}
	for _, setting := range n.stack.Env() {
		name, value, _ := strings.Cut(setting, "=")
		known[name] = value
	}
	known["PATH"] = binaries + ":" + known["PATH"]
	for name, user := range n.people {
		upper := strings.ToUpper(name)
		known[upper], known[upper+"_EMAIL"], known[upper+"_PASSWORD"] = user.ID, user.Email, user.Password
	}
	for i, list := range n.stack.Demo.Lists {
		known[fmt.Sprintf("LIST%d", i+1)] = known["FAMILY"] + "/lists/" + list.ID
	}
	return known
}

// command is one word of the stories; it returns what is wrong.
type command func(n *narrator, ts *testscript.TestScript, args []string) error

// commands turns the words into what testscript calls. A word with an exclamation mark has to fail.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	words := map[string]struct {
		usage string
		least int
		do    command
	}{
		"person":    {"person NAME", 1, (*narrator).choosePerson},
		"open":      {"open PATH", 1, (*narrator).open},
		"authorize": {"authorize CLIENT SCOPE [name=value…]", 2, (*narrator).authorize},
		"push":      {"push CLIENT SCOPE [name=value…]", 2, (*narrator).push},
		"press":     {"press ACTION [field value…]", 1, (*narrator).press},
		"sees":      {"sees TEXT", 1, (*narrator).sees},
		"alert":     {"alert TEXT", 1, (*narrator).alert},
		"look":      {"look NAME EXPRESSION", 2, (*narrator).look},
		"mailed":    {"mailed ADDRESS SUBJECT", 2, (*narrator).mailed},
		"coded":     {"coded NAME mail|sms", 2, (*narrator).coded},
		"totp":      {"totp NAME SECRET STEPS", 3, (*narrator).totp},
		"returned":  {"returned [name=value…]", 0, (*narrator).returned},
		"redeem":    {"redeem", 0, (*narrator).redeem},
		"signin":    {"signin NAME CLIENT SCOPE", 3, (*narrator).signIn},

		"token":      {"token CLIENT name=value…", 2, (*narrator).token},
		"refresh":    {"refresh CLIENT [TOKEN]", 1, (*narrator).refresh},
		"post":       {"post CLIENT PATH name=value…", 2, (*narrator).post},
		"api":        {"api WHO METHOD PATH [BODY] [Name: value…]", 3, (*narrator).api},
		"client":     {"client NAME ID SECRET [REDIRECT_URI]", 3, (*narrator).register},
		"credential": {"credential NAME VALUE", 2, (*narrator).credential},

		"status":  {"status CODE", 1, (*narrator).status},
		"problem": {"problem CODE", 1, (*narrator).problem},
		"json":    {"json PATH [VALUE]", 1, (*narrator).json},
		"header":  {"header NAME EXPRESSION", 2, (*narrator).header},
		"keep":    {"keep NAME PATH", 2, (*narrator).keep},
		"grab":    {"grab NAME EXPRESSION", 2, (*narrator).grab},
		"within":  {"within DURATION CODE WHO METHOD PATH [BODY]", 5, (*narrator).within},

		"cut":    {"cut postgres|redis", 1, (*narrator).cut},
		"freeze": {"freeze postgres|redis", 1, (*narrator).freeze},
		"mend":   {"mend postgres|redis", 1, (*narrator).mend},
		"halt":   {"halt authserver|resourceapi", 1, (*narrator).stop},
		"crash":  {"crash authserver|resourceapi", 1, (*narrator).kill},
		"start":  {"start authserver|resourceapi", 1, (*narrator).start},
	}
	known := make(map[string]func(*testscript.TestScript, bool, []string))
	for name, word := range words {
		known[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if len(args) < word.least {
				ts.Fatalf("usage: %s", word.usage)
			}
			n, ok := ts.Value(telling{}).(*narrator)
			if !ok {
				ts.Fatalf("nobody tells this story")
			}
			err := word.do(n, ts, args)
			if err == nil && neg {
				ts.Fatalf("%s %q should not be so", name, args)
			}
			if err != nil && !neg {
				ts.Fatalf("%s: %v", name, err)
			}
		}
	}
	return known
}

// pairs reads name=value arguments.
func pairs(args []string) (url.Values, error) {
	values := url.Values{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not name=value", arg)
		}
		values.Add(name, value)
	}
	return values, nil
}

// pollEvery is how often within looks, and busy how much longer than it says.
const (
	pollEvery = 50 * time.Millisecond
	busy      = 2 * time.Minute
)

// telling is where a story keeps its narrator.
type telling struct{}
