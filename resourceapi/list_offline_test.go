package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/internal/id"
)

// syncStatus hands in one operation, whose outcome must be this.
func (h *household) syncStatus(t testing.TB, c caller, status string, o op) kitchenResult {
	t.Helper()
	got := h.syncKitchen(t, c, "", o).Results[0]
	if got.Status != status {
		t.Errorf("%v: got %+v, want %s", o, got, status)
	}
	return got
}

// TestAListIsNotRemovedWithWhatNobodySaw has a list that a client removes offline grow and change meanwhile.
func TestAListIsNotRemovedWithWhatNobodySaw(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	list := h.list(t, h.admin, "Old", "shared")
	rope, tent := h.add(t, h.admin, list, "Rope"), h.add(t, h.member, list, "Tent")
	remove := func(items map[string]int64) op {
		return op{"op": "list.remove", "id": list, "version": 1, "items": items}
	}
	for name, known := range map[string]map[string]int64{
		"none": nil, "one of two": {rope: 1}, "one as it was not": {rope: 1, tent: 2},
	} {
		if got := h.syncStatus(t, h.admin, "conflict", remove(known)); !cmp.Equal([]string{"items"}, got.Conflicts) || got.Current["name"] != "Old" {
			t.Errorf("who knew %s: %+v", name, got)
		}
	}
	h.want(t, 200, h.member, "PUT", h.items(list)+"/"+tent+"/check", nil)
	h.syncStatus(t, h.admin, "conflict", remove(map[string]int64{rope: 1, tent: 1}))
	if diff := cmp.Diff("Rope Tent", h.names(t, h.admin, list, 50)); diff != "" {
		t.Errorf("its items (-want +got):\n%s", diff)
	}
	h.syncStatus(t, h.admin, "rejected", op{"op": "list.edit", "id": list, "items": map[string]int64{rope: 1}})
	h.syncStatus(t, h.admin, "applied", remove(map[string]int64{rope: 0, tent: 2}))
	h.want(t, 404, h.admin, "GET", h.path+"/lists/"+list, nil)
}

// TestListsAreKeptOffline tells the story of a list that is made, changed beside somebody and against him, archived and
// removed by a client that hears of the others only afterwards.
func TestListsAreKeptOffline(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	list, item := id.New().String(), id.New().String()
	at := h.path + "/lists/" + list
	do := func(verb string, version int, fields map[string]any) op {
		return op{"op": "list." + verb, "id": list, "version": version, "fields": fields}
	}
	h.settle(t)
	cursor := h.syncKitchen(t, h.admin, "").Cursor
	add := do("add", 0, map[string]any{"name": change("", " Camping "), "template": change(false, true), "due_on": change(nil, "2030-07-01")})
	edit := do("edit", 1, map[string]any{"name": change("Camping", "Sea")})
	batch := []op{add, {"op": "item.add", "list_id": list, "item_id": item, "fields": map[string]any{"name": change("", "Rope")}}, edit}
	for i, got := range h.syncKitchen(t, h.member, "", batch...).Results {
		if got.Status != "applied" || got.Replayed {
			t.Fatalf("operation %d: %+v", i, got)
		}
	}
	for i, got := range h.syncKitchen(t, h.member, "", batch...).Results {
		if got.Status != "applied" || !got.Replayed || got.Current == nil {
			t.Errorf("operation %d, sent again: %+v", i, got)
		}
	}
	if diff := cmp.Diff("Rope", h.names(t, h.admin, list, 50)); diff != "" {
		t.Errorf("its items (-want +got):\n%s", diff)
	}
	h.settle(t)
	others := string(h.want(t, 200, h.admin, "POST", h.path+"/sync", map[string]any{"cursor": cursor}).body)
	if !strings.Contains(others, `"name":"Sea"`) || !strings.Contains(others, `"name":"Rope"`) {
		t.Errorf("others do not hear of it: %s", others)
	}

	copied := id.New().String()
	h.syncStatus(t, h.member, "applied", op{"op": "list.add", "id": copied, "fields": map[string]any{"name": change("", "August"), "from": change(nil, list)}})
	if diff := cmp.Diff("Rope", h.names(t, h.admin, copied, 50)); diff != "" {
		t.Errorf("the items of a copy (-want +got):\n%s", diff)
	}

	h.want(t, 200, h.admin, "PATCH", at, map[string]any{"due_on": "2030-08-01"}) // version 3
	h.syncStatus(t, h.member, "merged", do("edit", 2, map[string]any{"assignee": change(nil, "bob"), "template": change(true, false)}))
	against := h.syncKitchen(t, h.member, "", do("edit", 2, map[string]any{
		"due_on": change("2030-07-01", nil), "name": change("Camping", "Hills"), "archived": change(false, true),
	})).Results[0]
	if diff := cmp.Diff([]string{"due_on", "name"}, against.Conflicts); diff != "" || against.Status != "conflict" {
		t.Errorf("against: %+v (-want +got):\n%s", against, diff)
	}
	var now map[string]any
	h.want(t, 200, h.admin, "GET", at, nil).into(t, &now)
	delete(now, "permissions") // which depend on who asks
	if diff := cmp.Diff(now, against.Current); diff != "" {
		t.Errorf("what is there (-), and what the client was shown (+):\n%s", diff)
	}
	if now["name"] != "Sea" || now["due_on"] != "2030-08-01" || now["assignee"] != "bob" || now["template"] != false || now["archived_at"] == nil {
		t.Errorf("in the end: %v", now)
	}
	// What is so already is no change, and no news.
	if same := h.syncStatus(t, h.member, "applied", do("edit", 0, map[string]any{"archived": change(false, true)})); same.Current["version"] != now["version"] {
		t.Errorf("archived again: %+v", same)
	}

	for _, step := range []struct {
		version int
		status  string
	}{{1, "conflict"}, {0, "applied"}, {0, "applied"}} {
		removal := do("remove", step.version, nil)
		removal["items"] = map[string]int64{item: 0}
		h.syncStatus(t, h.member, step.status, removal)
	}
	gone := h.syncStatus(t, h.admin, "conflict", do("edit", 0, map[string]any{"name": change("Sea", "x")}))
	if gone.Current != nil {
		t.Errorf("edited when gone: %+v", gone)
	}
	h.want(t, 404, h.admin, "GET", at, nil)
	if again := h.syncStatus(t, h.member, "applied", edit); !again.Replayed || again.Current != nil {
		t.Errorf("sent again when gone: %+v", again)
	}
	h.settle(t)
	if got := h.syncKitchen(t, h.admin, cursor); !cmp.Equal(got.Removed["lists"], []string{list}) {
		t.Errorf("removed: %v", got.Removed)
	}
	var events, audited int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT
  (SELECT count(*) FROM grocery.change_feed WHERE entity_id = $1 AND event LIKE 'list.%' AND family_id = $2),
  (SELECT count(*) FROM grocery.audit_events WHERE target = $1 AND action LIKE 'list.%' AND result = 'success' AND family_id = $2)`, list, h.id).Scan(&events, &audited); err != nil || events != 6 || audited != 6 {
		t.Errorf("%d changes were told of, %d written down, %v; want 6", events, audited, err)
	}
}

func TestListsAreRefusedOfflineAsOnline(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	named := func(to string) map[string]any { return map[string]any{"name": change("", to)} }
	value := func(name string, to any) map[string]any { return map[string]any{name: map[string]any{"value": to}} }
	before := string(h.want(t, 200, h.admin, "GET", h.path+"/lists", nil).body)
	for what, c := range map[string]struct {
		who     caller
		op, id  string
		fields  map[string]any
		status  int
		code    string
		pointer string
	}{
		"guest adds":              {h.guest, "add", "", named("x"), 403, "default_deny", ""},
		"guest renames":           {h.guest, "edit", h.granted, named("x"), 403, "default_deny", ""},
		"guest removes":           {h.guest, "remove", h.granted, nil, 403, "default_deny", ""},
		"guest, a hidden list":    {h.guest, "edit", h.shared, named("x"), 404, "", ""},
		"guest, no list":          {h.guest, "remove", id.New().String(), nil, 404, "", ""},
		"reader adds":             {h.scoped("bob", "lists:read"), "add", "", named("x"), 403, "insufficient_scope", ""},
		"reader edits":            {h.scoped("bob", "lists:read"), "edit", h.shared, named("x"), 403, "insufficient_scope", ""},
		"another's list":          {h.member, "remove", h.shared, nil, 403, "default_deny", ""},
		"another's id":            {h.member, "add", h.shared, named("x"), 409, "id_taken", ""},
		"another's hidden id":     {h.member, "add", h.private, named("x"), 409, "", ""},
		"copy of a hidden list":   {h.member, "add", "", map[string]any{"name": change("", "x"), "from": change(nil, h.private)}, 404, "", ""},
		"no name":                 {h.admin, "add", "", nil, 400, "", "/fields/name/value"},
		"kind":                    {h.admin, "add", "", map[string]any{"name": change("", "x"), "kind": change("", "secret")}, 400, "", "/fields/kind/value"},
		"archived from the start": {h.admin, "add", "", map[string]any{"name": change("", "x"), "archived": change(false, true)}, 400, "", "/fields/archived/value"},
		"an id among the fields":  {h.admin, "add", "", map[string]any{"name": change("", "x"), "id": change(nil, id.New())}, 400, "", "/fields/id"},
		"no value":                {h.admin, "edit", h.shared, map[string]any{"name": map[string]any{"base": "x"}}, 400, "", "/fields/name/value"},
		"empty name":              {h.admin, "edit", h.shared, value("name", " "), 400, "", "/fields/name/value"},
		"name of null":            {h.admin, "edit", h.shared, value("name", nil), 400, "", "/fields/name/value"},
		"wrong type":              {h.admin, "edit", h.shared, value("archived", "yes"), 400, "", "/fields/archived/value"},
		"a day that is none":      {h.admin, "edit", h.shared, value("due_on", "2030-02-30"), 400, "", "/fields/due_on/value"},
		"a stranger's turn":       {h.admin, "edit", h.shared, value("assignee", "zed"), 400, "", "/fields/assignee/value"},
		"a turn with a NUL":       {h.admin, "edit", h.shared, value("assignee", "b\x00b"), 400, "", "/fields/assignee/value"},
		"a turn on one's own":     {h.admin, "edit", h.private, value("assignee", "bob"), 400, "", "/fields/assignee/value"},
		"position":                {h.admin, "edit", h.shared, value("position", 1e13), 400, "", "/fields/position/value"},
		"another kind":            {h.admin, "edit", h.shared, value("kind", "personal"), 400, "", "/fields/kind/value"},
		"another owner":           {h.admin, "edit", h.shared, value("owner", "bob"), 400, "", "/fields/owner/value"},
		"unknown op":              {h.admin, "share", h.shared, nil, 400, "", "/op"},
		"the zero id":             {h.admin, "edit", id.ID{}.String(), named("x"), 400, "", ""},
	} {
		o := op{"op": "list." + c.op, "id": c.id}
		if c.id == "" {
			o["id"] = id.New().String()
		}
		if c.fields != nil {
			o["fields"] = c.fields
		}
		got := h.syncStatus(t, c.who, "rejected", o)
		switch {
		case got.Error == nil || got.Error.Status != c.status || c.code != "" && got.Error.Code != c.code:
			t.Errorf("%s: %+v", what, got.Error)
		case c.pointer != "" && (len(got.Error.Errors) != 1 || got.Error.Errors[0].Pointer != c.pointer):
			t.Errorf("%s: %+v, want a fault at %s", what, got.Error, c.pointer)
		}
	}
	// To a member a list that is hidden from him is one that is gone.
	for verb, status := range map[string]string{"edit": "conflict", "remove": "applied"} {
		if got := h.syncStatus(t, h.member, status, op{"op": "list." + verb, "id": h.private, "fields": named("x")}); got.Current != nil {
			t.Errorf("another's personal list is shown: %+v", got)
		}
	}
	if diff := cmp.Diff(before, string(h.want(t, 200, h.admin, "GET", h.path+"/lists", nil).body)); diff != "" {
		t.Errorf("what was refused changed something:\n%s", diff)
	}
	h.want(t, 200, h.admin, "PUT", h.path+"/lists/"+h.granted+"/permissions/gus", map[string]any{"verbs": []string{"manage"}})
	h.syncStatus(t, h.guest, "applied", op{"op": "list.edit", "id": h.granted, "fields": map[string]any{"archived": change(false, true)}})
}
