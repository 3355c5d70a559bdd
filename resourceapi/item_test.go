package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/internal/id"
)

// names reads a whole list, page by page.
func (h *household) names(t testing.TB, c caller, list string, limit int) string {
	t.Helper()
	var all []string
	for next := fmt.Sprintf("%s?limit=%d", h.items(list), limit); next != ""; {
		var page struct {
			Items []struct{ Name string }
			Next  string
		}
		h.want(t, 200, c, "GET", next, nil).into(t, &page)
		if len(page.Items) > limit {
			t.Fatalf("%d items on a page of %d", len(page.Items), limit)
		}
		for _, i := range page.Items {
			all = append(all, i.Name)
		}
		next = page.Next
	}
	return strings.Join(all, " ")
}

func TestItemsKeepTheirOrderThroughPagesAndMoves(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	list := h.list(t, h.member, "Order", "shared")
	ids := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		ids[name] = h.add(t, h.member, list, name)
	}
	move := func(name string, after any) {
		t.Helper()
		moved := h.want(t, 200, h.member, "PATCH", h.items(list)+"/"+ids[name], map[string]any{"after": after}).version()
		if told := strings1(t, h.db.Owner, `SELECT version::text FROM grocery.change_feed WHERE entity_id = $1 ORDER BY seq DESC LIMIT 1`, ids[name]); told[0] != moved {
			t.Errorf("%s has version %s, and the feed tells of %s", name, moved, told[0])
		}
	}
	for limit := 1; limit <= 6; limit++ {
		if diff := cmp.Diff("a b c d e", h.names(t, h.member, list, limit)); diff != "" {
			t.Errorf("pages of %d: %s", limit, diff)
		}
	}
	move("e", nil)
	move("a", ids["c"])
	move("d", ids["a"])
	if diff := cmp.Diff("e b c a d", h.names(t, h.member, list, 2)); diff != "" {
		t.Error(diff)
	}
	// Halving the room between two neighbours uses it up after some fifty moves; nobody notices.
	for range 40 {
		move("b", ids["a"])
		move("c", ids["a"])
	}
	if diff := cmp.Diff("e a c b d", h.names(t, h.member, list, 50)); diff != "" {
		t.Error(diff)
	}
	if renumbered := strings1(t, h.db.Owner, `SELECT event FROM grocery.change_feed WHERE event = 'list.renumbered'`); len(renumbered) == 0 {
		t.Error("the list was never numbered anew: this test does not test what it says")
	}
	h.want(t, 400, h.member, "PATCH", h.items(list)+"/"+ids["a"], map[string]any{"after": ids["a"]})
	h.want(t, 400, h.member, "PATCH", h.items(list)+"/"+ids["a"], map[string]any{"after": h.item})
}

func TestItemIsEditedCheckedAndRemoved(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	path := h.items(h.shared) + "/" + h.item
	got := h.want(t, 200, h.member, "PATCH", path, map[string]any{"quantity": 1.5, "unit": "l", "note": "the \"good\" one"})
	if !strings.Contains(string(got.body), `"quantity":1.5`) || got.version() != "2" {
		t.Errorf("after the change: %s %s", got.header.Get("ETag"), got)
	}
	got = h.want(t, 200, h.member, "PATCH", path, map[string]any{"quantity": nil})
	if !strings.Contains(string(got.body), `"quantity":null`) || !strings.Contains(string(got.body), `"unit":"l"`) {
		t.Errorf("after taking the quantity away: %s", got)
	}
	for range 2 {
		got = h.want(t, 200, h.member, "PUT", path+"/check", nil)
		if !strings.Contains(string(got.body), `"checked_by":"user:bob"`) || got.version() != "4" {
			t.Errorf("checked: %s %s", got.header.Get("ETag"), got)
		}
	}
	h.want(t, 304, h.member, "GET", path, nil, "If-None-Match", got.header.Get("ETag"))
	got = h.want(t, 200, h.member, "DELETE", path+"/check", nil)
	if !strings.Contains(string(got.body), `"checked":false`) {
		t.Errorf("put back: %s", got)
	}
	h.want(t, 200, h.member, "PATCH", h.path+"/lists/"+h.shared, map[string]any{"archived": true})
	h.want(t, 409, h.member, "PUT", path+"/check", nil)
	h.want(t, 200, h.member, "PATCH", h.path+"/lists/"+h.shared, map[string]any{"archived": false})
	h.want(t, 204, h.member, "DELETE", path, nil)
	h.want(t, 404, h.member, "GET", path, nil)
	events := strings1(t, h.db.Owner, `SELECT event FROM grocery.change_feed WHERE entity_id = $1 ORDER BY seq`, h.item)
	if diff := cmp.Diff("item.added item.updated item.updated item.checked item.unchecked item.removed", strings.Join(events, " ")); diff != "" {
		t.Errorf("feed: %s", diff)
	}
	audited := strings1(t, h.db.Owner, `SELECT action FROM grocery.audit_events WHERE target = $1 ORDER BY occurred_at, id`, h.item)
	if diff := cmp.Diff(events, audited); diff != "" {
		t.Errorf("feed (-) and audit log (+): %s", diff)
	}
}

func TestBadInputGetsAClearAnswerAndChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	items := h.items(h.shared)
	before := h.snapshot(t)
	deep := strings.Repeat("[", 100_000)
	long := strings.Repeat("x", 201)
	for name, test := range map[string]struct {
		method, path string
		body         any
		headers      []string
		want         int
	}{
		"no body":                    {"POST", items, "", nil, 400},
		"no JSON":                    {"POST", items, "{", nil, 400},
		"two values":                 {"POST", items, `{"name":"x"} {}`, nil, 400},
		"an array":                   {"POST", items, `[]`, nil, 400},
		"depth":                      {"POST", items, deep, nil, 400},
		"size":                       {"POST", items, `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 413},
		"wrong type of body":         {"POST", items, `name=x`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		"no name":                    {"POST", items, `{}`, nil, 400},
		"an empty name":              {"POST", items, `{"name":"  "}`, nil, 400},
		"a long name":                {"POST", items, `{"name":"` + long + `"}`, nil, 400},
		"a NUL in a name":            {"POST", items, `{"name":"a\u0000b"}`, nil, 400},
		"a number for a name":        {"POST", items, `{"name":1}`, nil, 400},
		"a negative quantity":        {"POST", items, `{"name":"x","quantity":-1}`, nil, 400},
		"a huge quantity":            {"POST", items, `{"name":"x","quantity":1e300}`, nil, 400},
		"a malformed id":             {"POST", items, `{"name":"x","id":"1"}`, nil, 400},
		"family_id in the body":      {"POST", items, map[string]any{"name": "x", "family_id": id.New()}, nil, 400},
		"version in the body":        {"PATCH", items + "/" + h.item, `{"version":9}`, nil, 400},
		"added_by in the body":       {"POST", items, `{"name":"x","added_by":"user:zed"}`, nil, 400},
		"owner in the body":          {"POST", h.path + "/lists", `{"name":"x","owner":"zed"}`, nil, 400},
		"role in the family":         {"PATCH", h.path, `{"role":"admin"}`, nil, 400},
		"a null name":                {"PATCH", items + "/" + h.item, `{"name":null}`, nil, 400},
		"an unknown kind":            {"POST", h.path + "/lists", `{"name":"x","kind":"secret"}`, nil, 400},
		"an unknown role":            {"PATCH", h.path + "/members/bob", `{"role":"owner"}`, nil, 400},
		"an unknown verb":            {"PUT", h.path + "/lists/" + h.granted + "/permissions/gus", `{"verbs":["own"]}`, nil, 400},
		"a permission for a member":  {"PUT", h.path + "/lists/" + h.granted + "/permissions/bob", `{"verbs":["view"]}`, nil, 409},
		"an unknown scope":           {"POST", h.path + "/apps", `{"client_id":"x","scopes":["admin"]}`, nil, 400},
		"an invitation for ever":     {"POST", h.path + "/invitations", `{"role":"member","expires_at":"2999-01-01T00:00:00Z"}`, nil, 400},
		"a grant on a personal list": {"POST", h.path + "/invitations", map[string]any{"role": "guest", "grants": []any{map[string]any{"list_id": h.private, "verbs": []string{"view"}}}}, nil, 400},
		"an unknown time zone":       {"PATCH", h.path, `{"timezone":"Mars/Olympus"}`, nil, 400},
		"a limit over the limit":     {"GET", items + "?limit=201", nil, nil, 400},
		"a cursor made up":           {"GET", items + "?cursor=AAAA", nil, nil, 400},
		"a time made up":             {"GET", h.path + "/audit?since=yesterday", nil, nil, 400},
		"a malformed family":         {"GET", "/v1/families/1", nil, nil, 404},
		"a malformed list":           {"GET", h.path + "/lists/%2e%2e", nil, nil, 404},
		"a list that is not there":   {"GET", h.path + "/lists/" + id.New().String(), nil, nil, 404},
		"an item of another list":    {"GET", h.items(h.granted) + "/" + h.item, nil, nil, 404},
		"a path that is not there":   {"GET", h.path + "/secrets", nil, nil, 404},
		"a method that is not there": {"PUT", h.path, `{}`, nil, 405},
	} {
		got := h.do(t, h.admin, test.method, test.path, test.body, test.headers...)
		if got.status != test.want || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %s %.200s, want %d and a problem", name, got.status, got.header.Get("Content-Type"), got.body, test.want)
		}
	}
	if after := h.snapshot(t); before != after {
		t.Errorf("something changed:\nbefore %s\nafter  %s", before, after)
	}
}

func TestCursorDoesNotCarryOverToAnotherList(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	for _, name := range []string{"x", "y"} {
		h.add(t, h.admin, h.private, name)
	}
	next := h.want(t, 200, h.admin, "GET", h.items(h.private)+"?limit=1", nil).field(t, "next")
	h.want(t, 200, h.admin, "GET", next, nil)
	h.want(t, 400, h.admin, "GET", strings.Replace(next, h.private, h.shared, 1), nil)
	h.want(t, 404, h.member, "GET", next, nil)
}
