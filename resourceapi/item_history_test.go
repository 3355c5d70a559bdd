package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shown is what an answer says of an item: quantity, unit, name, note.
func shown(t testing.TB, r reply) string {
	t.Helper()
	var i struct {
		Name, Unit, Note string
		Quantity         *float64
		Checked          bool
	}
	r.into(t, &i)
	words := []string{i.Name, i.Unit, i.Note}
	if i.Quantity != nil {
		words = append([]string{strconv.FormatFloat(*i.Quantity, 'f', -1, 64)}, words...)
	}
	if i.Checked {
		words = append(words, "checked")
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}

func TestItemIsReadFromWhatPeopleWrite(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	items := h.items(h.shared)
	for text, want := range map[string]string{"2 l milk": "2 milk l", "1,5 kg flour": "1.5 flour kg", "6x eggs": "6 eggs", "bread": "bread"} {
		if got := shown(t, h.want(t, 201, h.member, "POST", items, map[string]any{"text": text})); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := shown(t, h.want(t, 201, h.member, "POST", items, map[string]any{"text": "2 l milk", "quantity": 3})); got != "3 milk l" {
		t.Errorf("a quantity of its own: got %q", got)
	}
	for name, body := range map[string]map[string]any{
		"text and name":       {"text": "a", "name": "b"},
		"a wrong check digit": {"name": "a", "barcode": "4006381333932"},
		"a script for photo":  {"name": "a", "photo": "javascript:alert(1)"},
		"a plain address":     {"name": "a", "photo": "http://x.test/a.png"},
		"a password in it":    {"name": "a", "photo": "https://a:b@x.test/a.png"},
	} {
		if got := h.do(t, h.member, "POST", items, body); got.status != http.StatusBadRequest {
			t.Errorf("%s: got %s", name, got)
		}
	}
	made := h.want(t, 201, h.member, "POST", items, map[string]any{"name": "Pen", "barcode": "4006381333931", "photo": "https://photos.test/pen.jpg"})
	if made.field(t, "barcode") != "4006381333931" || made.field(t, "photo") != "https://photos.test/pen.jpg" {
		t.Errorf("got %s", made)
	}
}

func TestTheLastChangeOfAnItemIsTakenBack(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	path := h.items(h.shared) + "/" + h.item
	undo := func(want string) {
		t.Helper()
		if got := shown(t, h.want(t, 200, h.member, "POST", path+"/undo", nil)); got != want {
			t.Errorf("undone: got %q, want %q", got, want)
		}
	}
	if got := h.want(t, 409, h.member, "POST", path+"/undo", nil); got.field(t, "code") != "nothing_to_undo" {
		t.Errorf("got %s", got)
	}
	h.want(t, 200, h.admin, "PATCH", path, map[string]any{"name": "Oat milk", "quantity": 2})
	h.want(t, 200, h.admin, "PATCH", path, map[string]any{"after": nil}) // its place does not count
	undo("Milk")
	undo("2 Oat milk")
	h.want(t, 200, h.admin, "PUT", path+"/check", nil)
	undo("2 Oat milk")
	undo("2 Oat milk checked")
	undo("2 Oat milk")
	undo("2 Oat milk checked")
	h.want(t, 200, h.admin, "PATCH", path, map[string]any{"note": "fresh"})
	undo("2 Oat milk checked")
	h.want(t, 412, h.member, "POST", path+"/undo", nil, "If-Match", `"1"`)
	h.want(t, 204, h.admin, "DELETE", path, nil)
	undo("2 Oat milk checked")
	h.want(t, 409, h.member, "POST", path+"/undo", nil)
	h.want(t, 200, h.member, "GET", path, nil)

	var got struct {
		History []struct {
			Name    string
			Removed bool
		}
	}
	h.want(t, 200, h.member, "GET", path+"/history", nil).into(t, &got)
	var names []string
	for _, p := range got.History {
		names = append(names, p.Name)
	}
	if diff := cmp.Diff("Oat milk,Oat milk,Oat milk,Oat milk,Oat milk,Milk,Oat milk,Milk", strings.Join(names, ",")); diff != "" || !got.History[0].Removed {
		t.Errorf("history: %s %+v", diff, got.History)
	}
	// A guest undoes what he might do himself, and no more.
	cake := h.items(h.granted) + "/" + h.grantedItem
	h.want(t, 200, h.guest, "PUT", cake+"/check", nil)
	h.want(t, 200, h.guest, "POST", cake+"/undo", nil)
	h.want(t, 200, h.admin, "PATCH", cake, map[string]any{"note": "with nuts"})
	h.want(t, 403, h.guest, "POST", cake+"/undo", nil)
	h.want(t, 200, h.guest, "GET", cake+"/history", nil)
	h.want(t, 404, h.member, "GET", h.items(h.private)+"/"+h.secretItem+"/history", nil)
	h.want(t, 204, h.admin, "DELETE", cake, nil)
	h.want(t, 403, h.guest, "POST", cake+"/undo", nil)
	h.want(t, 204, h.admin, "DELETE", h.path+"/lists/"+h.granted, nil, "If-Match", "*")
	if left := strings1(t, h.db.Owner, `SELECT name FROM grocery.item_history WHERE list_id = $1`, h.granted); len(left) > 0 {
		t.Errorf("the history outlived its list: %v", left)
	}
}

func TestItemsThatAreTheSameBecomeOne(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	list := h.list(t, h.member, "Doubles", "shared")
	for _, text := range []string{"500 g flour", "milk", "1 kg Flour", "2 l Milk", "1 can flour"} {
		h.want(t, 201, h.member, "POST", h.items(list), map[string]any{"text": text})
	}
	var got struct {
		Items   []struct{ Name string }
		Removed []string
	}
	h.want(t, 200, h.member, "POST", h.path+"/lists/"+list+"/merge", nil).into(t, &got)
	if len(got.Items) != 2 || len(got.Removed) != 2 {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff("flour milk flour", h.names(t, h.member, list, 50)); diff != "" {
		t.Error(diff)
	}
	quantities := strings1(t, h.db.Owner, `SELECT name || ' ' || coalesce(quantity::float8::text, '') || unit FROM grocery.items WHERE list_id = $1 ORDER BY position`, list)
	if diff := cmp.Diff([]string{"flour 1500g", "milk 2l", "flour 1can"}, quantities); diff != "" {
		t.Error(diff)
	}
	h.want(t, 403, h.guest, "POST", h.path+"/lists/"+h.granted+"/merge", nil)
}
