package policy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/batch"
	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"larder/internal/id"
)

// writeFamily puts the built-in family.cedar and, behind it, more into dir.
func writeFamily(t testing.TB, dir, more string) {
	t.Helper()
	family, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "10-family.cedar"), family.Text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "20-more.cedar"), []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
}

// padding is n policies that spread over the actions and never apply.
func padding(n int) string {
	var b strings.Builder
	for i := range n {
		action := Actions()[i%len(Actions())]
		fmt.Fprintf(&b, "@id(\"padding_%d\") @reason(\"r\") forbid (principal, action == Action::%q, resource) when { context.device == \"device-%d\" };\n", i, action, i)
	}
	return b.String()
}

func memberChecksItem() Request {
	return Request{
		Principal: Principal{Kind: User, ID: "ann", Family: id.ID{1}, Role: Member, Scopes: Scopes()},
		Action:    ItemCheck,
		Resource:  Resource{Type: ItemResource, ID: id.ID{9}, Family: id.ID{1}, Kind: Shared, Owner: "ben"},
		Context:   UnknownContext(time.Unix(1_800_000_000, 0)),
	}
}

// naive asks cedar-go as its README does: all policies of the text, nothing
// validated, the decision taken at its word.
func naive(t *testing.T, text string, r Request) cedar.Decision {
	t.Helper()
	ps, err := cedar.NewPolicySetFromBytes("naive.cedar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	q := newTranslator().question(r, nil, "")
	decision, _ := cedar.Authorize(ps, q, q.request)
	return decision
}

// Trap 1: Authorize looks at every policy it is given.
func TestOnlyPoliciesOfTheActionAreEvaluated(t *testing.T) {
	dir := t.TempDir()
	writeFamily(t, dir, padding(100))
	set := newEngine(t, dir).set.Load()
	for _, a := range Actions() {
		if n := len(set.candidates[a].all); n > 20 {
			t.Errorf("%s: %d of %d policies are candidates", a, n, len(set.reasons))
		}
	}
}

// Trap 2: a forbid whose condition errors is skipped, and the permit stands.
func TestEvaluationErrorDenies(t *testing.T) {
	const overflow = `@id("overflow") @reason("r")
forbid (principal, action == Action::"item.check", resource) when { context.risk_score * 9223372036854775807 > 0 };`
	r := memberChecksItem()
	r.Context.RiskScore = 50
	if got := naive(t, overflow+`permit (principal, action, resource);`, r); got != cedar.Allow {
		t.Fatalf("cedar-go says %v: this trap is gone and its guard may go too", got)
	}
	dir := t.TempDir()
	writeFamily(t, dir, overflow)
	d := newEngine(t, dir).Authorize(context.Background(), r)
	want := Decision{Policies: []string{EvaluationError, "overflow"}, Reason: "This could not be decided.", Remedy: "Tell the operator of the service."}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
}

// Trap 2, too: an attribute that is not there must never reach a policy.
func TestMalformedRequestsAreDenied(t *testing.T) {
	e := newEngine(t, "")
	for name, spoil := range map[string]func(*Request){
		"no action":          func(r *Request) { r.Action = "" },
		"unknown action":     func(r *Request) { r.Action = "item.steal" },
		"other resource":     func(r *Request) { r.Resource.Type = FamilyResource },
		"no principal":       func(r *Request) { r.Principal.ID = "" },
		"no kind":            func(r *Request) { r.Principal.Kind = "" },
		"unknown role":       func(r *Request) { r.Principal.Role = "owner" },
		"app with a role":    func(r *Request) { r.Principal.Kind, r.Principal.Role = App, Admin },
		"no family":          func(r *Request) { r.Principal.Family, r.Resource.Family = id.ID{}, id.ID{} },
		"no list kind":       func(r *Request) { r.Resource.Kind = "" },
		"unknown verb":       func(r *Request) { r.Resource.Grants = []Verb{"steal"} },
		"no time":            func(r *Request) { r.Context.Now = time.Time{} },
		"no address":         func(r *Request) { r.Context.SourceIP = Request{}.Context.SourceIP },
		"no device":          func(r *Request) { r.Context.Device = "" },
		"no acr":             func(r *Request) { r.Context.ACR = "" },
		"risk out of range":  func(r *Request) { r.Context.RiskScore = 101 },
		"unknown targetrole": func(r *Request) { r.Resource.TargetRole = "owner" },
	} {
		t.Run(name, func(t *testing.T) {
			r := memberChecksItem()
			spoil(&r)
			d := e.Authorize(context.Background(), r)
			if d.Allowed || !slices.Equal(d.Policies, []string{MalformedRequest}) {
				t.Errorf("decision %+v, want a denial as malformed", d)
			}
		})
	}
	if d := e.Authorize(context.Background(), memberChecksItem()); !d.Allowed {
		t.Errorf("the unspoilt request is denied: %+v", d)
	}
}

// Trap 3: cedar-go runs policies that no request can ever fit.
func TestInvalidSetIsRefusedWhole(t *testing.T) {
	for name, bad := range map[string]string{
		"attribute typo":   `@id("x") @reason("r") forbid (principal, action, resource) when { resource.famly == "f" };`,
		"type mismatch":    `@id("x") @reason("r") forbid (principal, action, resource) when { context.risk_score == "high" };`,
		"unknown action":   `@id("x") @reason("r") forbid (principal, action == Action::"item.steal", resource);`,
		"unknown type":     `@id("x") @reason("r") forbid (principal is Robot, action, resource);`,
		"no id":            `@reason("r") forbid (principal, action, resource);`,
		"no reason":        `@id("x") forbid (principal, action, resource);`,
		"id of a guard":    `@id("scope_ceiling") @reason("r") forbid (principal, action, resource);`,
		"step-up permit":   `@id("x") @reason("r") @step_up("max_age=60") permit (principal, action, resource);`,
		"step-up of words": `@id("x") @reason("r") @step_up("soon") forbid (principal, action, resource);`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := cedar.NewPolicySetFromBytes("naive.cedar", []byte(bad)); err != nil {
				t.Fatalf("cedar-go refuses it by itself: %v", err)
			}
			if _, err := Compile(Document{Name: "bad.cedar", Text: []byte(bad)}); err == nil {
				t.Error("the set was taken")
			} else if !strings.Contains(err.Error(), "bad.cedar:1") {
				t.Errorf("the error does not say where: %v", err)
			}
		})
	}
}

// Trap 3, too: what is in force stays when the next set is no good.
func TestReloadKeepsTheOldSet(t *testing.T) {
	const frozen = `@id("frozen") @reason("Nothing is checked off today.")
forbid (principal, action == Action::"item.check", resource);`
	dir := t.TempDir()
	writeFamily(t, dir, "// nothing more\n")
	e := newEngine(t, dir)
	ctx := context.Background()
	allowed := func() bool { return e.Authorize(ctx, memberChecksItem()).Allowed }
	if !allowed() {
		t.Fatal("denied from the start")
	}

	writeFamily(t, dir, frozen)
	e.reload(ctx)
	if allowed() {
		t.Error("the new policy is not in force")
	}

	writeFamily(t, dir, `permit (principal, action, resource) when { nonsense`)
	e.reload(ctx)
	e.reload(ctx)
	if allowed() {
		t.Error("a broken set took the old one out of force")
	}
	var refused dto.Metric
	if err := e.reloads.WithLabelValues("refused").Write(&refused); err != nil {
		t.Fatal(err)
	}
	if n := refused.GetCounter().GetValue(); n != 1 {
		t.Errorf("%v refusals counted, want the one broken set once", n)
	}

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	e.reload(ctx)
	if allowed() {
		t.Error("an empty directory took the policies out of force")
	}

	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFamily(t, dir, "// mended\n")
	e.reload(ctx)
	if !allowed() {
		t.Error("the mended set is not in force")
	}
}

// What stands in the directory cannot loosen the guards.
func TestDirectoryCannotLoosenGuards(t *testing.T) {
	dir := t.TempDir()
	writeFamily(t, dir, `@id("all") @reason("r") permit (principal, action, resource);`)
	e := newEngine(t, dir)
	for name, spoil := range map[string]func(*Request){
		"tenant_boundary":          func(r *Request) { r.Resource.Family = id.ID{2} },
		"scope_ceiling":            func(r *Request) { r.Principal.Scopes = []string{ScopeListsRead} },
		"personal_item_owner_only": func(r *Request) { r.Resource.Kind = Personal },
		"apps_do_not_manage": func(r *Request) {
			r.Principal.Kind, r.Principal.Role = App, None
			r.Action, r.Resource = AppInstall, Resource{Type: AppResource, Family: id.ID{1}}
		},
		"api_keys_do_not_manage": func(r *Request) {
			r.Principal.Kind, r.Principal.Role = APIKey, None
			r.Action, r.Resource = InvitationCreate, Resource{Type: InvitationResource, Family: id.ID{1}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := memberChecksItem()
			spoil(&r)
			if d := e.Authorize(context.Background(), r); d.Allowed || !slices.Contains(d.Policies, name) {
				t.Errorf("decision %+v, want a denial by %s", d, name)
			}
		})
	}
}

// Trap 4: batch evaluation with an ignored context drops the forbids that
// look at it. It may be asked what to show, never what to allow.
func TestBatchIgnoreIsNoEnforcement(t *testing.T) {
	const text = `permit (principal, action, resource);
forbid (principal, action, resource) when { context.risk_score > 80 };`
	r := memberChecksItem()
	r.Context.RiskScore = 90
	ps, err := cedar.NewPolicySetFromBytes("naive.cedar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	q := newTranslator().question(r, nil, "")
	var ignoring types.Decision
	err = batch.Authorize(context.Background(), ps, q, batch.Request{
		Principal: q.request.Principal, Action: q.request.Action, Resource: q.request.Resource, Context: batch.Ignore(),
	}, func(result batch.Result) error {
		ignoring = result.Decision
		return nil
	})
	if err != nil || ignoring != cedar.Allow {
		t.Fatalf("batch says %v, %v: this trap is gone", ignoring, err)
	}
	dir := t.TempDir()
	writeFamily(t, dir, `@id("risky") @reason("r") forbid (principal, action, resource) when { context.risk_score > 80 };`)
	if d := newEngine(t, dir).Authorize(context.Background(), r); d.Allowed {
		t.Errorf("decision %+v, want a denial by risky", d)
	}
	for _, name := range goFiles(t) {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "x/exp/batch") {
			t.Errorf("%s uses batch evaluation", name)
		}
	}
}

func goFiles(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, "_test.go") })
	if len(names) == 0 {
		t.Fatal("no sources found")
	}
	return names
}

// Trap 5: building sets anew doubles the cost of a decision.
func TestScopeSetsAreNotBuiltPerRequest(t *testing.T) {
	e := newEngine(t, "")
	few, many := memberChecksItem(), memberChecksItem()
	for i := range 200 {
		many.Principal.Scopes = append(many.Principal.Scopes, fmt.Sprint("foreign:", i))
	}
	cost := func(r Request) float64 {
		return testing.AllocsPerRun(50, func() { e.Authorize(context.Background(), r) })
	}
	if a, b := cost(few), cost(many); b > a+1 {
		t.Errorf("%v allocations with few scopes, %v with many", a, b)
	}
}

// Trap 6: one person, two families, two roles.
func TestRoleHoldsInItsOwnFamilyOnly(t *testing.T) {
	e := newEngine(t, "")
	r := memberChecksItem()
	r.Action, r.Resource = MemberList, Resource{Type: FamilyResource, ID: id.ID{2}, Family: id.ID{2}}

	r.Principal.Family, r.Principal.Role = id.ID{2}, Guest
	if d := e.Authorize(context.Background(), r); d.Allowed {
		t.Errorf("a guest of the family lists its members: %+v", d)
	}
	r.Principal.Family, r.Principal.Role = id.ID{1}, Admin
	if d := e.Authorize(context.Background(), r); d.Allowed || !slices.Contains(d.Policies, "tenant_boundary") {
		t.Errorf("an admin of another family: %+v, want a denial by tenant_boundary", d)
	}
	r.Principal.Family = id.ID{2}
	if d := e.Authorize(context.Background(), r); !d.Allowed {
		t.Errorf("the family's own admin: %+v", d)
	}
	translate := newTranslator()
	here, there := memberChecksItem(), memberChecksItem()
	there.Principal.Family = id.ID{2}
	if translate.question(here, nil, "").request.Principal == translate.question(there, nil, "").request.Principal {
		t.Error("the memberships in two families are one principal")
	}
}

// Trap 7: a denial names its policy, says why, and what would help.
func TestDenialSaysWhatWouldHelp(t *testing.T) {
	const fresh = `@id("fresh_for_check") @reason("Please sign in again.") @step_up("max_age=300 acr=urn:larder:mfa")
forbid (principal, action == Action::"list.delete", resource)
unless { context.now.durationSince(context.auth_time) <= duration("5m") };`
	dir := t.TempDir()
	writeFamily(t, dir, fresh)
	e := newEngine(t, dir)
	deletes := func(change func(*Request)) Decision {
		r := memberChecksItem()
		r.Principal.Role = Admin
		r.Action, r.Resource.Type = ListDelete, ListResource
		r.Context.AuthTime = r.Context.Now.Add(-time.Hour)
		change(&r)
		return e.Authorize(context.Background(), r)
	}
	stepUp := &StepUp{ACRValues: []string{"urn:larder:mfa"}, MaxAge: 5 * time.Minute}
	for name, test := range map[string]struct {
		change func(*Request)
		want   Decision
	}{
		"fresh": {
			func(r *Request) { r.Context.AuthTime = r.Context.Now.Add(-time.Minute) },
			Decision{Allowed: true, Policies: []string{"admin_lists"}, Reason: "An admin has every right on the family's shared lists."},
		},
		"stale": {
			func(*Request) {},
			Decision{Policies: []string{"fresh_for_check"}, Reason: "Please sign in again.", Remedy: "Sign in again, with a second factor.", StepUp: stepUp},
		},
		"never signed in": {
			func(r *Request) { r.Context.AuthTime = time.Time{} },
			Decision{Policies: []string{"fresh_for_check"}, Reason: "Please sign in again.", Remedy: "Sign in again, with a second factor.", StepUp: stepUp},
		},
		"no scope": {
			func(r *Request) { r.Principal.Scopes, r.Context.AuthTime = nil, r.Context.Now },
			Decision{
				Policies: []string{"scope_ceiling"}, Reason: "The token does not carry the scope that this takes.",
				Remedy: "Ask the identity provider for a token with the scope lists:write.", MissingScope: ScopeListsWrite,
			},
		},
		"no scope and stale": {
			func(r *Request) { r.Principal.Scopes = []string{ScopeListsRead} },
			Decision{
				Policies: []string{"scope_ceiling", "fresh_for_check"}, Reason: "The token does not carry the scope that this takes.",
				Remedy:       "Ask the identity provider for a token with the scope lists:write, after signing in again, with a second factor.",
				MissingScope: ScopeListsWrite, StepUp: stepUp,
			},
		},
		"neither scope nor sign-in would help": {
			func(r *Request) { r.Principal.Role, r.Principal.Scopes = Guest, nil },
			Decision{Policies: []string{DefaultDeny}, Reason: "Your role in the family does not allow this.", Remedy: "An admin of the family can do it, or allow you more."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, deletes(test.change)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}
