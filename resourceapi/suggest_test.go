package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSuggestionsAreTheFamilysOwn(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	other := h.household(t, "other-")
	suggested := func(c caller, path string) string {
		t.Helper()
		var got struct{ Suggestions []struct{ Name string } }
		h.want(t, 200, c, "GET", path, nil).into(t, &got)
		var names []string
		for _, s := range got.Suggestions {
			names = append(names, s.Name)
		}
		return strings.Join(names, ", ")
	}
	other.add(t, other.admin, other.shared, "Oysters")
	list := h.list(t, h.member, "Often", "shared")
	for _, name := range []string{"Bread", "Bread", "bread ", "Oat milk", "Oat milk", "Rye"} {
		h.add(t, h.member, list, name)
	}
	h.add(t, h.admin, h.private, "Ring")
	h.want(t, 200, h.admin, "PUT", h.path+"/lists/"+h.granted+"/permissions/gus", map[string]any{"verbs": []string{"add"}})
	h.add(t, h.guest, h.granted, "Fireworks") // a guest teaches nothing
	if diff := cmp.Diff("Honey, bread, Oat milk, Rye, Cake, Milk", suggested(h.member, h.path+"/suggestions")); diff != "" {
		t.Error(diff)
	}
	if got := suggested(h.admin, h.path+"/suggestions"); !strings.Contains(got, "Ring") || !strings.Contains(got, "Watch") {
		t.Errorf("the admin's own words: %s", got)
	}
	if diff := cmp.Diff("Oat milk, Milk", suggested(h.member, h.path+"/suggestions?q=MIL")); diff != "" {
		t.Error(diff)
	}
	favourite := h.want(t, 201, h.member, "POST", h.path+"/favourites", map[string]any{"name": "Rye", "quantity": 2}).field(t, "id")
	if again := h.want(t, 201, h.admin, "POST", h.path+"/favourites", map[string]any{"name": "rye"}).field(t, "id"); again != favourite {
		t.Error("the same name is two favourites")
	}
	if diff := cmp.Diff("Honey, Rye, bread", suggested(h.member, h.path+"/suggestions?limit=3")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("Honey, Cake, Milk", suggested(h.member, h.path+"/suggestions?list_id="+list)); diff != "" {
		t.Errorf("but for what is on the list: %s", diff)
	}
	h.add(t, h.admin, h.granted, "Caf\u00e9") // a word is the same however its accents are written
	h.add(t, h.admin, h.granted, "Cafe\u0301")
	if uses := strings1(t, h.db.Owner, `SELECT uses::text FROM grocery.item_uses WHERE family_id = $1 AND name_key LIKE 'caf%'`, h.id); !cmp.Equal([]string{"2"}, uses) {
		t.Errorf("uses of one word: %v", uses)
	}
	h.add(t, h.member, list, "Cafe\u0301")
	if got := suggested(h.member, h.path+"/suggestions?q=caf&list_id="+list); got != "" {
		t.Errorf("on the list by other letters: %s", got)
	}
	h.want(t, 200, h.member, "GET", h.path+"/favourites", nil)
	h.want(t, 400, h.member, "GET", h.path+"/suggestions?list_id=x", nil)
	h.want(t, 403, h.guest, "GET", h.path+"/suggestions", nil)
	h.want(t, 204, h.member, "DELETE", h.path+"/favourites/"+favourite, nil, "If-Match", "*")
	h.want(t, 404, h.member, "DELETE", h.path+"/favourites/"+favourite, nil)
}
