package main

import (
	"slices"
	"strings"
	"testing"

	"larder/internal/id"
)

func TestAMemberIsChangedAsHeWasSeen(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	bob := h.path + "/members/bob"
	h.want(t, 412, h.admin, "PATCH", bob, map[string]any{"display_name": "Ben"}, "If-Match", `"7"`)
	changed := h.want(t, 200, h.admin, "PATCH", bob, map[string]any{"display_name": "Ben"}, "If-Match", `"1"`)
	h.want(t, 412, h.admin, "DELETE", bob, nil, "If-Match", `"1"`)
	h.want(t, 204, h.admin, "DELETE", bob, nil, "If-Match", changed.header.Get("ETag"))
}

func TestAFamilysSettingsTakeEffect(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	prices, item := h.path+"/stores/"+h.store+"/prices", h.items(h.shared)+"/"+h.item
	bread := map[string]any{"name": "Bread", "amount": 299}
	h.want(t, 400, h.member, "POST", prices, bread) // in which currency?
	made := h.want(t, 200, h.admin, "GET", h.path, nil)
	if !strings.Contains(string(made.body), `"currency":"","history_days":90`) {
		t.Errorf("a new family: %s", made.body)
	}
	for _, bad := range []map[string]any{{"currency": "euro"}, {"currency": "eur"}, {"history_days": 0}, {"history_days": 366}, {"history_days": nil}} {
		h.want(t, 400, h.admin, "PATCH", h.path, bad)
	}
	founded := map[string]any{"name": "Elsewhere", "timezone": "Asia/Tokyo", "currency": "JPY", "history_days": 7}
	if got := h.want(t, 201, h.alien, "POST", "/v1/families", founded); !strings.Contains(string(got.body), `"timezone":"Asia/Tokyo","currency":"JPY","history_days":7`) {
		t.Errorf("a family that was founded with settings: %s", got.body)
	}
	for _, bad := range []map[string]any{{}, {"name": "E", "currency": "yen"}, {"name": "E", "history_days": 0}, {"name": "E", "timezone": "Local"}} {
		h.want(t, 400, h.alien, "POST", "/v1/families", bad)
	}
	settings := map[string]any{"currency": "EUR", "history_days": 2}
	h.refused(t, 403, "default_deny", h.member, "PATCH", h.path, settings)
	h.want(t, 412, h.admin, "PATCH", h.path, settings, "If-Match", `"7"`)
	set := h.want(t, 200, h.admin, "PATCH", h.path, settings, "If-Match", made.header.Get("ETag"))
	if kept := h.want(t, 200, h.admin, "GET", h.path, nil); string(kept.body) != string(set.body) || !strings.Contains(string(kept.body), `"currency":"EUR","history_days":2`) {
		t.Errorf("set %s, kept %s", set.body, kept.body)
	}
	if events := h.events(t); !slices.Contains(events, "family.updated") {
		t.Errorf("the feed tells of no change: %v", events)
	}
	if audit := h.want(t, 200, h.admin, "GET", h.path+"/audit?action=family.updated", nil); !strings.Contains(string(audit.body), `"history_days":2`) {
		t.Errorf("the audit log does not say what was changed: %s", audit.body)
	}
	if file := h.want(t, 200, h.admin, "GET", h.path+"/export", nil); !strings.Contains(string(file.body), `"EUR"`) {
		t.Error("the settings are not exported")
	}

	if got := h.want(t, 201, h.member, "POST", prices, bread).field(t, "currency"); got != "EUR" {
		t.Errorf("bread costs %s", got)
	}
	if got := h.want(t, 201, h.member, "POST", prices, map[string]any{"name": "Bread", "amount": 9, "currency": "PLN"}).field(t, "currency"); got != "PLN" {
		t.Errorf("what is said counts for nothing: %s", got)
	}

	remembered := func() int {
		var past struct{ History []struct{ Name string } }
		h.want(t, 200, h.member, "GET", item+"/history", nil).into(t, &past)
		return len(past.History)
	}
	h.want(t, 200, h.member, "PATCH", item, map[string]any{"note": "fresh"})
	h.want(t, 200, h.member, "PATCH", item, map[string]any{"note": "sour"})
	h.exec(t, `UPDATE grocery.item_history SET changed_at = now() - interval '3 days' WHERE family_id = $1 AND seq = (SELECT min(seq) FROM grocery.item_history WHERE family_id = $1)`, h.id)
	if n := remembered(); n != 1 {
		t.Errorf("%d changes are remembered for two days", n)
	}
	h.want(t, 200, h.admin, "PATCH", h.path, map[string]any{"history_days": 4})
	if n := remembered(); n != 2 {
		t.Errorf("%d changes are remembered for four days", n)
	}

	// What is too old goes with the changes to come.
	h.want(t, 200, h.admin, "PATCH", h.path, map[string]any{"history_days": 2})
	old := func() (n int) {
		if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM grocery.item_history WHERE family_id = $1 AND changed_at < now() - interval '2 days'`, h.id).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for tries := 0; old() > 0; tries++ { // one change in sixteen clears up
		if tries == 1000 {
			t.Fatal("nothing clears the old history away")
		}
		h.want(t, 200, h.member, "PATCH", item, map[string]any{"note": id.New().String()})
	}
}

// TestThingsGoOnTheDefaultList, and elsewhere where that takes none.
func TestThingsGoOnTheDefaultList(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	goes := func(c caller, want string) {
		t.Helper()
		got := h.want(t, 201, c, "POST", h.path+"/items", map[string]any{"text": "2 l milk"})
		if list := got.field(t, "list_id"); list != want || !strings.HasPrefix(got.header.Get("Location"), h.path+"/lists/"+want+"/items/") {
			t.Errorf("it went on %s at %s, want %s", list, got.header.Get("Location"), want)
		}
	}
	set := func(list any) { h.want(t, 200, h.admin, "PATCH", h.path, map[string]any{"default_list_id": list}) }
	goes(h.member, h.shared) // the first one
	set(h.granted)
	goes(h.member, h.granted)
	for _, bad := range []any{id.New(), h.private, 7} {
		h.want(t, 400, h.admin, "PATCH", h.path, map[string]any{"default_list_id": bad})
	}
	h.want(t, 400, h.alien, "POST", "/v1/families", map[string]any{"name": "E", "default_list_id": nil})
	h.want(t, 403, h.guest, "POST", h.path+"/items", map[string]any{"name": "Cake"}) // who sees it may not add there
	if got := h.want(t, 200, h.guest, "GET", h.path, nil); !strings.Contains(string(got.body), `"default_list_id":null`) {
		t.Errorf("a guest is told of %s", got.body)
	}
	if got := h.want(t, 200, h.member, "GET", "/v1/families", nil); !strings.Contains(string(got.body), `"default_list_id":"`+h.granted) {
		t.Errorf("a member is told of %s", got.body)
	}
	h.want(t, 200, h.member, "PATCH", h.path+"/lists/"+h.granted, map[string]any{"archived": true})
	goes(h.member, h.shared)
	passing := h.list(t, h.member, "Passing", "shared")
	set(passing)
	h.want(t, 204, h.admin, "DELETE", h.path+"/lists/"+passing, nil, "If-Match", "*")
	goes(h.member, h.shared)
	h.want(t, 204, h.admin, "DELETE", h.path+"/lists/"+h.shared, nil, "If-Match", "*")
	if got := h.want(t, 409, h.member, "POST", h.path+"/items", map[string]any{"name": "Cake"}).field(t, "code"); got != "no_list" {
		t.Errorf("without any list: %s", got)
	}
	set(h.list(t, h.admin, "Weekly", "shared"))
	h.want(t, 204, h.admin, "DELETE", h.path, nil, "If-Match", "*") // with the list that it names
}
