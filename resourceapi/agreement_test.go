package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"larder/internal/id"
	"larder/resourceapi/bearer/bearertest"
	"larder/resourceapi/policy"
)

// person is somebody of a generated family.
type person struct {
	caller
	kind policy.Kind
	sub  string
	role policy.Role
}

// generated is a family of lists of every kind, and what its guests were granted.
type generated struct {
	*household
	people []person
	lists  []policy.Resource                  // without grants; on each is an item with its id
	grants map[string]map[id.ID][]policy.Verb // by guest
}

// generate fills a family, behind the service's back.
func (h *household) generate(t *testing.T, rt *rapid.T, round int) *generated {
	t.Helper()
	family := mustID(t, h.id)
	g := &generated{household: h, grants: map[string]map[id.ID][]policy.Verb{}}
	key, service := bearertest.NewAPIKey(), id.New().String()
	h.issuer.Introspect(key, bearertest.Claims{
		"active": true, "token_type": "api_key", "iss": h.issuer.URL, "aud": resource, "sub": service, "scope": strings.Join(policy.Scopes(), " "),
		"iat": time.Now().Unix(), "jti": service, "api_key_id": service, "family_id": h.id,
	})
	g.people = []person{
		{h.user("ann"), policy.User, "ann", policy.Admin},
		{h.user("bob"), policy.User, "bob", policy.Member},
		{h.user("gus"), policy.User, "gus", policy.Guest},
		{h.user("zed"), policy.User, "zed", policy.None},
		{caller{key}, policy.APIKey, service, policy.None},
		{caller{h.issuer.AppToken("machine", policy.Scopes()...)}, policy.App, "machine", policy.None},
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := h.db.Owner.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		sub := fmt.Sprintf("p%d-%d", round, i)
		role := rapid.SampledFrom([]policy.Role{policy.Admin, policy.Member, policy.Guest}).Draw(rt, "role")
		exec(`INSERT INTO grocery.family_members (family_id, user_id, role, display_name) VALUES ($1, $2, $3, 'P')`, family, sub, role)
		g.people = append(g.people, person{h.user(sub), policy.User, sub, role})
	}
	exec(`DELETE FROM grocery.lists WHERE family_id = $1`, family)
	owners := []string{"ann", "bob", "gus", g.people[len(g.people)-1].sub}
	for i := range rapid.IntRange(1, 12).Draw(rt, "lists") {
		r := policy.Resource{
			Type: policy.ListResource, ID: id.New(), Family: family,
			Kind: rapid.SampledFrom([]string{policy.Shared, policy.Shared, policy.Personal}).Draw(rt, "kind"), Owner: rapid.SampledFrom(owners).Draw(rt, "owner"),
		}
		var owner *string
		if r.Kind == policy.Personal {
			owner = &r.Owner
		}
		exec(`INSERT INTO grocery.lists (family_id, id, kind, name, owner, created_by, position) VALUES ($1, $2, $3, 'L', $4, 'user:' || $5, $6)`,
			family, r.ID, r.Kind, owner, r.Owner, i)
		exec(`INSERT INTO grocery.items (family_id, list_id, id, private_to, name, position, added_by) VALUES ($1, $2, $2, $3, 'I', 1, 'user:' || $4)`,
			family, r.ID, owner, r.Owner)
		g.lists = append(g.lists, r)
		for _, p := range g.people {
			if p.role == policy.Guest && r.Kind == policy.Shared && rapid.Bool().Draw(rt, "granted") {
				g.grant(t, rt, exec, p.sub, r.ID)
			}
		}
	}
	return g
}

// grant gives a guest something on a list; what has expired counts for nothing.
func (g *generated) grant(t *testing.T, rt *rapid.T, exec func(string, ...any), guest string, list id.ID) {
	t.Helper()
	verbs := rapid.SampledFrom([][]policy.Verb{{policy.View}, {policy.View, policy.Check}, {policy.Edit}, {policy.Manage}}).Draw(rt, "verbs")
	until := time.Now().Add(time.Hour)
	if rapid.IntRange(0, 3).Draw(rt, "expired") == 0 {
		until = time.Now().Add(-time.Hour)
	}
	exec(`INSERT INTO grocery.list_permissions (family_id, list_id, user_id, verbs, granted_by, expires_at) VALUES ($1, $2, $3, $4, 'user:ann', $5)`,
		g.id, list, guest, verbs, until)
	if g.grants[guest] == nil {
		g.grants[guest] = map[id.ID][]policy.Verb{}
	}
	if until.After(time.Now()) {
		g.grants[guest][list] = verbs
	}
}

// TestListsAreFilteredAsThePolicySays compares, on generated families, what SQL
// shows on a page of lists with what the policy says of each of all the lists,
// and with what the caller is told when he asks.
func TestListsAreFilteredAsThePolicySays(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "machine", "scopes": policy.Scopes()})
	round, shown := 0, 0
	for range 12 {
		round++
		rapid.Custom(func(rt *rapid.T) bool {
			g := h.generate(t, rt, round)
			for _, p := range g.people {
				shown += g.compare(t, p)
			}
			return true
		}).Example(round)
	}
	if shown < 50 {
		t.Errorf("only %d lists were ever shown: too thin a comparison", shown)
	}
}

func (g *generated) compare(t *testing.T, p person) (shown int) {
	t.Helper()
	page := g.do(t, p.caller, "GET", g.path+"/lists?limit=100", nil)
	questions := make([]any, len(g.lists))
	for i, l := range g.lists {
		questions[i] = map[string]any{"resource": about("list", l.ID.String(), "family_id", g.id)}
	}
	batch := map[string]any{
		"subject": map[string]any{"type": p.kind, "id": p.sub}, "action": map[string]any{"name": "list.read"}, "evaluations": questions,
	}
	var told struct{ Evaluations []verdict }
	g.want(t, 200, p.caller, "POST", "/access/v1/evaluations", batch).into(t, &told)
	for i, l := range g.lists {
		l.Grants = slices.Clone(g.grants[p.sub][l.ID])
		d := g.policies.Authorize(t.Context(), policy.Request{
			Principal: policy.Principal{Kind: p.kind, ID: p.sub, Family: l.Family, Role: p.role, Scopes: policy.Scopes()},
			Action:    policy.ListRead, Resource: l, Context: policy.UnknownContext(time.Now()),
		})
		listed := page.status == 200 && strings.Contains(string(page.body), l.ID.String())
		if listed != d.Allowed || told.Evaluations[i].Decision != d.Allowed {
			t.Errorf("%s %s (%s), %s list of %s, grants %v: the page says %v, the answer %v, the policy %v",
				p.kind, p.sub, p.role, l.Kind, l.Owner, l.Grants, listed, told.Evaluations[i].Decision, d.Allowed)
		}
		if listed {
			shown++
		}
	}
	return shown
}
