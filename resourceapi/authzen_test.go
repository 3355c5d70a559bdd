package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/internal/id"
	"larder/resourceapi/bearer/bearertest"
	"larder/resourceapi/policy"
)

// verdict is an answer of AuthZEN.
type verdict struct {
	Decision bool
	Context  struct {
		Policies []string
		Reason   string
		Remedy   string
		Scope    string
		MaxAge   int `json:"max_age"`
	}
}

func about(kind, thing string, properties ...string) map[string]any {
	more := map[string]any{}
	for i := 0; i < len(properties); i += 2 {
		more[properties[i]] = properties[i+1]
	}
	return map[string]any{"type": kind, "id": thing, "properties": more}
}

func asks(sub, action string, resource map[string]any) map[string]any {
	return map[string]any{"subject": map[string]any{"type": "user", "id": sub}, "action": map[string]any{"name": action}, "resource": resource}
}

func TestTheCallerMayAskWhatHeMayDo(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	parsed := mustID(t, h.id)
	stale := h.claims("ann", bearertest.Claims{"auth_time": time.Now().Add(-time.Hour).Unix()})
	list := func(thing string) map[string]any { return about("list", thing, "family_id", h.id) }
	milk := about("item", h.item, "family_id", h.id, "list_id", h.shared)
	member := func(sub string) map[string]any { return about("member", sub, "family_id", h.id) }
	absent := "There is no such thing here."
	for name, c := range map[string]struct {
		who    caller
		ask    map[string]any
		policy string // that refuses, "" for a yes, or the reason where there is none
	}{
		"a member checks":           {h.member, asks("bob", "item.check", milk), ""},
		"a member deletes no list":  {h.member, asks("bob", "list.delete", list(h.shared)), "default_deny"},
		"an admin does":             {h.admin, asks("ann", "list.delete", list(h.shared)), ""},
		"a list to be":              {h.member, asks("bob", "list.create", list(id.New().String())), ""},
		"a guest makes none":        {h.guest, asks("gus", "list.create", list(id.New().String())), "default_deny"},
		"granted":                   {h.guest, asks("gus", "list.read", list(h.granted)), ""},
		"not granted":               {h.guest, asks("gus", "list.read", list(h.shared)), absent},
		"another's personal list":   {h.member, asks("bob", "list.read", list(h.private)), absent},
		"no such list":              {h.admin, asks("ann", "list.read", list(id.New().String())), absent},
		"another family":            {h.alien, asks("zed", "family.read", about("family", h.id)), absent},
		"a new family":              {h.alien, asks("zed", "list.list", about("family", id.New().String())), absent},
		"fresh":                     {h.admin, asks("ann", "member.remove", member("bob")), ""},
		"stale":                     {stale, asks("ann", "member.remove", member("bob")), "fresh_sign_in_to_remove"},
		"nobody":                    {h.admin, asks("ann", "member.remove", member("eve")), absent},
		"whom a guest may not know": {h.guest, asks("gus", "member.remove", member("bob")), absent},
		"himself":                   {h.guest, asks("gus", "member.leave", member("gus")), ""},
		"a scope":                   {h.scoped("ann", "lists:read"), asks("ann", "item.check", milk), "scope_ceiling"},
		"no action":                 {h.admin, asks("ann", "item.steal", milk), "There is no such action on this type of resource."},
		"another type's action":     {h.admin, asks("ann", "list.delete", milk), "There is no such action on this type of resource."},
	} {
		var got verdict
		h.want(t, 200, c.who, "POST", "/access/v1/evaluation", c.ask).into(t, &got)
		if got.Decision != (c.policy == "") || c.policy != "" && !slices.Contains(got.Context.Policies, c.policy) && got.Context.Reason != c.policy {
			t.Errorf("%s: %+v, want %q", name, got, c.policy)
		}
	}
	var got verdict
	h.want(t, 200, stale, "POST", "/access/v1/evaluation", asks("ann", "member.remove", member("bob"))).into(t, &got)
	if got.Context.MaxAge != 600 || got.Context.Remedy != "Sign in again." {
		t.Errorf("what would help: %+v", got)
	}
	// The context is what it is, not what is said of it.
	lie := asks("ann", "member.remove", member("bob"))
	lie["context"] = map[string]any{"auth_time": time.Now().Unix(), "role": "admin"}
	if h.want(t, 200, stale, "POST", "/access/v1/evaluation", lie).into(t, &got); got.Decision {
		t.Error("the context was believed")
	}
	raw, _ := h.issuer.APIKey(parsed, "lists:read")
	h.want(t, 401, caller{}, "POST", "/access/v1/evaluation", asks("ann", "item.check", milk))
	if code := h.want(t, 403, caller{raw}, "POST", "/access/v1/evaluation", asks("ann", "item.check", milk)).field(t, "code"); code != "other_subject" {
		t.Error(code)
	}
	h.want(t, 403, h.member, "POST", "/access/v1/evaluation", asks("ann", "item.check", milk))
	h.want(t, 400, h.member, "POST", "/access/v1/evaluation", asks("bob", "item.check", about("item", h.item, "family_id", h.id)))
	h.want(t, 400, h.member, "POST", "/access/v1/evaluation", asks("bob", "item.check", about("list", "x")))
	h.want(t, 400, h.member, "POST", "/access/v1/evaluation", map[string]any{})
}

func TestQuestionsInABatch(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	mine := h.want(t, 201, h.member, "POST", "/v1/families", map[string]any{"name": "Bob alone"}).field(t, "id")
	batch := asks("bob", "list.read", about("list", h.shared, "family_id", h.id))
	batch["evaluations"] = []any{
		map[string]any{},
		map[string]any{"action": map[string]any{"name": "list.delete"}},
		map[string]any{"action": map[string]any{"name": "family.delete"}, "resource": about("family", mine)},
		map[string]any{"action": map[string]any{"name": "family.delete"}, "resource": about("family", h.id)},
	}
	for semantic, want := range map[string][]bool{
		"execute_all": {true, false, true, false}, "": {true, false, true, false},
		"deny_on_first_deny": {true, false}, "permit_on_first_permit": {true},
	} {
		batch["options"] = map[string]any{"evaluations_semantic": semantic}
		if semantic == "" {
			delete(batch, "options")
		}
		var got struct{ Evaluations []verdict }
		h.want(t, 200, h.member, "POST", "/access/v1/evaluations", batch).into(t, &got)
		var decisions []bool
		for _, v := range got.Evaluations {
			decisions = append(decisions, v.Decision)
		}
		if !slices.Equal(decisions, want) {
			t.Errorf("%q: %v, want %v", semantic, decisions, want)
		}
	}
	batch["evaluations"] = slices.Repeat([]any{map[string]any{}}, 101)
	h.want(t, 400, h.member, "POST", "/access/v1/evaluations", batch)
	delete(batch, "evaluations")
	h.want(t, 200, h.member, "POST", "/access/v1/evaluations", batch)
	delete(batch, "action")
	delete(batch, "options")
	found := h.want(t, 200, h.member, "POST", "/access/v1/search/action", batch)
	if want := `{"results":[{"name":"list.create"},{"name":"list.read"},{"name":"list.update"}]}`; string(found.body) != want {
		t.Errorf("actions %s, want %s", found.body, want)
	}
	// What is answered is what happens: each role, each action of a list.
	for sub, c := range map[string]caller{"ann": h.admin, "bob": h.member, "gus": h.guest} {
		search := asks(sub, "", about("list", h.granted, "family_id", h.id))
		delete(search, "action")
		found := string(h.want(t, 200, c, "POST", "/access/v1/search/action", search).body)
		shown := string(h.want(t, 200, c, "GET", h.path+"/lists/"+h.granted, nil).body)
		for _, a := range []policy.Action{policy.ListUpdate, policy.ListDelete, policy.ListShare} {
			if strings.Contains(found, string(a)) != strings.Contains(shown, `"`+string(a)+`"`) {
				t.Errorf("%s %s: %s but %s", sub, a, found, shown)
			}
		}
	}
	var doc map[string]string
	h.want(t, http.StatusOK, caller{}, "GET", "/.well-known/authzen-configuration", nil).into(t, &doc)
	if doc["policy_decision_point"] != resource || doc["access_evaluations_endpoint"] != resource+"/access/v1/evaluations" {
		t.Errorf("configuration %v", doc)
	}
}
