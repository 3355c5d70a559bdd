package client_test

import (
	stdcmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// TestGoneCountsAsRemovedOnlyWhenItMayBeOurDoing has a DELETE be tried again after something else than an answer of the API.
func TestGoneCountsAsRemovedOnlyWhenItMayBeOurDoing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token error
		first int
		gone  bool
	}{
		"a proxy lost the answer": {nil, http.StatusBadGateway, true},
		"a quota was used up":     {nil, http.StatusTooManyRequests, false},
		"there was no token":      {errors.New("the issuer is away"), http.StatusNotFound, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tokens, requests atomic.Int64
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(stdcmp.Or(map[int64]int{1: c.first}[requests.Add(1)], http.StatusNotFound))
			}))
			t.Cleanup(api.Close)
			all := client.New(api.URL, func(context.Context) (string, error) {
				if tokens.Add(1) == 1 && c.token != nil {
					return "", c.token
				}
				return "token", nil
			})
			if err := all.Pantry("family").Remove(t.Context(), "rice", 1); (err == nil) != c.gone || err != nil && !client.Is(err, http.StatusNotFound) {
				t.Errorf("after %d requests: %v", requests.Load(), err)
			}
		})
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	ctx, family := t.Context(), s.Demo.FamilyID
	tokens, err := s.Client(s.Demo.Clients.Web).Authorize(ctx, s.NewBrowser(), s.User(t, demo.Admin), "openid family:read family:write lists:read lists:write", map[string][]string{"resource": {s.API}})
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
	offline := id.New().String()
	for answer, err := range c.Sync(ctx, family, cursor, []client.Operation{
		{OperationID: id.New().String(), Op: "item.edit", ListID: list.ID, ItemID: milk.ID, Known: &milk.Version, Fields: map[string]client.Edit{"note": {Base: "", Value: "soy"}}},
		{OperationID: id.New().String(), Op: "item.check", ListID: list.ID, ItemID: added[2].ID},
		{OperationID: id.New().String(), Op: "store.add", ID: id.New().String(), Fields: map[string]client.Edit{"name": {Value: "Market"}}},
		{OperationID: id.New().String(), Op: "list.add", ID: offline, Fields: map[string]client.Edit{"name": {Value: "Cellar"}}},
		{OperationID: id.New().String(), Op: "item.add", ListID: offline, ItemID: id.New().String(), Fields: map[string]client.Edit{"name": {Base: "", Value: "Wine"}}},
		{OperationID: id.New().String(), Op: "list.edit", ID: offline, Fields: map[string]client.Edit{"archived": {Base: false, Value: true}}},
	}) {
		must(err)
		for _, result := range answer.Results {
			status = append(status, result.Status)
		}
		cursor = answer.Cursor
	}
	if diff := cmp.Diff([]string{"conflict", "applied", "applied", "applied", "applied", "applied"}, status); diff != "" || cursor == "" {
		t.Errorf("sync (-want +got):\n%s", diff)
	}

	kitchen(ctx, t, c, family, list)
	outside, err := s.Client(s.Demo.Clients.Web).Authorize(ctx, s.NewBrowser(), s.User(t, demo.Stranger), "openid family:read family:write", map[string][]string{"resource": {s.API}})
	must(err)
	people(ctx, t, c, client.New(s.API, client.Key(outside.AccessToken)), family, list)
	var names []string
	for item, err := range c.Items(ctx, family, list.ID) {
		must(err)
		names = append(names, item.Name+" "+item.Note)
		if !slices.Contains(item.Permissions, "item.remove") {
			t.Errorf("%s may be %v", item.Name, item.Permissions)
		}
	}
	if diff := cmp.Diff([]string{"milk oat", "eggs "}, names); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	found := false
	for l, err := range c.Lists(ctx, family) {
		must(err)
		found = found || l.ID == list.ID && slices.Contains(l.Permissions, "item.add")
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

// kitchen keeps one thing of each sort.
func kitchen(ctx context.Context, t *testing.T, c *client.Client, family string, list *client.List) {
	t.Helper()
	keep(ctx, t, c.Stores(family), client.StoreChange{Name: new("Corner"), Aisles: []string{"Bread"}}, client.StoreChange{Aisles: []string{}},
		func(s *client.Store) (string, int64, bool) {
			return s.ID, s.Version, s.Name == "Corner" && len(s.Aisles) == 0
		})
	keep(ctx, t, c.Pantry(family), client.StockChange{Name: new("Rice"), Quantity: new(1.5)}, client.StockChange{Unit: new("kg")},
		func(s *client.Stock) (string, int64, bool) {
			return s.ID, s.Version, s.Quantity == 1.5 && s.Unit == "kg"
		})
	later := time.Now().AddDate(0, 1, 0).Format(time.DateOnly) // else its version moves on when it is put on the list
	keep(ctx, t, c.Recurring(family), client.RecurringChange{Name: new("Filter"), ListID: &list.ID, Period: new("month"), NextOn: &later}, client.RecurringChange{Every: new(2)},
		func(r *client.Recurring) (string, int64, bool) {
			return r.ID, r.Version, r.Every == 2 && r.NextOn != ""
		})
	keep(ctx, t, c.Favourites(family), client.FavouriteChange{Name: new("Rye bread")}, client.FavouriteChange{Quantity: new(2.0)},
		func(f *client.Favourite) (string, int64, bool) {
			return f.ID, f.Version, f.Quantity != nil && *f.Quantity == 2
		})
	keep(ctx, t, c.Webhooks(family), client.WebhookChange{URL: new("https://example.com/larder")}, client.WebhookChange{Enabled: new(false)},
		func(w *client.Webhook) (string, int64, bool) { return w.ID, w.Version, !w.Enabled })
	soup := keep(ctx, t, c.Recipes(family), client.RecipeChange{Name: new("Soup"), Servings: new(2), Ingredients: []client.Ingredient{{Text: "1 l water"}}},
		client.RecipeChange{Method: new("Boil.")},
		func(r *client.Recipe) (string, int64, bool) {
			return r.ID, r.Version, r.Method == "Boil." && r.Ingredients[0].Unit == "l"
		})
	if _, err := c.Shop(ctx, family, soup, list.ID, 4); !client.Is(err, http.StatusNotFound) {
		t.Errorf("shopping for a recipe that is gone: %v", err)
	}
	rules, err := c.Rules(ctx, family)
	if err != nil {
		t.Fatal(err)
	}
	rules.Hours = []client.Hours{{Members: []string{"nobody"}, Window: client.Window{From: "16:00", Until: "18:00"}}}
	changed, err := c.SetRules(ctx, family, *rules)
	if client.Is(err, http.StatusPreconditionFailed) { // the answer to the first attempt was lost
		changed, err = c.Rules(ctx, family)
	}
	if err != nil || changed.Version == rules.Version || changed.Hours[0].Until != "18:00" {
		t.Errorf("the rules: %+v, %v", changed, err)
	}
}

// people keeps a diet and a child, and has a stranger join by an invitation.
func people(ctx context.Context, t *testing.T, c, stranger *client.Client, family string, list *client.List) {
	t.Helper()
	must := func(err error) {
		if t.Helper(); err != nil {
			t.Fatal(err)
		}
	}
	keep(ctx, t, c.Children(family), client.ChildChange{Name: new("Tim"), Avoid: []string{"nuts"}}, client.ChildChange{Also: []string{"kiwi"}},
		func(k *client.Child) (string, int64, bool) {
			return k.ID, k.Version, slices.Equal(k.Avoid, []string{"nuts"}) && slices.Equal(k.Also, []string{"kiwi"})
		})

	diet, err := c.Diet(ctx, family)
	must(err)
	for _, avoid := range [][]string{{"fish"}, {"fish", "soy"}} { // none is there, then one is
		before := diet.Version
		if diet, err = c.SetDiet(ctx, family, before, client.Avoided{Avoid: avoid, Also: []string{}}); client.Is(err, http.StatusPreconditionFailed) || client.Is(err, http.StatusPreconditionRequired) {
			diet, err = c.Diet(ctx, family) // the answer to the first attempt was lost
		}
		if must(err); !slices.Equal(diet.Avoid, avoid) || diet.Version == before {
			t.Errorf("the diet: %+v", diet)
		}
	}
	if err := c.ForgetDiet(ctx, family, diet.Version); !client.Is(err, http.StatusPreconditionFailed) { // as above
		must(err)
	}
	if diet, err = c.Diet(ctx, family); err != nil || diet.Version != 0 {
		t.Errorf("a diet that was forgotten: %+v, %v", diet, err)
	}

	invitation, err := c.Invite(ctx, family, client.NewInvitation{Role: "guest", Grants: []client.Grant{{ListID: list.ID, Verbs: []string{"view"}}}})
	must(err)
	preview, err := stranger.PreviewInvitation(ctx, invitation.Token)
	if must(err); preview.FamilyID != family || !slices.Equal(preview.Lists, []string{list.Name}) || preview.MemberAs != nil {
		t.Errorf("the preview: %+v", preview)
	}
	if joined, role, err := stranger.Join(ctx, invitation.Token, "Grandma"); err != nil || joined != family || role != "guest" {
		t.Errorf("joined %q as %q: %v", joined, role, err)
	}
	other, err := c.Invite(ctx, family, client.NewInvitation{Role: "member"})
	must(err)
	open, err := c.Invitations(ctx, family)
	if must(err); len(open) != 1 || open[0].ID != other.ID || open[0].Token != "" {
		t.Errorf("open invitations: %+v", open)
	}
	must(c.Uninvite(ctx, family, other.ID))
	if _, err := stranger.PreviewInvitation(ctx, other.Token); !client.Is(err, http.StatusNotFound) {
		t.Errorf("an invitation that was taken back: %v", err)
	}
}

// keep makes a thing, changes it, finds it as it is to be, and removes it. It returns its id.
func keep[T, C any](ctx context.Context, t *testing.T, all *client.Collection[T, C], draft, change C, is func(*T) (thing string, version int64, right bool)) string {
	t.Helper()
	fail := func(err error) {
		if t.Helper(); err != nil {
			t.Fatalf("%T: %v", draft, err)
		}
	}
	made, err := all.Create(ctx, draft)
	fail(err)
	thing, version, _ := is(made)
	_, err = all.Update(ctx, thing, version, change)
	fail(err)
	if _, err := all.Update(ctx, thing, version, change); !client.Is(err, http.StatusPreconditionFailed) {
		t.Errorf("%T: a version that is over: %v", draft, err)
	}
	if err := all.Remove(ctx, thing, version); !client.Is(err, http.StatusPreconditionFailed) {
		t.Errorf("%T: removing a version that is over: %v", draft, err)
	}
	got, err := all.Get(ctx, thing)
	fail(err)
	_, version, right := is(got)
	if !right {
		t.Errorf("%+v", got)
	}
	every, err := all.All(ctx)
	fail(err)
	if !slices.ContainsFunc(every, func(one T) bool { other, _, _ := is(&one); return other == thing }) {
		t.Errorf("%s is not among %+v", thing, every)
	}
	fail(all.Remove(ctx, thing, version))
	return thing
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
		"FeedChange": client.Change{}, "SyncAnswer": client.Synced{},
		"Store": client.Store{}, "Recipe": client.Recipe{}, "Stock": client.Stock{}, "Recurring": client.Recurring{}, "Favourite": client.Favourite{}, "Webhook": client.Webhook{}, "Rules": client.Rules{},
		"NewInvitationShown": client.Invitation{}, "NewInvitation": client.NewInvitation{}, "InvitationPreview": client.InvitationPreview{}, "Grant": client.Grant{},
		"Diet": client.Diet{}, "NewDiet": client.Avoided{}, "Child": client.Child{}, "ChildChange": client.ChildChange{},
		"NewIngredient": client.Ingredient{}, "StoreChange": client.StoreChange{}, "RecipeChange": client.RecipeChange{}, "StockChange": client.StockChange{},
		"RecurringChange": client.RecurringChange{}, "FavouriteChange": client.FavouriteChange{}, "WebhookChange": client.WebhookChange{},
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
