package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListIsMadeFromATemplateAndHandedToSomebody(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	lists := h.path + "/lists"
	cursor := h.want(t, 200, h.member, "POST", h.path+"/sync", map[string]any{}).field(t, "cursor")
	template := h.want(t, 201, h.member, "POST", lists, map[string]any{"name": "Camping", "template": true}).field(t, "id")
	for _, text := range []string{"2 l water", "6x eggs", "rope"} {
		h.want(t, 201, h.member, "POST", h.items(template), map[string]any{"text": text})
	}
	made := h.want(t, 201, h.member, "POST", lists, map[string]any{"name": "July", "from": template, "assignee": "bob", "due_on": "2026-07-01"})
	july := made.field(t, "id")
	if made.field(t, "due_on") != "2026-07-01" || made.field(t, "assignee") != "bob" || strings.Contains(string(made.body), `"template":true`) {
		t.Errorf("got %s", made)
	}
	if diff := cmp.Diff("water eggs rope", h.names(t, h.admin, july, 50)); diff != "" {
		t.Error(diff)
	}
	var got string
	for range looks { // the feed goes as far as the oldest transaction under way
		got = string(h.want(t, 200, h.member, "POST", h.path+"/sync", map[string]any{"cursor": cursor}).body)
		if strings.Count(got, `"list_id":"`+july) == 3 {
			break
		}
		sleep(t)
	}
	if strings.Count(got, `"list_id":"`+july) != 3 {
		t.Errorf("a client that catches up does not get the items of a list made from another: %s", got)
	}
	for name, test := range map[string]struct {
		want int
		body map[string]any
	}{
		"a day that is none":       {400, map[string]any{"name": "x", "due_on": "2026-02-30"}},
		"a stranger":               {400, map[string]any{"name": "x", "assignee": "zed"}},
		"another's personal list":  {404, map[string]any{"name": "x", "from": h.private}},
		"an assignee on one's own": {400, map[string]any{"name": "x", "kind": "personal", "assignee": "bob"}},
	} {
		if got := h.do(t, h.member, "POST", lists, test.body); got.status != test.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
	path := lists + "/" + july
	for _, nobody := range []string{"zed", "", "b\x00b"} {
		h.want(t, 400, h.member, "PATCH", path, map[string]any{"assignee": nobody})
	}
	h.want(t, 200, h.member, "GET", h.path+"/stores/"+h.store+"/prices?name=%00%ff", nil)
	if got := h.want(t, 200, h.member, "PATCH", path, map[string]any{"due_on": nil}); !strings.Contains(string(got.body), `"due_on":null`) {
		t.Errorf("got %s", got)
	}
	h.want(t, 204, h.member, "DELETE", h.path+"/members/bob", nil)
	if got := h.want(t, 200, h.admin, "GET", path, nil); !strings.Contains(string(got.body), `"assignee":null`) {
		t.Errorf("assigned to somebody who left: %s", got)
	}
}
