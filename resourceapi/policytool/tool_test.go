package policytool

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run gives what was printed, and whether the answer was no.
func run(t *testing.T, args ...string) (printed string, told bool) {
	t.Helper()
	var out bytes.Buffer
	tool := &Tool{Now: func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }, Out: &out, ErrOut: &out}
	err := tool.Run(context.Background(), args)
	if err != nil && !errors.Is(err, ErrTold) {
		out.WriteString(err.Error())
	}
	return out.String(), err != nil
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPoliciesAreTriedWithoutAService(t *testing.T) {
	t.Parallel()
	open := write(t, "open.cedar", `@id("all") @reason("Everybody may.") permit (principal, action, resource);`)
	broken := write(t, "broken.cedar", `@id("typo") @reason("r") permit (principal, action, resource) when { principal.rule == "admin" };`)
	wrong := write(t, "wrong.yaml", "- {case: a stranger, does: list.read, expect: allow}\n- {case: what, does: list.steal, expect: deny}\n- {case: eh, does: list.read, expect: maybe}\n")
	rules := write(t, "rules.json", `{"read_only": {"days": [], "from": "11:00", "until": "13:00"}, "version": 3, "permissions": []}`)
	for name, c := range map[string]struct {
		args []string
		told bool
		want []string
	}{
		"help":             {[]string{"--help"}, false, []string{"Usage: resourceapi policy", "A first question"}},
		"nothing":          {nil, true, []string{"Usage:"}},
		"no command":       {[]string{"chek"}, true, []string{`no command "chek"`}},
		"built in":         {[]string{"check"}, false, []string{"built-in family.cedar hold"}},
		"a folder":         {[]string{"check", filepath.Dir(open)}, false, []string{"hold"}},
		"a broken one":     {[]string{"check", "-dir", filepath.Dir(broken)}, true, []string{"would be refused", "broken.cedar:1", "rule"}},
		"cases":            {[]string{"test", "testdata/family.yaml"}, false, []string{"9 of 9 cases"}},
		"under others":     {[]string{"test", "-dir", filepath.Dir(open), "testdata/family.yaml"}, true, []string{"and nobody else's", "expected deny default_deny", "policies  all"}},
		"wrong ones":       {[]string{"test", wrong}, true, []string{"a stranger", "expected allow", "default_deny", `"list.steal" is no action`, "must be allow or deny", "0 of 3"}},
		"no file":          {[]string{"test"}, true, []string{"at least one file"}},
		"unknown member":   {[]string{"test", write(t, "x.yaml", "- {does: list.read, expekt: deny}")}, true, []string{"expekt"}},
		"explained":        {[]string{"explain", "-role", "guest", "-do", "item.check", "-grants", "view"}, false, []string{"answer    deny", "default_deny", "remedy    An admin"}},
		"a yes":            {[]string{"explain", "-role", "guest", "-do", "item.check", "-grants", "view,check"}, false, []string{"answer    allow", "guest_check"}},
		"a sign-in":        {[]string{"explain", "-role", "admin", "-do", "member.remove", "-signed-in", "1h"}, false, []string{"fresh_sign_in_to_remove", "within 10m0s"}},
		"a scope":          {[]string{"explain", "-role", "admin", "-do", "item.add", "-scopes", "lists:read"}, false, []string{"scope_ceiling", "lists:write"}},
		"rules of a file":  {[]string{"explain", "-role", "admin", "-do", "item.add", "-rules", rules}, false, []string{"read_only_now"}},
		"a typo in a flag": {[]string{"explain", "-roll", "admin"}, true, []string{"-roll"}},
		"too much":         {[]string{"explain", "admin"}, true, []string{`what is "admin"`}},
		"flags":            {[]string{"explain", "-h"}, false, []string{"-signed-in", "how long ago"}},
	} {
		printed, told := run(t, c.args...)
		if told != c.told {
			t.Errorf("%s: refused %v, want %v\n%s", name, told, c.told, printed)
		}
		for _, want := range c.want {
			if !strings.Contains(printed, want) {
				t.Errorf("%s: no %q in\n%s", name, want, printed)
			}
		}
	}
}
