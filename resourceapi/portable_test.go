package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"larder/internal/id"
	thing "larder/internal/shopping"
	"larder/resourceapi/policy"
	"larder/resourceapi/portable"
)

type counts map[string]portable.Count

// imported brings a file in and returns the counts that are not zero.
func (s *service) imported(t testing.TB, c caller, path string, body any, headers ...string) counts {
	t.Helper()
	var got struct{ Counts counts }
	s.want(t, 200, c, "POST", path, body, headers...).into(t, &got)
	maps.DeleteFunc(got.Counts, func(_ string, n portable.Count) bool { return n == portable.Count{} })
	return got.Counts
}

func (s *service) exported(t testing.TB, c caller, family string) *portable.Document {
	t.Helper()
	d := &portable.Document{}
	s.want(t, 200, c, "GET", family+"/export", nil).into(t, d)
	return d
}

func (s *service) family(t testing.TB, c caller) string {
	t.Helper()
	return "/v1/families/" + s.want(t, 201, c, "POST", "/v1/families", map[string]any{"name": "Movers"}).field(t, "id")
}

// sameDocument leaves out who made what, when, and in which family.
func sameDocument(want, got *portable.Document) string {
	return cmp.Diff(want, got, cmpopts.IgnoreFields(portable.Document{}, "ExportedAt", "Family", "Members"),
		cmpopts.IgnoreTypes(portable.Made{}), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(portable.Document{}, portable.Item{}, portable.Recurring{}),
		cmpopts.SortSlices(func(a, b portable.Recurring) bool { return a.ID.String() < b.ID.String() }),
		cmpopts.SortSlices(func(a, b portable.Item) bool {
			return a.ListID != b.ListID && a.ListID.String() < b.ListID.String()
		}),
		cmpopts.SortSlices(func(a, b portable.Store) bool { return a.ID.String() < b.ID.String() }),
		cmpopts.SortSlices(func(a, b portable.Price) bool { return a.ID.String() < b.ID.String() }),
		cmpopts.SortSlices(func(a, b portable.Favourite) bool { return a.ID.String() < b.ID.String() }),
		cmpopts.SortSlices(func(a, b portable.Recipe) bool { return a.ID.String() < b.ID.String() }),
		cmpopts.SortSlices(func(a, b portable.Stock) bool { return a.ID.String() < b.ID.String() }))
}

// TestAFamilyMovesWhole has any family come out of the API as it went in, once
// more do nothing, and its items go through a spreadsheet into another family.
func TestAFamilyMovesWhole(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	ann := s.user("ann")
	rapid.Check(t, func(rt *rapid.T) {
		d := drawDocument(rt)
		first, second := s.family(t, ann), s.family(t, ann)
		s.imported(t, ann, first+"/import", d)
		out := s.exported(t, ann, first)
		if diff := sameDocument(d, out); diff != "" {
			rt.Fatalf("what came out is not what went in (-want +got):\n%s", diff)
		}
		for name, n := range s.imported(t, ann, first+"/import", out) {
			if n.Added != 0 {
				rt.Fatalf("brought in twice, %d %s are new", n.Added, name)
			}
		}
		// As a spreadsheet: items and shared lists, and nothing lost of them.
		sheet := string(s.want(t, 200, ann, "GET", first+"/export.csv", nil).body)
		s.imported(t, ann, second+"/import", sheet, "Content-Type", "text/csv")
		back := s.exported(t, ann, second)
		if diff := cmp.Diff(portable.Document{Items: out.Items, Recurring: out.Recurring}, portable.Document{Items: back.Items, Recurring: back.Recurring},
			cmpopts.IgnoreTypes(portable.Made{}), cmpopts.IgnoreUnexported(portable.Document{}, portable.Item{}, portable.Recurring{})); diff != "" {
			rt.Fatalf("through a spreadsheet (-want +got):\n%s", diff)
		}
	})
}

// drawDocument draws a family. Its items stand in the order of an export.
func drawDocument(rt *rapid.T) *portable.Document {
	text := rapid.Custom(func(rt *rapid.T) string {
		return strings.TrimSpace(rapid.StringOfN(rapid.RuneFrom([]rune("abÄß€漢 =+-@',;\"\n\t%|＝1")), 1, 12, -1).Draw(rt, "text"))
	}).Filter(func(s string) bool { return s != "" })
	amount := rapid.Custom(func(rt *rapid.T) float64 { return float64(rapid.IntRange(1, 99999).Draw(rt, "quantity")) / 8 })
	quantity := rapid.Ptr(amount, true)
	d := &portable.Document{Format: "larder.family", Version: 1}
	for range rapid.IntRange(0, 3).Draw(rt, "lists") {
		l := portable.List{ID: id.New(), Kind: rapid.SampledFrom([]string{"shared", "personal"}).Draw(rt, "kind"), Name: text.Draw(rt, "list")}
		l.Template, l.Archived = rapid.Bool().Draw(rt, "template"), rapid.Bool().Draw(rt, "archived")
		l.DueOn = rapid.Ptr(rapid.Just("2026-11-30"), true).Draw(rt, "due")
		d.Lists = append(d.Lists, l)
		for range rapid.IntRange(0, 4).Draw(rt, "items") {
			d.Items = append(d.Items, portable.Item{
				ID: id.New(), ListID: l.ID, Name: text.Draw(rt, "name"), Quantity: quantity.Draw(rt, "q"), Unit: rapid.SampledFrom([]string{"", "kg", "-l"}).Draw(rt, "unit"),
				Note: text.Draw(rt, "note"), Category: text.Draw(rt, "category"), Barcode: rapid.SampledFrom([]string{"", "4006381333931"}).Draw(rt, "barcode"),
				Photo: rapid.SampledFrom([]string{"", "-photo", "https://photos.example/1"}).Draw(rt, "photo"), Checked: rapid.Bool().Draw(rt, "checked"),
			})
		}
	}
	for i := range d.Lists {
		if d.Lists[i].Kind == policy.Shared && rapid.Bool().Draw(rt, "recurs") {
			next := time.Now().AddDate(0, 0, rapid.IntRange(2, 700).Draw(rt, "in days")).Format(time.DateOnly)
			d.Recurring = append(d.Recurring, portable.Recurring{
				ID: id.New(), ListID: d.Lists[i].ID, Name: text.Draw(rt, "again"), Quantity: quantity.Draw(rt, "each time"), Note: text.Draw(rt, "note"),
				Every: rapid.IntRange(1, 365).Draw(rt, "every"), Period: rapid.SampledFrom([]string{"day", "week", "month"}).Draw(rt, "period"), NextOn: &next,
			})
		}
	}
	for n := range rapid.IntRange(0, 2).Draw(rt, "kitchen") {
		store := portable.Store{ID: id.New(), Name: text.Draw(rt, "store"), Aisles: rapid.SliceOfN(text, 0, 2).Draw(rt, "aisles"), OnlyAisles: n == 0}
		d.Stores = append(d.Stores, store)
		d.Prices = append(d.Prices, portable.Price{ID: id.New(), StoreID: store.ID, Name: text.Draw(rt, "thing"), Amount: 199, Currency: "EUR", Quantity: 1, Unit: "l"})
		d.Favourites = append(d.Favourites, portable.Favourite{ID: id.New(), Name: id.New().String(), Quantity: quantity.Draw(rt, "often")})
		d.Recipes = append(d.Recipes, portable.Recipe{
			ID: id.New(), Name: text.Draw(rt, "recipe"), Servings: 4, Method: text.Draw(rt, "method"),
			Ingredients: rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) thing.Thing {
				return thing.Thing{Name: text.Draw(rt, "ingredient"), Quantity: quantity.Draw(rt, "much")}
			}), 0, 2).Draw(rt, "ingredients"),
		})
		d.Pantry = append(d.Pantry, portable.Stock{ID: id.New(), Name: text.Draw(rt, "stock"), Quantity: amount.Draw(rt, "stored"), Minimum: quantity.Draw(rt, "least")})
	}
	return d
}

func TestExportShowsWhatTheCallerMaySee(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	for _, test := range []struct {
		name  string
		who   caller
		lists []string
		items []string
		all   bool // members, stores, pantry and recipes too
	}{
		{"an admin", h.admin, []string{"Party", "Presents", "Weekly"}, []string{"Cake", "Milk", "Watch"}, true},
		{"a member", h.member, []string{"Party", "Weekly"}, []string{"Cake", "Milk"}, true},
		{"a guest", h.guest, []string{"Party"}, []string{"Cake"}, false},
	} {
		d := h.exported(t, test.who, h.path)
		var lists, items []string
		for _, l := range d.Lists {
			lists = append(lists, l.Name)
		}
		for _, i := range d.Items {
			items = append(items, i.Name)
		}
		sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
		if diff := cmp.Diff([][]string{test.lists, test.items}, [][]string{lists, items}, sorted); diff != "" {
			t.Errorf("%s sees (-want +got):\n%s", test.name, diff)
		}
		if all := len(d.Stores) == 1 && len(d.Pantry) == 1 && len(d.Recipes) == 1 && len(d.Recurring) == 1 && len(d.Members) == 3; all != test.all {
			t.Errorf("%s sees the kitchen and members: %t, want %t", test.name, all, test.all)
		}
		sheet := h.want(t, 200, test.who, "GET", h.path+"/export.csv", nil)
		rows, err := csv.NewReader(strings.NewReader(string(sheet.body))).ReadAll()
		if err != nil || len(rows) != 1+len(test.items)+len(d.Recurring) {
			t.Errorf("the spreadsheet of %s has %d lines, %v", test.name, len(rows), err)
		}
	}
	h.want(t, 404, h.alien, "GET", h.path+"/export", nil)
	h.want(t, 404, h.alien, "POST", h.path+"/import", portable.Document{Format: "larder.family", Version: 1})
	h.want(t, 403, h.scoped("ann", "family:read"), "GET", h.path+"/export.csv", nil)
}

func TestExportIsReadInPages(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	if _, err := h.db.Owner.Exec(t.Context(), `INSERT INTO grocery.items (family_id, list_id, id, name, position, added_by)
		SELECT $1, $2, gen_random_uuid(), 'Item ' || n, n % 7, 'user:ann' FROM generate_series(1, 2500) n`, h.id, h.shared); err != nil {
		t.Fatal(err)
	}
	seen := map[id.ID]bool{}
	for _, i := range h.exported(t, h.admin, h.path).Items {
		seen[i.ID] = true
	}
	if len(seen) != 2503 {
		t.Errorf("%d items came out, want 2503", len(seen))
	}
}

func TestImportOfASpreadsheet(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	onto, sheet := h.path+"/import?list_id="+h.shared, []string{"Content-Type", "text/csv"}
	plain := "name,quantity,unit,category,price\nMilk,2,l,Dairy,1.99\n'=cmd|' /C calc'!A0,,,,\n\"Bread, dark\",\"1,5\",kg,,\nEggs,6,,,\nEggs,6,,,\n"
	dry := h.imported(t, h.member, onto+"&dry_run=true", plain, sheet...)
	if got := len(h.exported(t, h.admin, h.path).Items); got != 3 {
		t.Errorf("after a dry run there are %d items, want 3", got)
	}
	want := counts{"items": {Added: 5}}
	if diff := cmp.Diff([]counts{want, want}, []counts{dry, h.imported(t, h.member, onto, plain, sheet...)}); diff != "" {
		t.Errorf("a dry run and a run (-want +got):\n%s", diff)
	}
	if got := h.imported(t, h.member, h.path+"/import", portable.Document{Format: "larder.family", Version: 1, Stores: []portable.Store{{ID: id.New(), Name: "No aisles"}}}); got["stores"].Added != 1 {
		t.Errorf("a store without aisles: %v", got)
	}
	if got := h.imported(t, h.member, onto, "\ufeff"+strings.ReplaceAll(plain, "\n", "\r\n"), sheet...); got["items"] != (portable.Count{Kept: 5}) {
		t.Errorf("the same file again: %v", got)
	}
	if got := h.imported(t, h.member, onto, "Name;Quantity;List\nButter;0,25;Baking\nFlour;1;Baking\n", sheet...); got["lists"].Added != 1 || got["items"].Added != 2 {
		t.Errorf("with semicolons and a new list: %v", got)
	}
	again := h.imported(t, h.member, onto, "name,period,next_on\nTea,Week,2001-01-01\n", sheet...)
	out := h.exported(t, h.admin, h.path).Recurring
	tea := slices.IndexFunc(out, func(o portable.Recurring) bool { return o.Name == "Tea" && o.Every == 1 })
	if again["recurring"].Added != 1 || tea < 0 || *out[tea].NextOn < time.Now().Add(-48*time.Hour).Format(time.DateOnly) {
		t.Errorf("what recurs, from a day that is over: %v, %+v", again, out)
	}
	names := map[string]float64{}
	for _, i := range h.exported(t, h.admin, h.path).Items {
		if i.Quantity != nil {
			names[i.Name] = *i.Quantity
		} else {
			names[i.Name] = 0
		}
	}
	if names["=cmd|' /C calc'!A0"] != 0 || names["Bread, dark"] != 1.5 || names["Butter"] != 0.25 || names["Milk"] != 2 {
		t.Errorf("the items are %v", names)
	}
	if _, there := names["=cmd|' /C calc'!A0"]; !there {
		t.Error("the guard of a formula is still on")
	}
	if out := string(h.want(t, 200, h.admin, "GET", h.path+"/export.csv", nil).body); !strings.Contains(out, ",'=cmd|") {
		t.Errorf("a formula goes out bare: %s", out)
	}
	for _, test := range []struct {
		name, body string
		status     int
		pointers   []string
	}{
		{"bad rows of what recurs", "name,every,period,next_on\nTea,often,day,\nTea,0,day,\nTea,,hour,\nTea,,week,soon\n", 400, []string{"/lines/2/every", "/lines/3/every", "/lines/4/period", "/lines/5/next_on"}},
		{"bad rows", "name,quantity,checked\n,1,\nTea,some,\nRum,-1,maybe\n", 400, []string{"/lines/2/name", "/lines/3/quantity", "/lines/4/checked", "/lines/4/quantity"}},
		{"no column of names", "thing\nTea\n", 400, nil},
		{"nothing", "", 400, nil},
		{"no text", "name\n\xff\xfe\n", 400, nil},
		{"bad quotation marks", "name\n\"Tea\" x\n", 400, []string{"/lines/2"}},
		{"too many for one list", "name\n" + strings.Repeat("Tea\n", 2000), 409, nil},
	} {
		got := h.want(t, test.status, h.admin, "POST", onto, test.body, sheet...)
		var problem struct{ Errors []struct{ Pointer string } }
		got.into(t, &problem)
		var pointers []string
		for _, e := range problem.Errors {
			pointers = append(pointers, e.Pointer)
		}
		if diff := cmp.Diff(test.pointers, pointers, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
			t.Errorf("%s: faults (-want +got):\n%s", test.name, diff)
		}
	}
	h.want(t, 400, h.admin, "POST", h.path+"/import", "name\nTea\n", sheet...)
	h.want(t, 415, h.admin, "POST", onto, "name: Tea", "Content-Type", "text/yaml")
}

// TestImportsTakeTurns has somebody count the first of two names, in the order of
// names, while a file brings both the other way round.
func TestImportsTakeTurns(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.add(t, h.admin, h.shared, "apples")
	h.add(t, h.admin, h.shared, "Pears")
	ctx := t.Context()
	tx, err := h.db.Owner.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // nothing, once it was committed
	lock := `SELECT FROM grocery.item_uses WHERE family_id = $1 AND owner = '' AND name_key = $2 FOR UPDATE NOWAIT`
	if _, err := tx.Exec(ctx, lock, h.id, "apples"); err != nil {
		t.Fatal(err)
	}
	done := make(chan reply, 1)
	go func() {
		done <- h.do(t, h.member, "POST", h.path+"/import?list_id="+h.shared, "name\nPears\nApples\n", "Content-Type", "text/csv")
	}()
	h.waitForLock(t)
	if _, err := tx.Exec(ctx, lock, h.id, "pears"); err != nil {
		t.Errorf("the file took the second name before the first: %v", err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.status != http.StatusOK {
		t.Errorf("the import: %s", got)
	}
}

func TestImportAsksThePolicyAndChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	mustID := func(text string) id.ID {
		parsed, err := id.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	doc := func(change func(d *portable.Document)) portable.Document {
		d := portable.Document{Format: "larder.family", Version: 1}
		change(&d)
		return d
	}
	onList := func(list string) portable.Document {
		return doc(func(d *portable.Document) {
			d.Items = []portable.Item{{ID: id.New(), ListID: mustID(list), Name: "Tea"}}
		})
	}
	recurs := func(list string) portable.Document {
		return doc(func(d *portable.Document) {
			d.Recurring = []portable.Recurring{{ID: id.New(), ListID: mustID(list), Name: "Tea", Every: 1, Period: "day"}}
		})
	}
	aList := doc(func(d *portable.Document) { d.Lists = []portable.List{{ID: id.New(), Kind: "shared", Name: "New"}} })
	aStore := doc(func(d *portable.Document) { d.Stores = []portable.Store{{ID: id.New(), Name: "New"}} })
	for _, test := range []struct {
		name   string
		who    caller
		body   any
		status int
	}{
		{"a guest on a list he may only check", h.guest, onList(h.granted), http.StatusForbidden},
		{"a guest on a list he does not see", h.guest, onList(h.shared), http.StatusBadRequest},
		{"a guest with a list of his own", h.guest, aList, http.StatusForbidden},
		{"a guest with a store", h.guest, aStore, http.StatusForbidden},
		{"a member on another's personal list", h.member, onList(h.private), http.StatusBadRequest},
		{"an admin with what recurs on his personal list", h.admin, recurs(h.private), http.StatusBadRequest},
		{"a guest with what recurs", h.guest, recurs(h.granted), http.StatusForbidden},
		{"a member with what recurs", h.member, recurs(h.shared), http.StatusOK},
		{"a token that only reads", h.scoped("ann", "lists:read family:read"), onList(h.shared), http.StatusForbidden},
		{"a member", h.member, onList(h.shared), http.StatusOK},
		{"another format", h.admin, map[string]any{"format": "other", "version": 1}, http.StatusBadRequest},
		{"a later version", h.admin, map[string]any{"format": "larder.family", "version": 2}, http.StatusBadRequest},
		{"a member that is not known", h.admin, map[string]any{"format": "larder.family", "version": 1, "secrets": 1}, http.StatusBadRequest},
	} {
		if got := h.do(t, test.who, "POST", h.path+"/import", test.body); got.status != test.status {
			t.Errorf("%s: %s, want %d", test.name, got, test.status)
		}
	}
	// A file says of a thing that is there what it likes.
	before := h.exported(t, h.admin, h.path)
	lie := *before
	lie.Items = append([]portable.Item{}, before.Items...)
	for i := range lie.Items {
		lie.Items[i].Name, lie.Items[i].By = "Changed", "user:zed"
	}
	taken := portable.Item{ID: mustID(h.secretItem), ListID: mustID(h.shared), Name: "With the id of what he does not see"}
	if got := h.imported(t, h.member, h.path+"/import", doc(func(d *portable.Document) { d.Items = []portable.Item{taken} })); got["items"] != (portable.Count{Kept: 1}) {
		t.Errorf("an id that is taken out of sight: %v", got)
	}
	h.imported(t, h.admin, h.path+"/import", lie)
	after := h.exported(t, h.admin, h.path)
	if diff := cmp.Diff(before.Items, after.Items, cmpopts.IgnoreFields(portable.Item{}, "at")); diff != "" {
		t.Errorf("an import changed what was there (-want +got):\n%s", diff)
	}
	var events struct{ Events []json.RawMessage }
	h.want(t, 200, h.admin, "GET", h.path+"/audit?action=family.imported", nil).into(t, &events)
	if len(events.Events) == 0 {
		t.Error("the audit log does not tell of the imports")
	}
}

func TestEverybodyIsToldWhatIsHeldOfHim(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.add(t, h.member, h.shared, "Bread by Bob")
	h.want(t, 200, h.member, "PUT", h.path+"/diet", map[string]any{"avoid": []string{"nuts"}})
	h.want(t, 403, h.member, "DELETE", h.path+"/lists/"+h.shared, nil, "If-Match", "*")
	got := string(h.want(t, 200, h.member, "GET", "/v1/me/export", nil).body)
	for _, held := range []string{"Bread by Bob", "Bakers", `"role":"member"`, "nuts", "item.added"} {
		if !strings.Contains(got, held) {
			t.Errorf("the member is not told of %s: %s", held, got)
		}
	}
	for _, others := range []string{"Watch", "Presents", "family.created", "Corner shop"} {
		if strings.Contains(got, others) {
			t.Errorf("the member is told of %s", others)
		}
	}
	if got := string(h.want(t, 200, h.admin, "GET", "/v1/me/export", nil).body); !strings.Contains(got, "Watch") || strings.Contains(got, "Bread by Bob") {
		t.Errorf("the admin is told %s", got)
	}
	// What one family keeps from him keeps nothing of another from him.
	other := h.household(t, "other-")
	other.join(t, h.member, "member", nil)
	later := time.Now().UTC().Add(2 * time.Hour)
	h.rule(t, map[string]any{"hours": []any{map[string]any{"members": []string{"bob"}, "from": later.Format("15:04"), "until": later.Add(time.Hour).Format("15:04")}}})
	type export struct {
		Families []struct {
			FamilyID string `json:"family_id"`
			Diet     map[string]any
		}
		LeftOut []map[string]string `json:"left_out"`
	}
	var kept, narrow export
	h.want(t, 200, h.member, "GET", "/v1/me/export", nil).into(t, &kept)
	if len(kept.Families) != 1 || kept.Families[0].FamilyID != other.id || len(kept.LeftOut) != 1 ||
		kept.LeftOut[0]["family_id"] != h.id || kept.LeftOut[0]["what"] != "family" || kept.LeftOut[0]["code"] != "outside_hours" || kept.LeftOut[0]["detail"] == "" {
		t.Errorf("with a family that is closed: %+v", kept)
	}
	h.want(t, 200, h.scoped("ann", "family:read"), "GET", "/v1/me/export", nil).into(t, &narrow)
	if len(narrow.Families) != 1 || len(narrow.Families[0].Diet) != 0 || len(narrow.LeftOut) != 2 || narrow.LeftOut[0]["code"] != "insufficient_scope" {
		t.Errorf("without a scope: %+v", narrow)
	}
	h.want(t, 200, h.alien, "GET", "/v1/me/export", nil)
	h.want(t, 403, h.scoped("bob", "lists:read"), "GET", "/v1/me/export", nil)
	h.want(t, 403, caller{h.issuer.AppToken("some-app", policy.Scopes()...)}, "GET", "/v1/me/export", nil)
}

// Who sends a file slowly keeps nobody from importing.
func TestASlowFileHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	const slow = 4
	for range slow {
		body, writer := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.base+h.path+"/import", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+h.admin.token)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if answer, err := http.DefaultClient.Do(r); err == nil {
				_ = answer.Body.Close()
			}
		}()
		t.Cleanup(func() { _ = writer.CloseWithError(io.ErrUnexpectedEOF); <-done })
		if _, err := writer.Write(bytes.Repeat([]byte(" "), 900<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.imported(t, h.admin, h.path+"/import", portable.Document{
		Format: "larder.family", Version: 1, Favourites: []portable.Favourite{{ID: id.New(), Name: "Tea"}},
	}); got["favourites"].Added != 1 {
		t.Errorf("imported %v", got)
	}
	told := strings.Count(strings.Join(h.events(t), " "), "favourite.created")
	again := h.imported(t, h.admin, h.path+"/import", portable.Document{
		Format: "larder.family", Version: 1, Favourites: []portable.Favourite{{ID: id.New(), Name: "tea"}, {ID: id.New(), Name: "Cocoa"}},
	})
	if now := strings.Count(strings.Join(h.events(t), " "), "favourite.created"); again["favourites"] != (portable.Count{Added: 1, Kept: 1}) || now != told+1 {
		t.Errorf("a favourite that is there by another id: %v, told of %d", again, now-told)
	}
}
