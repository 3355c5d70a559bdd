package item

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"larder/internal/id"
)

func TestItemsAreWrittenAsEncodingJSONWould(t *testing.T) {
	t.Parallel()
	var pages Items
	rapid.Check(t, func(t *rapid.T) {
		moment := func(name string) time.Time {
			return time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, name)).UTC()
		}
		items := make([]Item, rapid.IntRange(0, 5).Draw(t, "items"))
		lists := []id.ID{id.New(), id.New()} // neighbours are alike now and then
		may := rapid.SampledFrom([][]string{nil, {}, {"item.check"}, {"item.edit", "item.check"}}).Draw(t, "may")
		for n := range items {
			items[n] = Item{
				ID: id.New(), ListID: rapid.SampledFrom(lists).Draw(t, "list"), Name: rapid.String().Draw(t, "name"), Unit: rapid.String().Draw(t, "unit"),
				Note: rapid.String().Draw(t, "note"), Barcode: "96385074", Photo: rapid.String().Draw(t, "photo"), Category: rapid.StringMatching(`[a-z "<&]*`).Draw(t, "category"),
				Position: rapid.Float64Range(-1e15, 1e15).Draw(t, "position"), Version: rapid.Int64().Draw(t, "version"),
				AddedBy: rapid.SampledFrom([]string{"user:ann", "user:bob"}).Draw(t, "adder"), CreatedAt: moment("created"), UpdatedAt: moment("updated"),
				Permissions: may,
			}
			if rapid.Bool().Draw(t, "as made") {
				items[n].UpdatedAt = items[n].CreatedAt
			}
			if rapid.Bool().Draw(t, "checked") {
				items[n].Checked, items[n].CheckedAt, items[n].CheckedBy = true, new(moment("checked at")), new("app:bot")
				items[n].Quantity = new(rapid.Float64Range(0, 1e9).Draw(t, "quantity"))
			}
		}
		type page struct {
			Items []Item `json:"items"`
			Next  string `json:"next,omitempty"`
		}
		next := rapid.SampledFrom([]string{"", "/v1/x?cursor=a&limit=2"}).Draw(t, "next")
		want, err := json.Marshal(page{items, next})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := pages.writePage(w, items, next); err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(want, &a) != nil || json.Unmarshal(w.Body.Bytes(), &b) != nil {
			t.Fatalf("not JSON: %s", w.Body)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatalf("encoding/json (-) and ours (+):\n%s", diff)
		}
	})
}
