package policytool

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"larder/resourceapi/policy"
)

// ErrTold says that the answer was no, and that the person has been told.
var ErrTold = errors.New("told")

const usage = `resourceapi policy tries the policies that say who may do what.

Usage: resourceapi policy COMMAND

Commands:
  check [-dir DIR]             does the folder hold policies that the service would take?
  test [-dir DIR] FILE...      do the policies answer as the cases in these files expect?
  explain [-dir DIR] [FLAGS]   may somebody do something, why, and what would help?

DIR is a folder of .cedar files in place of the built-in family.cedar; without it RESOURCEAPI_POLICY_DIR,
and without that the built-in one. Nothing is changed, and no server or database is needed.

A first question, about a guest who was shown a list and wants to tick something off:
  resourceapi policy explain -role guest -do item.check -grants view

A file of cases for test. All but does and expect may be left out:
  - case: children are out at night
    who: {id: kim, role: member}
    does: item.add
    when:
      time: 2026-11-22 21:30
      zone: Europe/Berlin
      rules: {hours: [{members: [kim], from: "07:00", until: "20:00"}]}
    expect: deny
    by: outside_hours

resourceapi policy explain -h lists its flags, which say what each member of a case is.
`

// Tool runs the subcommands.
type Tool struct {
	Dir         string // where policies are looked for unless -dir says
	Now         func() time.Time
	Out, ErrOut io.Writer
}

// Run does what args say: check, test or explain, and what follows.
func (t *Tool) Run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(t.ErrOut, usage)
		return ErrTold
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(t.Out, usage)
		return nil
	case "check":
		return t.check(args[1:])
	case "test":
		return t.test(ctx, args[1:])
	case "explain":
		return t.explain(ctx, args[1:])
	}
	fmt.Fprintf(t.ErrOut, "resourceapi policy: there is no command %q. Try: resourceapi policy help\n", args[0])
	return ErrTold
}

// flags reads them, with -dir among them; done says that it was only asked for
// help.
func (t *Tool) flags(name string, args []string, more func(*flag.FlagSet)) (rest []string, done bool, err error) {
	f := flag.NewFlagSet("resourceapi policy "+name, flag.ContinueOnError)
	f.SetOutput(t.ErrOut)
	f.StringVar(&t.Dir, "dir", t.Dir, "folder of .cedar files in place of the built-in family.cedar")
	if more != nil {
		more(f)
	}
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil, true, nil
	case err != nil:
		return nil, true, ErrTold
	}
	return f.Args(), false, nil
}

func (t *Tool) engine() (*policy.Engine, error) {
	e, err := policy.New(slog.New(slog.NewTextHandler(t.ErrOut, nil)), prometheus.NewRegistry(), t.Dir)
	if err != nil {
		fmt.Fprintf(t.ErrOut, "These policies would be refused:\n%v\n", err)
		return nil, ErrTold
	}
	return e, nil
}

func (t *Tool) check(args []string) error {
	rest, done, err := t.flags("check", args, nil)
	if done {
		return err
	}
	if len(rest) == 1 { // check DIR
		t.Dir = rest[0]
	}
	if _, err := t.engine(); err != nil {
		return err
	}
	fmt.Fprintf(t.Out, "The policies of %s hold.\n", or(t.Dir, "the built-in family.cedar"))
	return nil
}

func (t *Tool) test(ctx context.Context, args []string) error {
	files, done, err := t.flags("test", args, nil)
	if done {
		return err
	}
	if len(files) == 0 {
		fmt.Fprintln(t.ErrOut, "resourceapi policy test: name at least one file of cases. Try: resourceapi policy help")
		return ErrTold
	}
	e, err := t.engine()
	if err != nil {
		return err
	}
	var failed, all int
	for _, file := range files {
		cases, err := readCases(file)
		if err != nil {
			return err
		}
		for _, c := range cases {
			all++
			if !t.try(ctx, e, file, c) {
				failed++
			}
		}
	}
	fmt.Fprintf(t.Out, "%d of %d cases are as expected.\n", all-failed, all)
	if failed > 0 {
		return ErrTold
	}
	return nil
}

// try reports whether the case is as expected, and says so if not.
func (t *Tool) try(ctx context.Context, e *policy.Engine, file string, c testCase) bool {
	name := file + ": " + or(c.Name, string(c.Does))
	if c.Expect != "allow" && c.Expect != "deny" {
		fmt.Fprintf(t.Out, "%s\n  expect is %q; it must be allow or deny\n", name, c.Expect)
		return false
	}
	r, err := c.request(t.Now())
	if err != nil {
		fmt.Fprintf(t.Out, "%s\n  %v\n", name, err)
		return false
	}
	d := e.Authorize(ctx, r)
	if d.Allowed == (c.Expect == "allow") && (c.By == "" || slices.Contains(d.Policies, c.By)) {
		return true
	}
	fmt.Fprintf(t.Out, "%s\n  expected %s %s\n", name, c.Expect, c.By)
	t.print(d)
	return false
}

func (t *Tool) explain(ctx context.Context, args []string) error {
	var (
		c                                     testCase
		kind, role, scopes, grants, to, rules string
	)
	rest, done, err := t.flags("explain", args, func(f *flag.FlagSet) {
		f.StringVar((*string)(&c.Does), "do", "list.read", "the action")
		f.StringVar(&kind, "kind", "user", "who asks: user, app or api_key")
		f.StringVar(&c.Who.ID, "id", "", "his subject")
		f.StringVar(&role, "role", "", "of a user: admin, member, guest; none for a stranger")
		f.StringVar(&scopes, "scopes", "", "of the token, comma-separated (every one)")
		f.StringVar(&c.To.Kind, "list", "", "shared or personal (shared)")
		f.StringVar(&c.To.Owner, "owner", "", "subject of who made the list, or of the member that it is about (somebody else)")
		f.StringVar(&grants, "grants", "", "what the guest may do on the list: view,check,add,edit,manage")
		f.StringVar(&to, "target-role", "", "that a member has or is to get")
		f.BoolVar(&c.To.OtherFamily, "other-family", false, "it belongs to another family")
		f.StringVar(&c.When.Time, "time", "", "such as \"2026-11-22 21:30\" (now)")
		f.StringVar(&c.When.Zone, "zone", "", "the family's time zone (UTC)")
		f.StringVar(&c.When.From, "from", "", "the address that he comes from (unknown)")
		f.StringVar(&c.When.Device, "device", "", "known or new (unknown)")
		f.StringVar(&c.When.SignedIn, "signed-in", "", "how long ago (1m)")
		f.StringVar(&c.When.ACR, "acr", "", "how he signed in (unknown)")
		f.StringVar(&c.When.Risk, "risk", "", "of the sign-in: low, medium or high (unknown)")
		f.StringVar(&rules, "rules", "", "JSON file of the family's rules, as GET …/rules shows them")
	})
	if done {
		return err
	}
	if len(rest) > 0 {
		fmt.Fprintf(t.ErrOut, "resourceapi policy explain: what is %q? Try: resourceapi policy explain -h\n", rest[0])
		return ErrTold
	}
	c.Who.Kind, c.Who.Role, c.To.TargetRole = policy.Kind(kind), policy.Role(role), policy.Role(to)
	if scopes != "" {
		c.Who.Scopes = strings.Split(scopes, ",")
	}
	if grants != "" {
		for g := range strings.SplitSeq(grants, ",") {
			c.To.Grants = append(c.To.Grants, policy.Verb(g))
		}
	}
	if rules != "" {
		text, err := os.ReadFile(rules) //nolint:gosec // the operator names his own files
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &c.When.Rules); err != nil {
			return fmt.Errorf("%s: %w", rules, err)
		}
		delete(c.When.Rules, "version") // which GET shows besides
		delete(c.When.Rules, "permissions")
	}
	r, err := c.request(t.Now())
	if err != nil {
		return err
	}
	e, err := t.engine()
	if err != nil {
		return err
	}
	t.print(e.Authorize(ctx, r))
	return nil
}

func (t *Tool) print(d policy.Decision) {
	answer := "deny"
	if d.Allowed {
		answer = "allow"
	}
	fmt.Fprintf(t.Out, "  answer    %s\n  policies  %s\n  because   %s\n", answer, strings.Join(d.Policies, ", "), d.Reason)
	if d.Remedy != "" {
		fmt.Fprintf(t.Out, "  remedy    %s\n", d.Remedy)
	}
	if d.StepUp != nil && d.StepUp.MaxAge > 0 {
		fmt.Fprintf(t.Out, "  sign-in   within %s\n", d.StepUp.MaxAge)
	}
}
