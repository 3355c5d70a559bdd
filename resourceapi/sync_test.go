package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"larder/internal/id"
)

// syncItem is what the tests look at of an item.
type syncItem struct {
	ID       string   `json:"id"`
	ListID   string   `json:"list_id"`
	Name     string   `json:"name"`
	Quantity *float64 `json:"quantity"`
	Note     string   `json:"note"`
	Checked  bool     `json:"checked"`
	Position float64  `json:"position"`
	Version  int64    `json:"version"`
}

type syncResult struct {
	OperationID string    `json:"operation_id"`
	Status      string    `json:"status"`
	Conflicts   []string  `json:"conflicts"`
	Current     *syncItem `json:"current"`
	Replayed    bool      `json:"replayed"`
	Error       *struct {
		Status int    `json:"status"`
		Code   string `json:"code"`
	} `json:"error"`
}

type syncAnswer struct {
	Results []syncResult `json:"results"`
	Cursor  string       `json:"cursor"`
	Reset   bool         `json:"reset"`
	More    bool         `json:"more"`
	Lists   []struct {
		ID, Name string
	} `json:"lists"`
	Items   []syncItem `json:"items"`
	Removed struct {
		Lists, Items []string
	} `json:"removed"`
}

type op map[string]any

// change makes an edit of one member.
func change(base, value any) map[string]any { return map[string]any{"base": base, "value": value} }

func (h *household) sync(t testing.TB, c caller, cursor string, ops ...op) syncAnswer {
	t.Helper()
	for _, o := range ops {
		if o["operation_id"] == nil {
			o["operation_id"] = id.New().String()
		}
		if o["list_id"] == nil {
			o["list_id"] = h.shared
		}
	}
	var got syncAnswer
	h.want(t, 200, c, "POST", h.path+"/sync", map[string]any{"cursor": cursor, "operations": ops}).into(t, &got)
	if len(got.Results) != len(ops) {
		t.Fatalf("%d results for %d operations", len(got.Results), len(ops))
	}
	return got
}

// one sends one operation and returns what became of it.
func (h *household) one(t testing.TB, c caller, o op) syncResult {
	t.Helper()
	return h.sync(t, c, "", o).Results[0]
}

func (r syncResult) is(t testing.TB, status string, conflicts ...string) syncResult {
	t.Helper()
	if r.Status != status || !slices.Equal(r.Conflicts, conflicts) {
		t.Errorf("got %+v, want %s %v", r, status, conflicts)
	}
	return r
}

func TestWhatWasDoneOfflineIsAppliedMergedOrReported(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	path := h.items(h.shared) + "/" + h.item
	edit := func(version int, fields map[string]any) op {
		return op{"op": "item.edit", "item_id": h.item, "version": version, "fields": fields}
	}
	made := id.New().String()
	added := h.one(t, h.member, op{"op": "item.add", "item_id": made, "fields": map[string]any{
		"name": change("", " Bread "), "quantity": change(nil, 2), "unit": change("", "loaves"),
	}}).is(t, "applied")
	if added.Current == nil || added.Current.Name != "Bread" || *added.Current.Quantity != 2 || added.Current.Version != 1 {
		t.Errorf("the item that was added: %+v", added.Current)
	}
	h.one(t, h.member, edit(1, map[string]any{"note": change("", "fresh")})).is(t, "applied")
	// Somebody else changed another member: both changes stand.
	merged := h.one(t, h.admin, edit(1, map[string]any{"name": change("Milk", "Oat milk")})).is(t, "merged")
	if merged.Current.Name != "Oat milk" || merged.Current.Note != "fresh" {
		t.Errorf("merged into %+v", merged.Current)
	}
	// The same member: what is there stays and is shown, the rest is done.
	conflict := h.one(t, h.member, edit(2, map[string]any{"name": change("Milk", "Soy milk"), "quantity": change(nil, 3)})).is(t, "conflict", "name")
	if conflict.Current.Name != "Oat milk" || *conflict.Current.Quantity != 3 {
		t.Errorf("after the conflict: %+v", conflict.Current)
	}
	// Both wanted the same.
	h.one(t, h.member, edit(0, map[string]any{"name": change("Milk", "Oat milk")})).is(t, "applied")
	version := conflict.Current.Version

	h.one(t, h.member, op{"op": "item.check", "item_id": h.item}).is(t, "applied")
	h.one(t, h.admin, op{"op": "item.check", "item_id": h.item}).is(t, "applied")
	kept := h.one(t, h.admin, op{"op": "item.remove", "item_id": h.item, "version": version}).is(t, "conflict")
	if kept.Current == nil || !kept.Current.Checked {
		t.Errorf("an item that was checked meanwhile is removed unseen: %+v", kept.Current)
	}
	h.one(t, h.admin, op{"op": "item.uncheck", "item_id": h.item}).is(t, "applied")
	moved := h.one(t, h.admin, op{"op": "item.move", "item_id": h.item, "after": made}).is(t, "applied")
	if moved.Current.Position <= added.Current.Position {
		t.Errorf("moved to %v, behind %v", moved.Current.Position, added.Current.Position)
	}
	h.one(t, h.admin, op{"op": "item.move", "item_id": h.item, "after": id.New().String()}).is(t, "conflict", "after")
	h.one(t, h.member, op{"op": "item.remove", "item_id": h.item}).is(t, "applied")
	h.want(t, 404, h.admin, "GET", path, nil)
	h.one(t, h.admin, op{"op": "item.remove", "item_id": h.item}).is(t, "applied")
	for _, late := range []op{edit(3, map[string]any{"name": change("Oat milk", "x")}), {"op": "item.check", "item_id": h.item}, {"op": "item.move", "item_id": h.item, "after": nil}} {
		if gone := h.one(t, h.admin, late).is(t, "conflict"); gone.Current != nil {
			t.Errorf("what was removed is shown: %+v", gone.Current)
		}
	}
}

func TestAnOperationThatIsSentAgainIsDoneOnce(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	item := id.New().String()
	add := op{"operation_id": id.New().String(), "op": "item.add", "item_id": item, "fields": map[string]any{"name": change("", "Eggs")}}
	edit := op{"operation_id": id.New().String(), "op": "item.edit", "item_id": item, "fields": map[string]any{"name": change("Eggs", "Six eggs")}}
	statuses := together(8, func(int) int {
		return h.do(t, h.admin, "POST", h.path+"/sync", map[string]any{"operations": []op{
			{"operation_id": add["operation_id"], "op": "item.add", "item_id": item, "list_id": h.shared, "fields": add["fields"]},
		}}).status
	})
	if statuses[200] != 8 {
		t.Errorf("eight at once: %v", statuses)
	}
	h.one(t, h.admin, edit).is(t, "applied")
	// Another removes it; the client did not hear and sends everything again.
	h.want(t, 204, h.member, "DELETE", h.items(h.shared)+"/"+item, nil)
	again := h.sync(t, h.admin, "", op{"operation_id": add["operation_id"], "op": "item.add", "item_id": item, "fields": add["fields"]}, edit)
	for _, r := range again.Results {
		if r.is(t, "applied"); !r.Replayed || r.Current != nil {
			t.Errorf("sent again: %+v", r)
		}
	}
	h.want(t, 404, h.admin, "GET", h.items(h.shared)+"/"+item, nil) // it has not come back
	var events int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM grocery.change_feed WHERE entity_id = $1`, item).Scan(&events); err != nil || events != 3 {
		t.Errorf("%d changes were told of, %v; want 3", events, err)
	}
	reused := h.one(t, h.admin, op{"operation_id": add["operation_id"], "op": "item.check", "item_id": h.item}).is(t, "rejected")
	if reused.Error.Code != "operation_id_reused" || reused.Error.Status != 409 {
		t.Errorf("an id of another operation: %+v", reused.Error)
	}
	// Ids are the client's own: another caller may have the same.
	h.one(t, h.member, op{"operation_id": add["operation_id"], "op": "item.check", "item_id": h.item}).is(t, "applied")
}

func TestSyncRejectsOneByOneAndSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	name := map[string]any{"name": change("", "x")}
	for what, c := range map[string]struct {
		who    caller
		o      op
		status int
		code   string
	}{
		"guest may not add":        {h.guest, op{"op": "item.add", "item_id": id.New(), "list_id": h.granted, "fields": name}, 403, "default_deny"},
		"guest's hidden list":      {h.guest, op{"op": "item.check", "item_id": h.item}, 404, ""},
		"another's personal list":  {h.member, op{"op": "item.add", "item_id": id.New(), "list_id": h.private, "fields": name}, 404, ""},
		"another's personal item":  {h.member, op{"op": "item.remove", "item_id": h.secretItem, "list_id": h.private}, 404, ""},
		"no such list":             {h.admin, op{"op": "item.add", "item_id": id.New(), "list_id": id.New(), "fields": name}, 404, ""},
		"id of another list":       {h.admin, op{"op": "item.add", "item_id": h.grantedItem, "fields": name}, 409, ""},
		"id of another's item":     {h.member, op{"op": "item.add", "item_id": h.item, "fields": name}, 409, "id_taken"},
		"no name":                  {h.admin, op{"op": "item.add", "item_id": id.New()}, 400, ""},
		"empty name":               {h.admin, op{"op": "item.edit", "item_id": h.item, "fields": map[string]any{"name": change("Milk", " ")}}, 400, ""},
		"quantity":                 {h.admin, op{"op": "item.edit", "item_id": h.item, "fields": map[string]any{"quantity": change(nil, -1)}}, 400, ""},
		"unknown member":           {h.admin, op{"op": "item.edit", "item_id": h.item, "owner_id": "x"}, 400, ""},
		"unknown field":            {h.admin, op{"op": "item.edit", "item_id": h.item, "fields": map[string]any{"version": change(1, 2)}}, 400, ""},
		"unknown op of items":      {h.admin, op{"op": "item.eat", "item_id": h.item}, 400, ""},
		"unknown op":               {h.admin, op{"op": "member.remove", "item_id": h.item}, 400, ""},
		"move to nowhere":          {h.admin, op{"op": "item.move", "item_id": h.item}, 400, ""},
		"no item":                  {h.admin, op{"op": "item.check"}, 400, ""},
		"scope for reading only":   {h.scoped("bob", "lists:read"), op{"op": "item.check", "item_id": h.item}, 403, "insufficient_scope"},
		"a guest's verb not given": {h.guest, op{"op": "item.remove", "list_id": h.granted, "item_id": h.grantedItem}, 403, "default_deny"},
	} {
		r := h.one(t, c.who, c.o).is(t, "rejected")
		if r.Error == nil || r.Error.Status != c.status || c.code != "" && r.Error.Code != c.code {
			t.Errorf("%s: %+v", what, r.Error)
		}
	}
	h.one(t, h.guest, op{"op": "item.check", "list_id": h.granted, "item_id": h.grantedItem}).is(t, "applied")
	h.want(t, 403, h.scoped("ann", "lists:write"), "POST", h.path+"/sync", map[string]any{"operations": []op{{"operation_id": id.New(), "op": "item.check", "list_id": h.shared, "item_id": h.item}}})
	if got := h.want(t, 200, h.admin, "GET", h.items(h.shared)+"/"+h.item, nil); strings.Contains(string(got.body), `"checked":true`) {
		t.Error("a request that was refused changed something")
	}
	for _, body := range []any{
		`{"cursor":"x"}`, `{"operations":[1]}`, `{"operations":[{"op":"item.check"}]}`, `{"operations":{}}`, `{"more":1}`,
		map[string]any{"operations": make([]op, 101)},
		`{"operations":[{"operation_id":"x","op":"item.check"}]}`,
	} {
		h.want(t, 400, h.admin, "POST", h.path+"/sync", body)
	}
}

func TestSyncBringsWhatOthersDid(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.settle(t)
	first := h.sync(t, h.member, "")
	if !first.Reset || first.Cursor == "" || len(first.Items) != 0 {
		t.Errorf("the first answer: %+v", first)
	}
	item := h.add(t, h.admin, h.shared, "Rice")
	h.want(t, 204, h.admin, "DELETE", h.items(h.shared)+"/"+h.item, nil)
	h.add(t, h.admin, h.private, "Ring")
	list := h.list(t, h.admin, "Barbecue", "shared")
	h.want(t, 204, h.admin, "DELETE", h.path+"/lists/"+h.granted, nil, "If-Match", "*")
	h.settle(t)
	got := h.sync(t, h.member, first.Cursor)
	if got.Reset || got.More || len(got.Items) != 1 || got.Items[0].ID != item || len(got.Lists) != 1 || got.Lists[0].ID != list {
		t.Errorf("what is there: %+v", got)
	}
	if diff := cmp.Diff([][]string{{h.item}, {h.granted}}, [][]string{got.Removed.Items, got.Removed.Lists}); diff != "" {
		t.Errorf("what is gone (-want +got):\n%s", diff)
	}
	if again := h.sync(t, h.member, got.Cursor); len(again.Items)+len(again.Lists)+len(again.Removed.Items) != 0 || again.Reset {
		t.Errorf("nothing new: %+v", again)
	}
	if other := h.sync(t, h.admin, got.Cursor); !other.Reset {
		t.Error("a cursor of another's is taken")
	}
}

// device is a client that works offline: a copy of a list, and what it did
// since it last heard from the server.
type device struct {
	h       *household
	who     caller
	list    string
	items   map[string]syncItem // as its user sees them
	pending []op
	cursor  string
}

func (d *device) do(o op) {
	o["operation_id"], o["list_id"] = id.New().String(), d.list
	d.pending = append(d.pending, o)
}

// sync sends what is pending and takes over the answer; with lost set, the
// answer to the first attempt does not arrive.
func (d *device) sync(t *testing.T, lost bool) []syncResult {
	t.Helper()
	if lost {
		d.h.sync(t, d.who, d.cursor, d.pending...)
	}
	answer := d.h.sync(t, d.who, d.cursor, d.pending...)
	d.pending = nil
	results := answer.Results
	for {
		if answer.Reset {
			d.items = d.h.read(t, d.who, d.list)
		}
		for _, i := range answer.Items {
			if i.ListID == d.list {
				d.items[i.ID] = i
			}
		}
		for _, gone := range answer.Removed.Items {
			delete(d.items, gone)
		}
		d.cursor = answer.Cursor
		if !answer.More {
			return results
		}
		answer = d.h.sync(t, d.who, d.cursor)
	}
}

func (h *household) read(t *testing.T, c caller, list string) map[string]syncItem {
	t.Helper()
	all := map[string]syncItem{}
	for next := h.items(list) + "?limit=200"; next != ""; {
		var page struct {
			Items []syncItem
			Next  string
		}
		h.want(t, 200, c, "GET", next, nil).into(t, &page)
		for _, i := range page.Items {
			all[i.ID] = i
		}
		next = page.Next
	}
	return all
}

// TestTwoDevicesConvergeWithNothingLost has two devices edit one list, offline
// and online, and lose answers; a model in plain Go says what the server must
// hold and what each operation must be told.
func TestTwoDevicesConvergeWithNothingLost(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	operations := 0
	statuses := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		list := h.list(t, h.admin, "Shared by two", "shared")
		devices := []*device{{h: h, who: h.admin, list: list}, {h: h, who: h.member, list: list}}
		server := map[string]*syncItem{} // the model
		for _, d := range devices {
			d.sync(t, false)
		}
		for range rapid.IntRange(8, 24).Draw(rt, "steps") {
			d := devices[rapid.IntRange(0, 1).Draw(rt, "device")]
			if rapid.IntRange(0, 3).Draw(rt, "online") == 0 {
				want := expect(server, d.pending)
				operations += len(want)
				for i, got := range d.sync(t, rapid.Bool().Draw(rt, "answer lost")) {
					statuses[got.Status]++
					if got.Status != want[i].Status || !slices.Equal(got.Conflicts, want[i].Conflicts) {
						rt.Fatalf("operation %v: got %s %v, want %s %v", got.OperationID, got.Status, got.Conflicts, want[i].Status, want[i].Conflicts)
					}
				}
				continue
			}
			for range rapid.IntRange(1, 4).Draw(rt, "edits") {
				d.edit(rt)
			}
		}
		for range 2 { // the second time each hears what the other did last
			for _, d := range devices {
				operations += len(expect(server, d.pending))
				d.sync(t, false)
			}
		}
		h.settle(t)
		truth := h.read(t, h.admin, list)
		for i, d := range devices {
			d.sync(t, false)
			if diff := cmp.Diff(truth, d.items); diff != "" {
				rt.Fatalf("device %d differs from the server (-server +device):\n%s", i, diff)
			}
		}
		if diff := cmp.Diff(plain(server), plainOf(truth)); diff != "" {
			rt.Fatalf("the server differs from the model (-model +server):\n%s", diff)
		}
	})
	t.Logf("%d operations: %v", operations, statuses)
	if operations < 1000 || statuses["conflict"] == 0 || statuses["applied"] == 0 {
		t.Errorf("too thin: %d operations, %v", operations, statuses)
	}
}

// edit does something to the device's own copy.
func (d *device) edit(rt *rapid.T) {
	ids := make([]string, 0, len(d.items))
	for i := range d.items {
		ids = append(ids, i)
	}
	sort.Strings(ids)
	if len(ids) == 0 || rapid.IntRange(0, 4).Draw(rt, "add") == 0 {
		made, name := id.New().String(), fmt.Sprintf("thing %d", rapid.IntRange(0, 9).Draw(rt, "name"))
		d.items[made] = syncItem{ID: made, Name: name}
		d.do(op{"op": "item.add", "item_id": made, "fields": map[string]any{"name": change("", name)}})
		return
	}
	i := d.items[rapid.SampledFrom(ids).Draw(rt, "item")]
	text := fmt.Sprintf("v%d", rapid.IntRange(0, 99).Draw(rt, "value"))
	switch rapid.IntRange(0, 4).Draw(rt, "what") {
	case 0:
		d.do(op{"op": "item.edit", "item_id": i.ID, "fields": map[string]any{"name": change(i.Name, text)}})
		i.Name = text
	case 1:
		d.do(op{"op": "item.edit", "item_id": i.ID, "fields": map[string]any{"note": change(i.Note, text), "name": change(i.Name, "n"+text)}})
		i.Note, i.Name = text, "n"+text
	case 2:
		i.Checked = !i.Checked
		d.do(op{"op": map[bool]string{true: "item.check", false: "item.uncheck"}[i.Checked], "item_id": i.ID})
	case 3:
		quantity := float64(len(text)) + 0.5
		d.do(op{"op": "item.edit", "item_id": i.ID, "fields": map[string]any{"quantity": change(i.Quantity, quantity)}})
		i.Quantity = &quantity
	case 4:
		d.do(op{"op": "item.remove", "item_id": i.ID})
		delete(d.items, i.ID)
		return
	}
	d.items[i.ID] = i
}

// expect carries the operations out on the model and says what each must be
// told.
func expect(server map[string]*syncItem, ops []op) []syncResult {
	var results []syncResult
	for _, o := range ops {
		item, _ := o["item_id"].(string)
		there := server[item]
		r := syncResult{Status: "applied"}
		switch kind := o["op"]; {
		case kind == "item.add":
			server[item] = &syncItem{ID: item, Name: value(o, "name", "value").(string)} //nolint:errcheck,forcetypeassert // the test made it
		case kind == "item.remove":
			delete(server, item)
		case there == nil:
			r.Status = "conflict"
		case kind == "item.check":
			there.Checked = true
		case kind == "item.uncheck":
			there.Checked = false
		default:
			for _, member := range []string{"name", "note", "quantity"} {
				if want := value(o, member, "value"); want != nil && !there.set(member, value(o, member, "base"), want) {
					r.Status, r.Conflicts = "conflict", append(r.Conflicts, member)
				}
			}
		}
		results = append(results, r)
	}
	return results
}

func value(o op, member, which string) any {
	fields, _ := o["fields"].(map[string]any)
	edit, _ := fields[member].(map[string]any)
	return edit[which]
}

// set is the rule of a merge, once more: false for a conflict.
func (i *syncItem) set(member string, base, want any) bool {
	asJSON := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return string(raw)
	}
	now := map[string]string{"name": asJSON(i.Name), "note": asJSON(i.Note), "quantity": asJSON(i.Quantity)}[member]
	if now != asJSON(want) && now != asJSON(base) {
		return false
	}
	switch v := want.(type) {
	case float64:
		i.Quantity = &v
	case string:
		if member == "name" {
			i.Name = v
		} else {
			i.Note = v
		}
	}
	return true
}

// plain leaves out what the model does not know: places and versions.
func plain(items map[string]*syncItem) map[string]syncItem {
	all := map[string]syncItem{}
	for i, item := range items {
		all[i] = *item
	}
	return plainOf(all)
}

func plainOf(items map[string]syncItem) map[string]syncItem {
	all := map[string]syncItem{}
	for i, item := range items {
		item.Position, item.Version, item.ListID = 0, 0, ""
		all[i] = item
	}
	return all
}
