package policy

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"larder/internal/id"
)

// oracle is the family's rules once more, in plain Go and written from their
// description, to be held against what Cedar says.
func oracle(r Request) bool {
	p, res := r.Principal, r.Resource
	if p.Family != res.Family {
		return false
	}
	noun, verb := split(r.Action)
	if !slices.Contains(p.Scopes, oracleScope(noun, verb)) {
		return false
	}
	if r.Context.Limited && !limitedMay(noun, verb, r.Context.Allowed) {
		return false
	}
	if ruledOut(r, noun, verb) {
		return false
	}
	if p.Kind != User {
		return machineMay(noun, verb, res)
	}
	switch noun {
	case "rules":
		return p.Role == Admin && (verb == "read" || fresh(r)) || p.Role == Member && verb == "read"
	case "family":
		return userFamily(p.Role, verb)
	case "member":
		return verb == "leave" && p.Role != None && res.Owner == p.ID ||
			verb == "list" && (p.Role == Admin || p.Role == Member) ||
			verb == "change_role" && p.Role == Admin ||
			verb == "remove" && p.Role == Admin && fresh(r)
	case "invitation":
		return verb == "accept" || p.Role == Admin ||
			verb == "create" && p.Role == Member && slices.Contains(r.Context.Rules, MembersInvite) && res.TargetRole != Admin
	case "app":
		return p.Role == Admin || p.Role == Member && verb == "list"
	case "audit", "webhook", "child":
		return p.Role == Admin
	case "kitchen":
		return p.Role == Admin || p.Role == Member
	case "feed", "diet":
		return p.Role != None
	}
	if verb == "list" {
		return p.Role != None
	}
	if res.Kind == Personal {
		return res.Owner == p.ID && verb != "share" && personalMay(p.Role, verb, res.Grants)
	}
	switch p.Role {
	case Admin:
		return true
	case Member:
		return verb != "delete" && verb != "share" || res.Owner == p.ID
	case Guest:
		return guestMay(noun, verb, res.Grants)
	default:
		return false
	}
}

func fresh(r Request) bool { return r.Context.Now.Sub(r.Context.AuthTime) <= 10*time.Minute }

// ruledOut says what the family's ready-made rules hold against a request.
func ruledOut(r Request, noun, verb string) bool {
	var (
		c       = r.Context
		on      = func(rule Rule) bool { return slices.Contains(c.Rules, rule) }
		changes = verb != "read" && verb != "list"
		factor  = c.ACR == "urn:larder:acr:mfa"
	)
	if on(ReadOnlyNow) && changes && (noun == "list" || noun == "item" || noun == "kitchen") {
		return true
	}
	if r.Principal.Kind != User {
		return false
	}
	if changes && (on(FreshSignIn) && !fresh(r) || on(SecondFactor) && !factor) {
		return true
	}
	if noun == "member" && verb == "leave" {
		return false
	}
	return on(OutsideHours) || on(SecondFactorFor) && !factor ||
		on(GuestsOnlyAtHome) && r.Principal.Role == Guest && c.Place != Home ||
		changes && (on(NewDevicesReadOnly) && c.Device == NewDevice || on(HighRiskReadOnly) && c.RiskScore >= 70 && (!factor || !fresh(r)))
}

// limitedMay is what a token may do that a person narrowed down to some lists.
func limitedMay(noun, verb string, allowed []Verb) bool {
	if verb == "list" && noun == "list" || noun == "feed" {
		return len(allowed) > 0
	}
	return guestMay(noun, verb, allowed)
}

func split(a Action) (noun, verb string) {
	i := slices.Index([]byte(a), '.')
	return string(a[:i]), string(a[i+1:])
}

func oracleScope(noun, verb string) string {
	reading := verb == "read" || verb == "list"
	switch {
	case noun == "audit":
		return "audit:read"
	case noun == "invitation", noun == "webhook":
		return "family:write"
	case noun == "feed", noun == "kitchen" && reading, (noun == "list" || noun == "item") && reading:
		return "lists:read"
	case noun == "list" || noun == "item" || noun == "kitchen":
		return "lists:write"
	case reading:
		return "family:read"
	default:
		return "family:write"
	}
}

func userFamily(role Role, verb string) bool {
	switch verb {
	case "create":
		return true
	case "read":
		return role != None
	default:
		return role == Admin
	}
}

func machineMay(noun, verb string, res Resource) bool {
	switch noun + "." + verb {
	case "family.read", "member.list", "list.list", "feed.read", "audit.read", "kitchen.read", "kitchen.keep":
		return true
	case "list.delete", "list.share":
		return false
	}
	return (noun == "list" || noun == "item") && res.Kind == Shared
}

// personalMay covers a list that is the caller's own. A guest makes none, but
// one who was a member before may hold one and is then a guest on it.
func personalMay(role Role, verb string, grants []Verb) bool {
	switch role {
	case Admin, Member:
		return true
	case Guest:
		noun := "item"
		if slices.Contains([]string{"create", "read", "update", "delete"}, verb) {
			noun = "list"
		}
		return guestMay(noun, verb, grants)
	default:
		return false
	}
}

func guestMay(noun, verb string, grants []Verb) bool {
	has := func(v Verb) bool { return slices.Contains(grants, v) || slices.Contains(grants, Manage) }
	switch noun + "." + verb {
	case "list.read":
		return len(grants) > 0
	case "list.update":
		return slices.Contains(grants, Manage)
	case "item.check":
		return has(Check)
	case "item.add":
		return has(Add)
	case "item.edit", "item.remove", "item.reorder":
		return has(Edit)
	}
	return false
}

// drawRequest draws well-formed requests from small pools, so that owners,
// families and grants meet often.
func drawRequest(t *rapid.T) Request {
	var (
		families = []id.ID{{1}, {2}}
		people   = []string{"ann", "ben"}
		kind     = rapid.SampledFrom([]Kind{User, User, User, App, APIKey}).Draw(t, "kind")
		action   = rapid.SampledFrom(Actions()).Draw(t, "action")
		rule, _  = ruleOf(action)
	)
	r := Request{
		Principal: Principal{
			Kind: kind, ID: rapid.SampledFrom(people).Draw(t, "principal"),
			Family: rapid.SampledFrom(families).Draw(t, "principal family"),
			Scopes: subset(t, "scopes", append(Scopes(), "openid")),
		},
		Action: action,
		Resource: Resource{
			Type: rule.resource, ID: id.ID{9}, Family: families[0],
		},
		Context: UnknownContext(time.Unix(1_800_000_000, 0)),
	}
	if kind == User {
		r.Principal.Role = rapid.SampledFrom([]Role{None, Admin, Member, Guest}).Draw(t, "role")
	}
	if rapid.Bool().Draw(t, "enough scope") {
		r.Principal.Scopes = append(r.Principal.Scopes, rule.scope)
	}
	if r.Resource.listed() {
		r.Resource.Kind = rapid.SampledFrom([]string{Shared, Personal}).Draw(t, "list kind")
		r.Resource.Owner = rapid.SampledFrom(append(people, "")).Draw(t, "owner")
		r.Resource.Grants = subset(t, "grants", verbs())
	}
	if rule.resource == MemberResource {
		r.Resource.Owner = rapid.SampledFrom(people).Draw(t, "member")
	}
	if rule.resource == MemberResource || rule.resource == InvitationResource {
		r.Resource.TargetRole = rapid.SampledFrom([]Role{None, Admin, Member, Guest}).Draw(t, "target role")
	}
	if rapid.Bool().Draw(t, "circumstances known") {
		r.Context.SourceIP = netip.MustParseAddr(rapid.SampledFrom([]string{"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"}).Draw(t, "ip"))
		r.Context.Place = rapid.SampledFrom([]string{Home, Away}).Draw(t, "place")
		r.Context.Device = rapid.SampledFrom([]string{KnownDevice, NewDevice}).Draw(t, "device")
		r.Context.ACR = rapid.SampledFrom([]string{"urn:larder:acr:pwd", "urn:larder:acr:mfa"}).Draw(t, "acr")
		r.Context.RiskScore = rapid.Int64Range(-1, 100).Draw(t, "risk")
		r.Context.AuthTime = r.Context.Now.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, "minutes since the sign-in")) * time.Minute)
	}
	if r.Context.Limited = rapid.IntRange(0, 3).Draw(t, "limited") == 0; r.Context.Limited {
		r.Context.Allowed = subset(t, "allowed", verbs())
	}
	if rapid.IntRange(0, 2).Draw(t, "rules") == 0 {
		r.Context.Rules = subset(t, "which rules", allRules())
	}
	return r
}

func subset[T comparable](t *rapid.T, label string, all []T) []T {
	mask := rapid.IntRange(0, 1<<len(all)-1).Draw(t, label)
	var some []T
	for i, v := range all {
		if mask&(1<<i) != 0 {
			some = append(some, v)
		}
	}
	return some
}

func newEngine(t testing.TB, dir string) *Engine {
	t.Helper()
	e, err := New(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const drawsPerCheck = 250

// TestCedarAgreesWithOracle compares 25,000 requests, and on the way holds
// each against the schema, against a scan of all policies, and its hints
// against what happens when they are followed.
func TestCedarAgreesWithOracle(t *testing.T) {
	e := newEngine(t, "")
	set := e.set.Load()
	sch, err := loadSchema()
	if err != nil {
		t.Fatal(err)
	}
	checker := validate.New(sch)
	everything := wholeScan(t)
	var allowed, denied, asked int
	rapid.Check(t, func(rt *rapid.T) {
		for range drawsPerCheck {
			r := drawRequest(rt)
			asked++
			d := e.Authorize(context.Background(), r)
			if d.Allowed != oracle(r) {
				rt.Fatalf("cedar says %+v, the oracle %v, on %+v", d, !d.Allowed, r)
			}
			q := e.translate.question(r, set.actions, "")
			if err := checker.Request(q.request); err != nil {
				rt.Fatalf("request does not fit the schema: %v", err)
			}
			for _, entity := range []error{checker.Entity(q.principal), checker.Entity(q.resource)} {
				if entity != nil {
					rt.Fatalf("entity does not fit the schema: %v", entity)
				}
			}
			if scan := e.decide(context.Background(), set, r, "", everything); scan.Allowed != d.Allowed {
				rt.Fatalf("the index says %v, a scan of all policies %v, on %+v", d.Allowed, scan.Allowed, r)
			}
			if d.Allowed {
				allowed++
				if d.MissingScope != "" || d.StepUp != nil {
					rt.Fatalf("a yes with hints: %+v", d)
				}
				continue
			}
			denied++
			if len(d.Policies) == 0 || d.Reason == "" || d.Remedy == "" {
				rt.Fatalf("a no without a policy or reason: %+v", d)
			}
			if d.StepUp != nil {
				r.Context.AuthTime = r.Context.Now
				if len(d.StepUp.ACRValues) > 0 {
					r.Context.ACR = d.StepUp.ACRValues[0]
				}
			}
			if d.MissingScope != "" || d.StepUp != nil {
				r.Principal.Scopes = append(r.Principal.Scopes, d.MissingScope)
				if !oracle(r) {
					rt.Fatalf("scope %q and step-up %v would not help, on %+v", d.MissingScope, d.StepUp, r)
				}
			}
		}
	})
	if asked < 20_000 || allowed < asked/20 || denied < asked/20 {
		t.Errorf("too thin a comparison: %d asked, %d allowed, %d denied", asked, allowed, denied)
	}
}

// wholeScan is every policy in one list, as cedar-go would be used naively.
func wholeScan(t *testing.T) list {
	t.Helper()
	set := compileEmbedded(t)
	for _, e := range set.policies {
		if !slices.ContainsFunc(Actions(), func(a Action) bool {
			return slices.ContainsFunc(set.candidates[a].all, func(c entry) bool { return c.id == e.id })
		}) {
			t.Fatalf("%s can never match", e.id)
		}
	}
	return set.policies
}

func compileEmbedded(t *testing.T) *Set {
	t.Helper()
	family, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	set, err := Compile(family)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func BenchmarkAuthorize(b *testing.B) {
	now := time.Unix(1_800_000_000, 0)
	for _, n := range []int{0, 100} {
		dir := b.TempDir()
		writeFamily(b, dir, padding(n))
		e := newEngine(b, dir)
		r := Request{
			Principal: Principal{Kind: User, ID: "0198c1f0-0000-7000-8000-000000000001", Family: id.ID{1}, Role: Member, Scopes: Scopes()},
			Action:    ItemCheck,
			Resource:  Resource{Type: ItemResource, ID: id.ID{9}, Family: id.ID{1}, Kind: Shared, Owner: "ann"},
			Context:   UnknownContext(now),
		}
		b.Run(fmt.Sprintf("allow/policies=%d", len(e.set.Load().reasons)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !e.Authorize(context.Background(), r).Allowed {
					b.Fatal("denied")
				}
			}
		})
		r.Principal.Role = None
		b.Run(fmt.Sprintf("deny/policies=%d", len(e.set.Load().reasons)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if e.Authorize(context.Background(), r).Allowed {
					b.Fatal("allowed")
				}
			}
		})
	}
}
