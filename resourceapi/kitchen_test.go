package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/id"
)

// kitchenResult is what the tests look at of what became of an operation.
type kitchenResult struct {
	Status    string
	Conflicts []string
	Current   map[string]any
	Replayed  bool
	Error     *struct {
		Status int
		Code   string
		Errors []struct{ Pointer string }
	}
}

// kitchenAnswer is what the tests look at of an answer about the kitchen.
type kitchenAnswer struct {
	Results                            []kitchenResult
	Cursor                             string
	Stores, Recipes, Pantry, Recurring []struct{ ID, Name string }
	Favourites                         []struct{ ID, Name string }
	Removed                            map[string][]string
}

func (h *household) syncKitchen(t testing.TB, c caller, cursor string, ops ...op) (got kitchenAnswer) {
	t.Helper()
	for _, o := range ops {
		if o["operation_id"] == nil {
			o["operation_id"] = id.New().String()
		}
	}
	h.want(t, 200, c, "POST", h.path+"/sync", map[string]any{"cursor": cursor, "operations": ops}).into(t, &got)
	return got
}

// TestTheKitchenIsKeptOffline tells one story of each sort of thing: it is added, edited beside another's edit, edited
// against one, and removed.
func TestTheKitchenIsKeptOffline(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	soon := time.Now().AddDate(0, 2, 0).Format(time.DateOnly)
	for _, kind := range []struct {
		noun, path string
		add        map[string]any
		other      map[string]any    // what somebody else changes meanwhile
		beside     map[string]any    // an edit that goes with it
		against    map[string]any    // one that does not, with what does
		conflicts  []string          // its members that do not
		is         map[string]any    // in the end
		bad        map[string]string // values that are refused, and where the fault is said to be
	}{
		{
			"store", "stores",
			map[string]any{"name": change("", " Market "), "aisles": change(nil, []string{"Fruit", "Fish"})},
			map[string]any{"name": "Farmers' market"},
			map[string]any{"aisles": change([]string{"Fruit", "Fish"}, []string{"Fish"}), "only_aisles": change(false, true)},
			map[string]any{"name": change("Market", "Fair"), "only_aisles": change(true, false)},
			[]string{"name"},
			map[string]any{"name": "Farmers' market", "only_aisles": false, "aisles": []any{"Fish"}},
			map[string]string{`{"aisles":{"value":["a",""]}}`: "/fields/aisles/value/1", `{"name":{"value":7}}`: "/fields/name/value", `{"colour":{"value":"red"}}`: "/fields/colour/value"},
		},
		{
			"recipe", "recipes",
			map[string]any{"name": change("", "Soup"), "servings": change(nil, 4), "ingredients": change(nil, []any{map[string]any{"text": "2 l water"}})},
			map[string]any{"servings": 2},
			// What the client knew is compared as it would be kept, and not as it is written.
			map[string]any{"ingredients": change([]any{map[string]any{"text": "2 l water"}}, []any{map[string]any{"text": "1 kg leeks"}})},
			map[string]any{"servings": change(4, 6), "method": change("", "Boil.")},
			[]string{"servings"},
			map[string]any{"servings": 2.0, "method": "Boil."},
			map[string]string{`{"servings":{"value":0}}`: "/fields/servings/value", `{"name":{"value":null}}`: "/fields/name/value"},
		},
		{
			"pantry", "pantry",
			map[string]any{"name": change("", "Flour"), "quantity": change(nil, 1), "unit": change("", "kg")},
			map[string]any{"quantity": 2},
			map[string]any{"minimum": change(nil, 5), "list_id": change(nil, h.shared)},
			map[string]any{"quantity": change(1, 0), "category": change("", "Baking")},
			[]string{"quantity"},
			map[string]any{"quantity": 2.0, "category": "Baking", "minimum": 5.0},
			map[string]string{`{"quantity":{"value":-1}}`: "/fields/quantity/value"},
		},
		{
			"recurring", "recurring",
			map[string]any{"name": change("", "Filter"), "list_id": change(nil, h.shared), "period": change("", "month"), "next_on": change("", soon)},
			map[string]any{"every": 2},
			map[string]any{"note": change("", "size 4")},
			map[string]any{"every": change(1, 3), "quantity": change(nil, 1)},
			[]string{"every"},
			map[string]any{"every": 2.0, "quantity": 1.0, "note": "size 4", "next_on": soon},
			map[string]string{`{"period":{"value":"hour"}}`: "/fields/period/value", `{"next_on":{"base":"` + soon + `","value":"2001-01-01"}}`: "/next_on"},
		},
		{
			"favourite", "favourites",
			map[string]any{"name": change("", "Bread"), "unit": change("", "loaves")},
			map[string]any{"quantity": 2},
			map[string]any{"category": change("", "Bakery")},
			map[string]any{"quantity": change(1, 3), "name": change("Bread", "Rye bread")},
			[]string{"quantity"},
			map[string]any{"quantity": 2.0, "name": "Rye bread", "unit": "loaves", "category": "Bakery"},
			map[string]string{`{"quantity":{"value":0}}`: "/fields/quantity/value"},
		},
	} {
		t.Run(kind.noun, func(t *testing.T) {
			t.Parallel()
			thing := id.New().String()
			at := h.path + "/" + kind.path + "/" + thing
			op1 := func(verb string, version int, fields map[string]any) op {
				return op{"op": kind.noun + "." + verb, "id": thing, "version": version, "fields": fields}
			}
			add := op1("add", 0, kind.add)
			first := h.syncKitchen(t, h.member, "", add).Results[0]
			again := h.syncKitchen(t, h.member, "", add).Results[0]
			if first.Status != "applied" || first.Current["id"] != thing || first.Replayed || !again.Replayed || again.Current["version"] != 1.0 {
				t.Fatalf("added: %+v, again: %+v", first, again)
			}
			if got := h.syncKitchen(t, h.admin, "", op1("add", 0, kind.add)).Results[0]; got.Error == nil || got.Error.Code != "id_taken" {
				t.Errorf("another's id: %+v", got)
			}
			h.want(t, 200, h.admin, "PATCH", at, kind.other)
			if got := h.syncKitchen(t, h.member, "", op1("edit", 1, kind.beside)).Results[0]; got.Status != "merged" {
				t.Errorf("beside: %+v", got)
			}
			against := h.syncKitchen(t, h.member, "", op1("edit", 0, kind.against)).Results[0]
			if diff := cmp.Diff(kind.conflicts, against.Conflicts); diff != "" || against.Status != "conflict" {
				t.Errorf("against: %+v (-want +got):\n%s", against, diff)
			}
			var now map[string]any
			h.want(t, 200, h.admin, "GET", at, nil).into(t, &now)
			delete(now, "permissions") // which depend on who asks
			for name, want := range kind.is {
				if diff := cmp.Diff(want, now[name]); diff != "" {
					t.Errorf("%s in the end (-want +got):\n%s", name, diff)
				}
			}
			if diff := cmp.Diff(now, against.Current); diff != "" {
				t.Errorf("what is there (-), and what the client was shown (+):\n%s", diff)
			}
			for fields, pointer := range kind.bad {
				bad := op1("edit", 0, nil)
				bad["fields"] = json.RawMessage(fields)
				got := h.syncKitchen(t, h.member, "", bad).Results[0]
				if got.Error == nil || got.Error.Status != 400 || len(got.Error.Errors) != 1 || got.Error.Errors[0].Pointer != pointer {
					t.Errorf("%s: %+v, want a fault at %s", fields, got.Error, pointer)
				}
			}
			for who, c := range map[string]caller{"guest": h.guest, "reader": h.scoped("bob", "lists:read")} {
				if got := h.syncKitchen(t, c, "", op1("remove", 0, nil)).Results[0]; got.Error == nil || got.Error.Status != 403 {
					t.Errorf("the %s: %+v", who, got)
				}
			}
			for _, step := range []struct {
				version int
				status  string
			}{{1, "conflict"}, {0, "applied"}, {0, "applied"}} {
				if got := h.syncKitchen(t, h.admin, "", op1("remove", step.version, nil)).Results[0]; got.Status != step.status {
					t.Errorf("removed: %+v, want %s", got, step.status)
				}
			}
			if got := h.syncKitchen(t, h.admin, "", op1("edit", 0, kind.beside)).Results[0]; got.Status != "conflict" || got.Current != nil {
				t.Errorf("edited when gone: %+v", got)
			}
			h.want(t, 404, h.admin, "GET", at, nil)
			for _, odd := range []op{{"op": kind.noun + ".eat", "id": thing}, {"op": kind.noun + ".edit"}, {"op": kind.noun + ".add", "id": id.New().String()}} {
				if got := h.syncKitchen(t, h.admin, "", odd).Results[0]; got.Error == nil || got.Error.Status != 400 {
					t.Errorf("%v: %+v", odd, got)
				}
			}
		})
	}
}

func TestSyncBringsTheKitchen(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.settle(t)
	before, guests := h.syncKitchen(t, h.member, ""), h.syncKitchen(t, h.guest, "")
	h.want(t, 200, h.admin, "PATCH", h.path+"/stores/"+h.store, map[string]any{"name": "Bazaar"})
	h.want(t, 201, h.admin, "POST", h.path+"/stores/"+h.store+"/prices", map[string]any{"name": "Milk", "amount": 99, "currency": "EUR"})
	h.want(t, 204, h.admin, "DELETE", h.path+"/recipes/"+h.recipe, nil, "If-Match", "*")
	h.want(t, 200, h.admin, "PATCH", h.path+"/pantry/"+h.stock, map[string]any{"quantity": 4})
	h.want(t, 201, h.admin, "POST", h.path+"/favourites", map[string]any{"name": "Tea"})
	// The clock moves what recurs, and those who follow hear of it.
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.recurring SET next_at = now() - interval '1 minute' WHERE family_id = $1`, h.id); err != nil {
		t.Fatal(err)
	}
	h.orders.Look(t.Context())
	h.settle(t)
	got := h.syncKitchen(t, h.member, before.Cursor)
	var names []string
	for _, things := range [][]struct{ ID, Name string }{got.Stores, got.Recipes, got.Pantry, got.Recurring, got.Favourites} {
		for _, one := range things {
			names = append(names, one.Name)
		}
	}
	if diff := cmp.Diff([]string{"Bazaar", "Rice", "Bread", "Tea"}, names); diff != "" {
		t.Errorf("what changed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]string{"lists": {}, "items": {}, "stores": {}, "recipes": {h.recipe}, "pantry": {}, "recurring": {}, "favourites": {}}, got.Removed); diff != "" {
		t.Errorf("what is gone (-want +got):\n%s", diff)
	}
	raw := string(h.want(t, 200, h.guest, "POST", h.path+"/sync", map[string]any{"cursor": guests.Cursor}).body)
	if slices.ContainsFunc([]string{"Bazaar", "Rice", "Tea", h.recipe}, func(s string) bool { return strings.Contains(raw, s) }) {
		t.Errorf("a guest is told of the kitchen: %s", raw)
	}
}

// TestAFavouriteIsThereOnce has two phones make the same thing a favourite, each by an id of its own.
func TestAFavouriteIsThereOnce(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	favour := func(name string) op {
		return op{"operation_id": id.New().String(), "op": "favourite.add", "id": id.New().String(), "fields": map[string]any{"name": change("", name)}}
	}
	first := h.syncKitchen(t, h.member, "", favour("Oat milk")).Results[0]
	second := favour(" oat  MILK")
	for range 2 { // the answer to the first attempt was lost
		got := h.syncKitchen(t, h.admin, "", second).Results[0]
		if got.Status != "merged" || first.Status != "applied" || got.Current["id"] != first.Current["id"] {
			t.Errorf("the second of a name: %+v, the first: %+v", got, first)
		}
	}
	tea := h.syncKitchen(t, h.member, "", favour("Tea")).Results[0].Current
	rename := op{"op": "favourite.edit", "id": tea["id"], "fields": map[string]any{"name": change("Tea", "Oat milk")}}
	if got := h.syncKitchen(t, h.member, "", rename).Results[0]; got.Error == nil || got.Error.Status != 409 {
		t.Errorf("renamed to one that is there: %+v", got)
	}
	together(4, func(n int) int { // whoever wins the race, there is one
		c := h.member
		if n%2 == 0 {
			c = h.admin
		}
		got := h.syncKitchen(t, c, "", favour("Salt")).Results[0]
		if got.Current["name"] != "Salt" {
			t.Errorf("in a race: %+v", got)
		}
		return n
	})
	var all struct{ Favourites []struct{ Name string } }
	h.want(t, 200, h.member, "GET", h.path+"/favourites", nil).into(t, &all)
	if diff := cmp.Diff([]struct{ Name string }{{"Honey"}, {"Oat milk"}, {"Salt"}, {"Tea"}}, all.Favourites); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
}
