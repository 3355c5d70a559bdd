package main

import (
	"strings"
	"testing"
	"time"

	"larder/internal/id"
	"larder/resourceapi/bearer/bearertest"
	"larder/resourceapi/policy"
)

// limited is somebody whose token has every scope and these authorization details (RFC 9396).
func (s *service) limited(sub string, details ...map[string]any) caller {
	return caller{s.issuer.Token(bearertest.Claims{
		"sub": sub, "scope": strings.Join(policy.Scopes(), " "), "authorization_details": details,
	})}
}

func (h *household) detail(actions []string, until time.Time, lists ...string) map[string]any {
	d := map[string]any{"type": "grocery_list", "family_id": h.id, "actions": actions}
	if len(lists) > 0 {
		d["list_ids"] = lists
	}
	if !until.IsZero() {
		d["until"] = until.UTC().Format(time.RFC3339)
	}
	return d
}

// RFC 9396: authorization details are a ceiling on the role and the scopes, on lists, verbs and time.
func TestLimitedTokensReachTheirListsOnly(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	listNames := func(c caller) string {
		var page struct{ Lists []struct{ Name string } }
		h.want(t, 200, c, "GET", h.path+"/lists", nil).into(t, &page)
		var names []string
		for _, l := range page.Lists {
			names = append(names, l.Name)
		}
		return strings.Join(names, ",")
	}
	list := func(l string) string { return h.path + "/lists/" + l }
	now, soon := time.Now(), time.Now().Add(time.Hour)

	viewer := h.limited("ann", h.detail([]string{"view"}, soon, h.granted, h.private))
	if got := listNames(viewer); got != "Party" {
		t.Errorf("ann's app sees %q, want Party only: neither her other lists nor a personal one", got)
	}
	h.want(t, 200, viewer, "GET", h.items(h.granted), nil)
	h.want(t, 200, viewer, "POST", h.path+"/sync", map[string]any{"operations": []any{}})
	for _, request := range []struct {
		status       int
		method, path string
		body         any
	}{
		{404, "GET", h.items(h.shared), nil},
		{404, "GET", list(h.private), nil},
		{404, "POST", h.items(h.shared), map[string]any{"name": "Beer"}},
		{403, "PUT", h.items(h.granted) + "/" + h.grantedItem + "/check", nil},
		{403, "POST", h.items(h.granted), map[string]any{"name": "Beer"}},
		{403, "DELETE", h.items(h.granted) + "/" + h.grantedItem, nil},
		{403, "DELETE", list(h.granted), nil},
		{403, "GET", list(h.granted) + "/permissions", nil},
		{403, "POST", h.path + "/lists", map[string]any{"name": "Mine", "kind": "shared"}},
		{403, "GET", h.path, nil},
		{403, "GET", h.path + "/members", nil},
		{403, "GET", h.path + "/audit", nil},
		{403, "GET", "/v1/families", nil},
		{403, "POST", "/v1/families", map[string]any{"name": "More", "display_name": "Ann"}},
	} {
		h.want(t, request.status, viewer, request.method, request.path, request.body)
	}

	// Each detail speaks for its own lists.
	mixed := h.limited("ann", h.detail([]string{"view"}, soon, h.granted), h.detail([]string{"check", "add"}, soon, h.shared))
	if got := listNames(mixed); got != "Weekly,Party" {
		t.Errorf("two details show %q", got)
	}
	h.want(t, 200, mixed, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	h.want(t, 201, mixed, "POST", h.items(h.shared), map[string]any{"name": "Tea"})
	h.want(t, 403, mixed, "DELETE", h.items(h.shared)+"/"+h.item, nil)
	h.want(t, 403, mixed, "PUT", h.items(h.granted)+"/"+h.grantedItem+"/check", nil)

	// Without lists it is for all shared ones; the person's own role stays the other ceiling.
	if got := listNames(h.limited("ann", h.detail([]string{"manage"}, time.Time{}))); got != "Weekly,Party" {
		t.Errorf("every shared list is %q", got)
	}
	guest := h.limited("gus", h.detail([]string{"manage"}, soon))
	if got := listNames(guest); got != "Party" {
		t.Errorf("a guest's app sees %q", got)
	}
	h.want(t, 200, guest, "PUT", h.items(h.granted)+"/"+h.grantedItem+"/check", nil)
	h.want(t, 403, guest, "POST", h.items(h.granted), map[string]any{"name": "Beer"})

	// What is over, meant for elsewhere, or of a type that is not ours allows nothing.
	elsewhere := h.detail([]string{"manage"}, soon, h.shared)
	elsewhere["locations"] = []string{"https://other.example"}
	for name, c := range map[string]caller{
		"over": h.limited("ann", h.detail([]string{"manage"}, now.Add(-time.Second))), "elsewhere": h.limited("ann", elsewhere),
		"unknown type": h.limited("ann", map[string]any{"type": "payment"}), "nothing": h.limited("ann", []map[string]any{}...),
		"no list": h.limited("ann", map[string]any{"type": "grocery_list", "family_id": h.id, "actions": []string{"view"}, "list_ids": []string{}}),
	} {
		if got := h.do(t, c, "GET", h.path+"/lists", nil); got.status != 403 {
			t.Errorf("%s: %s", name, got)
		}
	}
	h.want(t, 401, h.limited("ann", map[string]any{"type": "grocery_list", "family_id": 7}), "GET", h.path+"/lists", nil)
}

// A token that is limited to another family does nothing here, on no route that there is.
func TestLimitedTokensHaveNoOtherWayIn(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	c := h.limited("ann", map[string]any{"type": "grocery_list", "family_id": id.New().String(), "actions": []string{"manage"}})
	before := h.snapshot(t)
	for _, route := range h.tenantRoutes(t) {
		method, path, body := h.probe(route)
		if got := h.do(t, c, method, path, body, "If-Match", "*"); got.status != 403 && got.status != 404 {
			t.Errorf("%s: %s", route, got)
		}
	}
	if after := h.snapshot(t); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}
