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
	keys, err := sealingKeys(h.cfg)
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
	h.want(t, 428, h.member, "PUT", diet, map[string]any{"avoid": []string{}})
	h.want(t, 204, h.member, "DELETE", diet, nil, "If-Match", h.want(t, 200, h.member, "GET", diet, nil).header.Get("ETag"))
	h.want(t, 204, h.member, "DELETE", diet, nil) // there is nothing left to be seen
	h.want(t, 200, h.member, "GET", diet, nil)
}

// TestParentsKeepWhatTheirChildrenAvoid follows the record of a child: its admins read and change it, the child itself
// reads it, everybody is warned, and nobody else learns of it.
func TestParentsKeepWhatTheirChildrenAvoid(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	all := h.path + "/children"
	var kept struct {
		ID, Name    string
		Avoid, Also []string
		Version     int
	}
	draft := map[string]any{"id": id.New(), "name": " Mia ", "avoid": []string{"nuts", "nuts"}, "also": []string{"Kiwi"}}
	made := h.want(t, 201, h.admin, "POST", all, draft)
	made.into(t, &kept)
	if kept.Name != "Mia" || strings.Join(kept.Avoid, " ") != "nuts" || strings.Join(kept.Also, " ") != "kiwi" || made.header.Get("Cache-Control") != "no-store" {
		t.Errorf("made: %s", made)
	}
	mia := all + "/" + kept.ID
	if again := h.want(t, 201, h.admin, "POST", all, draft); !bytes.Equal(again.body, made.body) {
		t.Errorf("the same again: %s", again)
	}
	h.want(t, 409, h.admin, "POST", all, map[string]any{"id": kept.ID, "name": "Max"})
	for name, body := range map[string]map[string]any{
		"nameless": {}, "no allergen": {"name": "M", "avoid": []string{"carbs"}}, "not of the family": {"name": "M", "user_id": "zed"},
		"an admin": {"name": "M", "user_id": "ann"}, "no letters": {"name": "M", "also": []string{"--"}},
	} {
		if got := h.do(t, h.admin, "POST", all, body); got.status != 400 {
			t.Errorf("%s: got %s", name, got)
		}
	}

	// It is for admins, signed in themselves, whatever the scopes.
	family, err := id.Parse(h.id)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := h.issuer.APIKey(family, policy.Scopes()...)
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "helper", "scopes": policy.Scopes()})
	for name, c := range map[string]caller{
		"a member": h.member, "a guest": h.guest, "a key": {key}, "an app": {h.issuer.AppToken("helper", policy.Scopes()...)}, "a reader": h.scoped("ann", "family:read"),
	} {
		for _, try := range [][2]string{{"GET", all}, {"GET", mia}, {"PATCH", mia}, {"DELETE", mia}} {
			if got := h.do(t, c, try[0], try[1], map[string]any{}); got.status != 403 {
				t.Errorf("%s: %s %s: got %s", name, try[0], try[1], got)
			}
		}
	}

	// A child with an account sees it in its own diet, and in its own copy.
	h.want(t, 412, h.admin, "PATCH", mia, map[string]any{"user_id": "gus"}, "If-Match", `"7"`)
	h.want(t, 200, h.admin, "PATCH", mia, map[string]any{"user_id": "gus", "avoid": []string{"nuts", "milk"}}, "If-Match", made.header.Get("ETag"))
	h.want(t, 409, h.admin, "POST", all, map[string]any{"name": "Twice", "user_id": "gus"})
	for _, path := range []string{h.path + "/diet", "/v1/me/export"} {
		if got := h.want(t, 200, h.guest, "GET", path, nil); !strings.Contains(string(got.body), `"kept_by_admins":{"avoid":["milk","nuts"],"also":["kiwi"]}`) || strings.Contains(string(got.body), `"children":[{`) {
			t.Errorf("the child's %s: %s", path, got)
		}
	}
	for who, c := range map[string]caller{"Mia": h.admin, "nobody": h.member} {
		if got := h.want(t, 200, c, "GET", "/v1/me/export", nil); strings.Contains(string(got.body), `"name":"Mia"`) != (who == "Mia") {
			t.Errorf("the copy for a parent of %s: %s", who, got)
		}
	}
	h.add(t, h.admin, h.granted, "Walnuts")
	h.add(t, h.admin, h.granted, "Kiwi")
	for _, c := range []caller{h.admin, h.member, h.guest} {
		got := string(h.want(t, 200, c, "GET", h.path+"/lists/"+h.granted+"/warnings", nil).body)
		if !strings.Contains(got, "contains nuts: avoid") || !strings.Contains(got, "contains kiwi: avoid") || strings.Contains(got, "Mia") {
			t.Errorf("warnings: %s", got)
		}
	}

	// At rest it is sealed for its row; no feed tells of it, and the log only who looked and changed.
	var box []byte
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT box FROM grocery.children WHERE family_id = $1 AND id = $2`, h.id, kept.ID).Scan(&box); err != nil || bytes.Contains(box, []byte("Mia")) {
		t.Errorf("in the database: %q, %v", box, err)
	}
	if found := strings1(t, h.db.Owner, `SELECT event FROM grocery.change_feed WHERE event LIKE 'child.%' AND private_to IS NULL`); len(found) > 0 {
		t.Errorf("public changes: %v", found)
	}
	log := string(h.want(t, 200, h.admin, "GET", h.path+"/audit?limit=200", nil).body)
	for _, action := range []string{"child.added", "child.seen", "child.changed"} {
		if !strings.Contains(log, action) {
			t.Errorf("the audit log has no %s", action)
		}
	}
	if strings.Contains(log, "Mia") || strings.Contains(log, "nuts") {
		t.Errorf("the audit log knows too much: %s", log)
	}

	// It goes with the child's membership, or when an admin says so.
	h.want(t, 204, h.admin, "DELETE", h.path+"/members/gus", nil)
	h.want(t, 404, h.admin, "GET", mia, nil)
	h.want(t, 204, h.admin, "DELETE", all+"/"+h.child, nil, "If-Match", "*")
	h.want(t, 404, h.admin, "DELETE", all+"/"+h.child, nil)
	if got := h.want(t, 200, h.admin, "GET", all, nil); string(bytes.TrimSpace(got.body)) != `{"children":[]}` {
		t.Errorf("in the end: %s", got)
	}
}

// Two who add the last child that there is room for at once make one more, who
// must not be left out of the warnings.
func TestOneChildTooManyIsWarnedOfToo(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	all := h.path + "/children"
	extra := h.want(t, 201, h.admin, "POST", all, map[string]any{"name": "Ole"}).field(t, "id")
	var box []byte
	if err := h.db.Owner.QueryRow(t.Context(), `DELETE FROM grocery.children WHERE id = $1 RETURNING box`, extra).Scan(&box); err != nil {
		t.Fatal(err)
	}
	if _, err := h.db.Owner.Exec(t.Context(), `DELETE FROM grocery.children`); err != nil { // that of the household
		t.Fatal(err)
	}
	for n := range 20 {
		child := map[string]any{"name": "Child"}
		if n == 19 {
			child["avoid"] = []string{"nuts"}
		}
		h.want(t, 201, h.admin, "POST", all, child)
	}
	h.want(t, 409, h.admin, "POST", all, map[string]any{"name": "Ole"})
	if _, err := h.db.Owner.Exec(t.Context(), `INSERT INTO grocery.children (family_id, id, box) VALUES ($1, $2, $3)`, h.id, extra, box); err != nil {
		t.Fatal(err)
	}
	if got := h.want(t, 200, h.admin, "GET", all, nil); strings.Count(string(got.body), `"id":`) != 21 {
		t.Errorf("shown: %s", got)
	}
	h.add(t, h.admin, h.granted, "Hazelnut cream")
	if got := h.want(t, 200, h.member, "GET", h.path+"/lists/"+h.granted+"/warnings", nil); !strings.Contains(string(got.body), `"avoid":"nuts"`) {
		t.Errorf("nobody is warned of the last child's nuts: %s", got)
	}
}
