package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/internal/id"
	"larder/resourceapi/policy"
)

func TestOthersSeeWhatToAvoidAndNotWhose(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	diet := h.path + "/diet"
	if got := h.want(t, 200, h.member, "GET", diet, nil); !strings.Contains(string(got.body), `"avoid":[]`) {
		t.Errorf("before anything is said: %s", got)
	}
	made := h.want(t, 200, h.member, "PUT", diet, map[string]any{"avoid": []string{"nuts", "nuts"}, "also": []string{"Coriander"}})
	h.want(t, 200, h.guest, "PUT", diet, map[string]any{"avoid": []string{"milk"}})
	h.want(t, 412, h.member, "PUT", diet, map[string]any{}, "If-Match", `"7"`)
	h.want(t, 412, h.member, "DELETE", diet, nil, "If-Match", `"7"`)
	h.want(t, 200, h.member, "PUT", diet, map[string]any{"avoid": []string{"nuts"}, "also": []string{"coriander"}}, "If-Match", made.header.Get("ETag"))
	for name, body := range map[string]map[string]any{
		"no allergen": {"avoid": []string{"carbs"}}, "no letters": {"also": []string{"--"}}, "another's": {"user_id": "ann"},
	} {
		if got := h.do(t, h.member, "PUT", diet, body); got.status != 400 {
			t.Errorf("%s: got %s", name, got)
		}
	}
	for _, name := range []string{"Hazelnut cream", "coriander", "Apples"} {
		h.add(t, h.admin, h.granted, name)
	}
	var first []byte
	for name, c := range map[string]caller{"admin": h.admin, "member": h.member, "guest": h.guest} {
		got := h.want(t, 200, c, "GET", h.path+"/lists/"+h.granted+"/warnings", nil)
		var all struct{ Warnings []struct{ Text string } }
		got.into(t, &all)
		var texts []string
		for _, w := range all.Warnings {
			texts = append(texts, w.Text)
		}
		if diff := cmp.Diff("contains milk: avoid, contains nuts: avoid, contains coriander: avoid", strings.Join(texts, ", ")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if first == nil {
			first = got.body
		}
		if !bytes.Equal(first, got.body) || strings.Contains(string(got.body), "bob") || strings.Contains(string(got.body), "gus") {
			t.Errorf("%s is told more: %s", name, got)
		}
	}
	if got := h.want(t, 200, h.admin, "GET", diet, nil); !strings.Contains(string(got.body), `"version":0`) {
		t.Errorf("an admin sees another's: %s", got)
	}
	h.want(t, 404, h.guest, "GET", h.path+"/lists/"+h.shared+"/warnings", nil)
	family, err := id.Parse(h.id)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := h.issuer.APIKey(family, policy.Scopes()...)
	for _, path := range []string{diet, h.path + "/lists/" + h.granted + "/warnings"} { // an empty answer would look like safety
		h.want(t, 403, caller{key}, "GET", path, nil)
	}

	// At rest it is sealed, and for its row alone.
	keys, err := webhookKeys(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	var box []byte
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT avoid FROM grocery.diets WHERE family_id = $1 AND user_id = 'bob'`, h.id).Scan(&box); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open("grocery.diets/avoid/"+h.id+"/gus", box); err == nil || bytes.Contains(box, []byte("nuts")) {
		t.Error("the box is open, or opens at another's place")
	}
	if plain, err := keys.Open("grocery.diets/avoid/"+h.id+"/bob", box); err != nil || !bytes.Contains(plain, []byte("nuts")) {
		t.Errorf("%v in %s", err, plain)
	}
	// Nobody's feed and no webhook hears of it.
	if found := strings1(t, h.db.Owner, `SELECT event FROM grocery.change_feed WHERE event LIKE 'diet.%' AND private_to IS NULL`); len(found) > 0 {
		t.Errorf("public changes: %v", found)
	}
	h.want(t, 204, h.member, "DELETE", diet, nil)
	h.want(t, 200, h.member, "GET", diet, nil)
}
