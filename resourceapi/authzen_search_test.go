package main

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"larder/resourceapi/policy"
)

// right is that of somebody to do something to a thing.
type right struct {
	who    string
	action policy.Action
	thing  string
}

// searched are the actions that the searches are held to, with what they are done to.
var searched = map[policy.Action]string{
	policy.ListRead: "list", policy.ListUpdate: "list", policy.ListDelete: "list", policy.ListShare: "list",
	policy.ItemCheck: "item", policy.ItemRemove: "item",
	policy.MemberRemove: "member", policy.MemberLeave: "member",
}

// TestSearchFindsWhatEvaluationPermits asks, in generated families, each person
// about each thing; a search must find neither more nor less, and what one is
// told of another must be what that one is told himself.
func TestSearchFindsWhatEvaluationPermits(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "machine", "scopes": policy.Scopes()})
	found := 0
	for round := range 5 {
		rapid.Custom(func(rt *rapid.T) bool {
			g := h.generate(t, rt, 100+round)
			rights := map[right]bool{}
			for _, p := range g.people {
				for action, kind := range searched {
					found += g.searchThings(t, p, action, kind, rights)
				}
			}
			list := rapid.SampledFrom(g.lists).Draw(rt, "list").ID.String()
			for _, p := range g.people {
				for _, action := range []policy.Action{policy.ListRead, policy.ItemRemove} {
					g.searchPeople(t, p, action, list, rights)
				}
			}
			return true
		}).Example(round)
	}
	if found < 100 {
		t.Errorf("only %d things were ever found: too thin a comparison", found)
	}
}

// things are the ids of all the family's things of the kind, seen or not.
func (g *generated) things(kind string) []string {
	var all []string
	if kind == "member" {
		for _, p := range g.people {
			if p.role != policy.None {
				all = append(all, p.sub)
			}
		}
		return all
	}
	for _, l := range g.lists {
		all = append(all, l.ID.String())
	}
	return all
}

func (g *generated) about(kind, thing string) map[string]any {
	if kind == "item" {
		return about(kind, thing, "family_id", g.id, "list_id", thing)
	}
	return about(kind, thing, "family_id", g.id)
}

// searchThings compares what p finds with what he is told of each thing, which
// it notes.
func (g *generated) searchThings(t *testing.T, p person, action policy.Action, kind string, rights map[right]bool) int {
	t.Helper()
	things := g.things(kind)
	questions := make([]any, len(things))
	for i, thing := range things {
		questions[i] = map[string]any{"resource": g.about(kind, thing)}
	}
	ask := map[string]any{"subject": map[string]any{"type": p.kind, "id": p.sub}, "action": map[string]any{"name": action}, "evaluations": questions}
	var told struct{ Evaluations []verdict }
	g.want(t, 200, p.caller, "POST", "/access/v1/evaluations", ask).into(t, &told)
	want := []string{}
	for i, v := range told.Evaluations {
		rights[right{p.sub, action, things[i]}] = v.Decision
		if v.Decision {
			want = append(want, things[i])
		}
	}
	delete(ask, "evaluations")
	ask["resource"] = map[string]any{"type": kind, "properties": map[string]any{"family_id": g.id}}
	got := slices.DeleteFunc(g.search(t, p, "resource", ask), func(thing string) bool { return !slices.Contains(things, thing) }) // people of earlier rounds
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s %s (%s) finds for %s %q, and is told yes for %q", p.kind, p.sub, p.role, action, got, want)
	}
	return len(got)
}

// search goes through all pages.
func (g *generated) search(t *testing.T, p person, what string, ask map[string]any) []string {
	t.Helper()
	ask = maps.Clone(ask)
	var all []string
	for token := ""; ; {
		ask["page"] = map[string]any{"token": token, "limit": 3}
		var got struct {
			Results []struct{ ID string }
			Page    struct {
				NextToken string `json:"next_token"`
				Count     int
			}
		}
		g.want(t, 200, p.caller, "POST", "/access/v1/search/"+what, ask).into(t, &got)
		for _, r := range got.Results {
			all = append(all, r.ID)
		}
		if len(got.Results) > 3 || got.Page.Count != len(got.Results) {
			t.Fatalf("a page of %+v", got)
		}
		if token = got.Page.NextToken; token == "" {
			return all
		}
	}
}

// searchPeople compares whom p finds with what each of them was told himself, as
// far as p may know of it.
func (g *generated) searchPeople(t *testing.T, p person, action policy.Action, list string, rights map[right]bool) {
	t.Helper()
	resource := g.about(searched[action], list)
	for _, kind := range []policy.Kind{policy.User, policy.App, policy.APIKey} {
		got := g.search(t, p, "subject", map[string]any{
			"subject": map[string]any{"type": kind}, "action": map[string]any{"name": action}, "resource": resource,
		})
		for _, s := range g.people {
			if s.kind != kind {
				continue
			}
			inside := p.role == policy.Admin || p.role == policy.Member
			knows := kind == policy.App && inside || kind == policy.User && (inside || p.kind != policy.User)
			knows = knows && rights[right{p.sub, policy.ListRead, list}] && (s.role != policy.Guest || rights[right{p.sub, policy.ListShare, list}])
			want := rights[right{s.sub, action, list}] && (knows || s.sub == p.sub)
			var told verdict
			g.want(t, 200, p.caller, "POST", "/access/v1/evaluation", map[string]any{
				"subject": map[string]any{"type": s.kind, "id": s.sub}, "action": map[string]any{"name": action}, "resource": resource,
			}).into(t, &told)
			if slices.Contains(got, s.sub) != want || told.Decision != want {
				t.Errorf("%s %s (%s) finds %q for %s, and is told %v of %s %s (%s): want %v", p.kind, p.sub, p.role, got, action, told.Decision, s.kind, s.sub, s.role, want)
			}
		}
	}
}

// TestSearchGoesThroughAllFamilies is about what the searches are not held to
// above: other types, several families, tokens of less.
func TestSearchGoesThroughAllFamilies(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	mine := h.want(t, 201, h.member, "POST", "/v1/families", map[string]any{"name": "Bob alone"}).field(t, "id")
	own := h.want(t, 201, h.member, "POST", "/v1/families/"+mine+"/lists", map[string]any{"name": "Mine"}).field(t, "id")
	invited := h.want(t, 201, h.admin, "POST", h.path+"/invitations", map[string]any{"role": "guest", "grants": []any{map[string]any{"list_id": h.granted, "verbs": []string{"view"}}}}).field(t, "id")
	g := &generated{household: h}
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "machine", "scopes": []string{"lists:read"}})
	for name, c := range map[string]struct {
		who          caller
		sub          string
		action, kind string
		family       string
		want         []string
	}{
		"both families":           {h.member, "bob", "family.read", "family", "", []string{h.id, mine}},
		"one's own":               {h.member, "bob", "family.delete", "family", "", []string{mine}},
		"one that is named":       {h.member, "bob", "family.read", "family", h.id, []string{h.id}},
		"lists of both":           {h.member, "bob", "list.read", "list", "", []string{h.shared, h.granted, own}},
		"the log":                 {h.member, "bob", "audit.read", "audit", "", []string{mine}},
		"items":                   {h.guest, "gus", "item.check", "item", "", []string{h.grantedItem}},
		"an action of another":    {h.member, "bob", "item.check", "list", "", nil},
		"apps":                    {h.admin, "ann", "app.uninstall", "app", "", []string{"machine"}},
		"apps, by a guest":        {h.guest, "gus", "app.uninstall", "app", "", nil},
		"invitations":             {h.admin, "ann", "invitation.revoke", "invitation", "", []string{invited}},
		"invitations, by a guest": {h.guest, "gus", "invitation.revoke", "invitation", h.id, nil},
		"another's":               {h.admin, "ann", "item.check", "item", mine, nil},
		"of another":              {h.admin, "bob", "list.read", "list", h.id, []string{h.shared, h.granted}},
		"of a guest":              {h.admin, "gus", "list.read", "list", h.id, []string{h.granted}},
		"by a guest, of another":  {h.guest, "bob", "list.read", "list", h.id, nil},
		"without leave to look":   {h.scoped("ann", "lists:write"), "ann", "item.check", "item", h.id, nil},
	} {
		properties := map[string]any{"family_id": c.family}
		if c.family == "" {
			delete(properties, "family_id")
		}
		got := g.search(t, person{caller: c.who}, "resource", map[string]any{
			"subject": map[string]any{"type": "user", "id": c.sub}, "action": map[string]any{"name": c.action},
			"resource": map[string]any{"type": c.kind, "properties": properties},
		})
		slices.Sort(got)
		slices.Sort(c.want)
		if name == "invitations" { // those that brought the others in are among them
			got = slices.DeleteFunc(got, func(thing string) bool { return thing != invited })
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	everywhere := map[string]any{
		"subject": map[string]any{"type": "user", "id": "ann"}, "action": map[string]any{"name": "list.read"}, "resource": map[string]any{"type": "list"},
	}
	h.want(t, 403, h.scoped("ann", "lists:read"), "POST", "/access/v1/search/resource", everywhere)
	// A token leads on in the search that it came from, and in no other.
	everywhere["page"] = map[string]any{"limit": 1}
	var first struct {
		Page struct {
			NextToken string `json:"next_token"`
		}
	}
	h.want(t, 200, h.admin, "POST", "/access/v1/search/resource", everywhere).into(t, &first)
	everywhere["page"] = map[string]any{"token": first.Page.NextToken}
	h.want(t, 200, h.admin, "POST", "/access/v1/search/resource", everywhere)
	everywhere["action"] = map[string]any{"name": "list.update"}
	h.want(t, 400, h.admin, "POST", "/access/v1/search/resource", everywhere)
}
