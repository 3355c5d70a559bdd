package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/client"
	"larder/internal/devstack/demo"
	"larder/internal/id"
	"larder/tests/stack"
)

// lossy loses every third answer on its way back.
type lossy struct{ sent atomic.Int64 }

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && l.sent.Add(1)%3 == 0 && !strings.HasSuffix(r.URL.Path, "/feed") {
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		return nil, errors.New("the answer was lost")
	}
	return answer, err
}

func TestClient(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	ctx, family := t.Context(), s.Demo.FamilyID
	tokens, err := s.Client(s.Demo.Clients.Web).Authorize(ctx, s.NewBrowser(), s.User(t, demo.Admin), "openid family:read lists:read lists:write", map[string][]string{"resource": {s.API}})
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(s.API, client.Key(tokens.AccessToken))
	c.HTTP = &http.Client{Transport: &lossy{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	families, err := c.Families(ctx)
	must(err)
	if len(families) != 1 || families[0].ID != family || families[0].Role != "admin" {
		t.Fatalf("families: %+v", families)
	}

	following, stop := context.WithCancel(ctx)
	defer stop()
	ready, heard := make(chan string, 1), make(chan client.Change, 100)
	go func() {
		defer close(heard)
		for event, err := range c.Feed(following, family, "") {
			switch {
			case err != nil:
				t.Error(err)
			case event.Kind == "ready":
				ready <- event.ID
			case event.Kind == "change":
				heard <- *event.Change
				if event.Change.Event == "list.deleted" {
					return
				}
			}
		}
	}()
	cursor := <-ready

	list, err := c.CreateList(ctx, family, client.NewList{Name: "From Go"})
	must(err)
	var added []*client.Item
	for _, text := range []string{"2 l milk", "bread", "6 eggs"} {
		item, err := c.AddItem(ctx, family, list.ID, client.NewItem{Text: text})
		must(err)
		added = append(added, item)
	}
	milk := added[0]
	_, err = c.Check(ctx, family, milk)
	must(err)
	if _, err := c.UpdateItem(ctx, family, milk, client.ItemChange{Note: new("oat")}); !client.Is(err, http.StatusPreconditionFailed) {
		t.Errorf("an item that was checked off meanwhile: %v", err)
	}
	milk, err = c.Uncheck(ctx, family, milk)
	must(err)
	_, err = c.UpdateItem(ctx, family, milk, client.ItemChange{Note: new("oat")})
	must(err)
	must(c.RemoveItem(ctx, family, added[1]))

	var status []string
	for answer, err := range c.Sync(ctx, family, cursor, []client.Operation{
		{ID: id.New().String(), Op: "item.edit", ListID: list.ID, ItemID: milk.ID, Known: &milk.Version, Fields: map[string]client.Edit{"note": {Base: "", Value: "soy"}}},
		{ID: id.New().String(), Op: "item.check", ListID: list.ID, ItemID: added[2].ID},
	}) {
		must(err)
		for _, result := range answer.Results {
			status = append(status, result.Status)
		}
		cursor = answer.Cursor
	}
	if diff := cmp.Diff([]string{"conflict", "applied"}, status); diff != "" || cursor == "" {
		t.Errorf("sync (-want +got):\n%s", diff)
	}

	var names []string
	for item, err := range c.Items(ctx, family, list.ID) {
		must(err)
		names = append(names, item.Name+" "+item.Note)
	}
	if diff := cmp.Diff([]string{"milk oat", "eggs "}, names); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	found := false
	for l, err := range c.Lists(ctx, family) {
		must(err)
		found = found || l.ID == list.ID
	}
	list, err = c.List(ctx, family, list.ID)
	must(err)
	if !found || !slices.Contains(list.Permissions, "list.delete") {
		t.Errorf("found %v, with %v", found, list.Permissions)
	}
	must(c.DeleteList(ctx, list))
	events := map[string]int{}
	for change := range heard {
		if change.ListID == list.ID || change.EntityID == list.ID {
			events[change.Event]++
		}
	}
	if events["item.added"] != 3 || events["list.deleted"] != 1 {
		t.Errorf("the feed told of %v", events)
	}
	if _, err := c.List(ctx, family, list.ID); !client.Is(err, http.StatusNotFound) {
		t.Errorf("a list that is gone: %v", err)
	}
	sameMembers(t, s.API)
}

// sameMembers holds the types against the document that the API serves.
func sameMembers(t *testing.T, api string) {
	t.Helper()
	answer, err := http.Get(api + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var document struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"Family": client.Family{}, "List": client.List{}, "Item": client.Item{}, "Problem": client.Problem{},
		"FeedChange": client.Change{}, "Operation": client.Operation{}, "SyncAnswer": client.Synced{},
	} {
		var members []string
		for f := range reflect.TypeOf(v).Fields() {
			if member, _, _ := strings.Cut(f.Tag.Get("json"), ","); member != "-" {
				members = append(members, member)
			}
		}
		slices.Sort(members)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(document.Components.Schemas[name].Properties)), members); diff != "" {
			t.Errorf("%s: the document (-) and the client (+):\n%s", name, diff)
		}
	}
}
