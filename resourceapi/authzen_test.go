package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
		Error    struct {
			Status  int
			Message string
		}
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
	for name, who := range map[string]caller{"a key without the scope for members": {raw}, "a guest": h.guest, "somebody else's admin": h.alien} {
		if h.want(t, 200, who, "POST", "/access/v1/evaluation", asks("ann", "item.check", about("item", h.grantedItem, "family_id", h.id, "list_id", h.granted))).into(t, &got); got.Decision {
			t.Errorf("%s was told about another", name)
		}
	}
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
	for _, none := range []any{nil, []any{}} {
		if batch["evaluations"] = none; none == nil {
			delete(batch, "evaluations")
		}
		if got := h.want(t, 200, h.member, "POST", "/access/v1/evaluations", batch); string(got.body) != `{"decision":true}` {
			t.Errorf("a batch of none: %s", got.body)
		}
	}
	delete(batch, "options") // of whichever semantic came last
	// One that makes no sense is its own affair; half an entity is completed.
	batch["evaluations"] = []any{map[string]any{"resource": about("list", h.granted)}, 5, map[string]any{"resource": map[string]any{"properties": map[string]any{"family_id": h.id}}}}
	var each struct{ Evaluations []verdict }
	h.want(t, 200, h.member, "POST", "/access/v1/evaluations", batch).into(t, &each)
	if e := each.Evaluations; len(e) != 3 || e[0].Decision || e[1].Decision || !e[2].Decision ||
		e[0].Context.Error.Status != 400 || !strings.Contains(e[0].Context.Error.Message, "/resource/properties/family_id") || e[1].Context.Error.Status != 400 {
		t.Errorf("a batch with faults: %+v", e)
	}
	delete(batch, "evaluations")
	delete(batch, "action")
	found := h.want(t, 200, h.member, "POST", "/access/v1/search/action", batch)
	if want := `{"page":{"count":3,"next_token":""},"results":[{"name":"list.create"},{"name":"list.read"},{"name":"list.update"}]}`; string(found.body) != want {
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
	want := map[string]string{"policy_decision_point": resource}
	for _, name := range []string{"access_evaluation", "access_evaluations", "search_subject", "search_resource", "search_action"} {
		path, search := strings.CutPrefix(name, "search_")
		if path, _ = strings.CutPrefix(path, "access_"); search {
			path = "search/" + path
		}
		want[name+"_endpoint"] = resource + "/access/v1/" + path
	}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// TestRequestsAsTheStandardHasThem sends what its tests of conformance send: how
// a request is made, not what the answer is.
func TestRequestsAsTheStandardHasThem(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	const evaluation, subjects, resources, actions = "evaluation", "search/subject", "search/resource", "search/action"
	list := `{"type":"list","id":"` + h.shared + `","properties":{"family_id":"` + h.id + `","status":"active"}}`
	bob, read := `{"type":"user","id":"bob","properties":{"department":"Sales"}}`, `{"name":"list.read","properties":{"method":"GET"}}`
	none := `{"page":{"count":0,"next_token":""},"results":[]}`
	for name, c := range map[string]struct {
		to, body string
		status   int
		answer   string
	}{
		"properties of every sort": {evaluation, `{"subject":` + bob + `,"action":` + read + `,"resource":` + list + `,"context":{"ip":"192.168.1.1"}}`, 200, `{"decision":true}`},
		"members of another version": {
			evaluation, `{"subject":` + bob + `,"action":` + read + `,"resource":` + list + `,"foo":"bar","future":{"nested":true}}`, 200, `{"decision":true}`,
		},
		"no such type":               {evaluation, `{"subject":` + bob + `,"action":` + read + `,"resource":{"type":"record","id":"record-1"}}`, 200, ""},
		"no subject":                 {evaluation, `{"action":` + read + `,"resource":` + list + `}`, 400, ""},
		"no action":                  {evaluation, `{"subject":` + bob + `,"resource":` + list + `}`, 400, ""},
		"no resource":                {evaluation, `{"subject":` + bob + `,"action":` + read + `}`, 400, ""},
		"no subject type":            {evaluation, `{"subject":{"id":"bob"},"action":` + read + `,"resource":` + list + `}`, 400, ""},
		"no subject id":              {evaluation, `{"subject":{"type":"user"},"action":` + read + `,"resource":` + list + `}`, 400, ""},
		"no action name":             {evaluation, `{"subject":` + bob + `,"action":{},"resource":` + list + `}`, 400, ""},
		"no resource id":             {evaluation, `{"subject":` + bob + `,"action":` + read + `,"resource":{"type":"list"}}`, 400, ""},
		"a subject that is text":     {evaluation, `{"subject":"bob","action":` + read + `,"resource":` + list + `}`, 400, ""},
		"an action that is a number": {evaluation, `{"subject":` + bob + `,"action":{"name":123},"resource":` + list + `}`, 400, ""},
		"text that is none":          {evaluation, `{"subject":{"type":"user","id":"b\u0000b"},"action":` + read + `,"resource":` + list + `}`, 400, ""},
		"nothing":                    {evaluation, ``, 400, ""},
		"no JSON":                    {evaluation, `{`, 400, ""},
		"who":                        {subjects, `{"subject":{"type":"user"},"action":` + read + `,"resource":` + list + `,"context":{"a":1}}`, 200, ""},
		"who, of an unknown type":    {subjects, `{"subject":{"type":"spaceship"},"action":` + read + `,"resource":` + list + `}`, 200, none},
		"who does what, please":      {subjects, `{"subject":{"type":"user"},"resource":` + list + `}`, 400, ""},
		"who, to what":               {subjects, `{"subject":{"type":"user"},"action":` + read + `,"resource":{"type":"list"}}`, 400, ""},
		"too many at once":           {subjects, `{"subject":{"type":"user"},"action":` + read + `,"resource":` + list + `,"page":{"limit":201}}`, 400, ""},
		"somebody's token":           {subjects, `{"subject":{"type":"user"},"action":` + read + `,"resource":` + list + `,"page":{"token":"AAAA"}}`, 400, ""},
		"what":                       {resources, `{"subject":` + bob + `,"action":` + read + `,"resource":{"type":"list","id":"ignored"},"page":{"limit":1}}`, 200, ""},
		"what, of an unknown type":   {resources, `{"subject":` + bob + `,"action":` + read + `,"resource":{"type":"record"}}`, 200, none},
		"what, by whom":              {resources, `{"subject":{"type":"user"},"action":` + read + `,"resource":{"type":"list"}}`, 400, ""},
		"how":                        {actions, `{"subject":` + bob + `,"resource":` + list + `,"context":{}}`, 200, ""},
		"how, an unknown person":     {actions, `{"subject":{"type":"user","id":"nonexistent-user"},"resource":` + list + `}`, 200, none},
		"how, to what":               {actions, `{"subject":` + bob + `}`, 400, ""},
	} {
		got := h.do(t, h.member, "POST", "/access/v1/"+c.to, c.body, "X-Request-ID", "bfe9eb29-ab87-4ca3-be83-a1d5d8305716")
		if got.status != c.status || c.answer != "" && string(got.body) != c.answer {
			t.Errorf("%s: %d %s, want %d %s", name, got.status, got.body, c.status, c.answer)
		}
		if echo := got.header.Get("X-Request-ID"); echo != "bfe9eb29-ab87-4ca3-be83-a1d5d8305716" {
			t.Errorf("%s: the request became %q", name, echo)
		}
	}
	h.want(t, 400, h.member, "POST", "/access/v1/evaluation", map[string]any{}, "Content-Type", "text/plain")
}
