package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// open says what is open on a list, and how much of it.
func (h *household) open(t testing.TB, list string) string {
	t.Helper()
	return strings.Join(strings1(t, h.db.Owner, `SELECT concat_ws(' ', name, quantity::float8, nullif(unit, '')) FROM grocery.items
		WHERE list_id = $1 AND checked_at IS NULL ORDER BY position, id`, list), ", ")
}

func TestPantryFeedsAListWithWhatIsMissing(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	list := h.list(t, h.member, "Stock up", "shared")
	pantry := h.path + "/pantry"
	made := h.want(t, 201, h.member, "POST", pantry, map[string]any{"name": "Flour", "quantity": 5, "unit": "kg", "minimum": 3, "list_id": list})
	path := pantry + "/" + made.field(t, "id")
	for _, step := range []struct {
		quantity float64
		want     string
	}{{3, ""}, {2.5, "Flour 0.5 kg"}, {1, "Flour 2 kg"}, {1, "Flour 2 kg"}, {2, "Flour 2 kg"}, {1.5, "Flour 2.5 kg"}} {
		h.want(t, 200, h.member, "PATCH", path, map[string]any{"quantity": step.quantity})
		if diff := cmp.Diff(step.want, h.open(t, list)); diff != "" {
			t.Errorf("with %v kg: %s", step.quantity, diff)
		}
	}
	h.want(t, 201, h.member, "POST", pantry, map[string]any{"name": "flour", "quantity": 0, "unit": "g", "minimum": 250, "list_id": list})
	if diff := cmp.Diff("Flour 2.75 kg", h.open(t, list)); diff != "" {
		t.Error(diff)
	}
	h.want(t, 200, h.member, "PATCH", h.path+"/lists/"+list, map[string]any{"archived": true})
	archived := h.want(t, 200, h.member, "PATCH", path, map[string]any{"quantity": 0}) // counted all the same
	if got := archived.field(t, "not_fed"); got != "list_archived" {
		t.Errorf("not fed: %s", got)
	}
	full := h.list(t, h.member, "Full", "shared")
	h.exec(t, `INSERT INTO grocery.items (family_id, list_id, id, name, unit, note, category, position, added_by)
		SELECT family_id, id, gen_random_uuid(), 'Item ' || n, '', '', '', n, 'user:ann' FROM grocery.lists, generate_series(1, 2000) n WHERE id = $1`, full)
	sugar := h.want(t, 201, h.member, "POST", pantry, map[string]any{"name": "Sugar", "quantity": 1, "minimum": 2, "list_id": full})
	if got := sugar.field(t, "not_fed"); got != "list_full" {
		t.Errorf("not fed: %s", got)
	}
	changed := h.want(t, 200, h.member, "PATCH", pantry+"/"+sugar.field(t, "id"), map[string]any{"quantity": 0.5})
	if got := changed.field(t, "not_fed"); got != "list_full" || !strings.Contains(string(changed.body), `"quantity":0.5`) {
		t.Errorf("with a full list: %s", changed)
	}
	h.want(t, 200, h.member, "PATCH", pantry+"/"+sugar.field(t, "id"), map[string]any{"name": "Item 7", "quantity": 0}) // what is there may grow
	h.want(t, 400, h.admin, "PATCH", path, map[string]any{"list_id": h.private})
	h.want(t, 404, h.member, "PATCH", path, map[string]any{"list_id": h.private})
	h.want(t, 400, h.member, "POST", pantry, map[string]any{"name": "x", "quantity": -1})
	h.want(t, 412, h.member, "DELETE", path, nil, "If-Match", `"1"`)
	h.want(t, 204, h.member, "DELETE", h.path+"/lists/"+list, nil, "If-Match", "*")
	if got := h.want(t, 200, h.member, "GET", path, nil); !strings.Contains(string(got.body), `"list_id":null`) {
		t.Errorf("feeds a list that is gone: %s", got)
	}
	h.want(t, 200, h.member, "GET", pantry, nil)
	h.want(t, 204, h.member, "DELETE", path, nil, "If-Match", "*")
}

func TestRecipeGoesOnAListAndMeetsWhatIsThere(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	list := h.list(t, h.member, "Dinner", "shared")
	for _, text := range []string{"500 ml Milk", "eggs", "1 kg flour"} {
		h.want(t, 201, h.member, "POST", h.items(list), map[string]any{"text": text})
	}
	done := h.want(t, 201, h.member, "POST", h.items(list), map[string]any{"text": "salt"}).field(t, "id")
	h.want(t, 200, h.member, "PUT", h.items(list)+"/"+done+"/check", nil)
	recipe := h.want(t, 201, h.member, "POST", h.path+"/recipes", map[string]any{"name": "Pancakes", "servings": 4, "ingredients": []any{
		map[string]any{"text": "250 g Flour"},
		map[string]any{"text": "3 eggs"},
		map[string]any{"text": "1/2 l milk"},
		map[string]any{"name": "Salt"},
		map[string]any{"text": "2 tbsp oil"},
		map[string]any{"text": "1 tbsp oil"},
	}}).field(t, "id")
	path := h.path + "/recipes/" + recipe
	h.want(t, 200, h.member, "POST", path+"/shop", map[string]any{"list_id": list, "servings": 8})
	if diff := cmp.Diff("Milk 1500 ml, eggs 6, flour 1.5 kg, Salt, oil 6 tbsp", h.open(t, list)); diff != "" {
		t.Error(diff)
	}
	h.want(t, 200, h.member, "PATCH", path, map[string]any{"servings": 3, "ingredients": []any{map[string]any{"text": "1 lemon"}}})
	h.want(t, 200, h.member, "POST", path+"/shop", map[string]any{"list_id": list, "servings": 1})
	if got := h.open(t, list); !strings.HasSuffix(got, "lemon 0.333") {
		t.Errorf("a third of a lemon: %s", got)
	}
	for name, body := range map[string]map[string]any{
		"no servings":       {"name": "x"},
		"text and a name":   {"name": "x", "servings": 1, "ingredients": []any{map[string]any{"text": "a", "name": "b"}}},
		"nothing":           {"name": "x", "servings": 1, "ingredients": []any{map[string]any{}}},
		"an unknown member": {"name": "x", "servings": 1, "ingredients": []any{map[string]any{"name": "a", "price": 1}}},
	} {
		if got := h.do(t, h.member, "POST", h.path+"/recipes", body); got.status != 400 {
			t.Errorf("%s: got %s", name, got)
		}
	}
	h.want(t, 404, h.member, "POST", path+"/shop", map[string]any{"list_id": h.private})
	h.want(t, 400, h.member, "POST", path+"/shop", map[string]any{})
	h.want(t, 200, h.member, "GET", h.path+"/recipes", nil)
	h.want(t, 304, h.member, "GET", path, nil, "If-None-Match", h.want(t, 200, h.member, "GET", path, nil).header.Get("ETag"))
	h.want(t, 204, h.member, "DELETE", path, nil, "If-Match", "*")
	h.want(t, 404, h.member, "POST", path+"/shop", map[string]any{"list_id": list})
}
