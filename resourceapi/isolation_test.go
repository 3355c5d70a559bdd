package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"larder/internal/id"
	"larder/resourceapi/policy"
)

// anybody is the policy layer switched off.
type anybody struct{}

func (anybody) Permitted(context.Context, policy.Request, []policy.Asked) []string { return nil }

func (anybody) Authorize(context.Context, policy.Request) policy.Decision {
	return policy.Decision{Allowed: true, Policies: []string{"switched_off"}}
}

// probe fills a route with the ids of h and a body that is good for it.
func (h *household) probe(route string) (method, path string, body any) {
	method, path, _ = strings.Cut(route, " ")
	path = strings.NewReplacer(
		"{family_id}", h.id, "{list_id}", h.shared, "{item_id}", h.item, "{user_id}", "bob",
		"{client_id}", "machine", "{store_id}", h.store, "{stock_id}", h.stock, "{recipe_id}", h.recipe, "{recurring_id}", h.recurring, "{favourite_id}", h.favourite, "{child_id}", h.child, "{invitation_id}", id.New().String(), "{webhook_id}", h.hook, "{delivery_id}", id.New().String(),
	).Replace(path)
	bodies := map[string]any{
		"PATCH /v1/families/{family_id}":                                     map[string]any{"name": "Mine now"},
		"PATCH /v1/families/{family_id}/members/{user_id}":                   map[string]any{"role": "admin"},
		"PUT /v1/families/{family_id}/rules":                                 map[string]any{"read_only": map[string]any{"from": "00:00", "until": "24:00"}},
		"POST /v1/families/{family_id}/invitations":                          map[string]any{"role": "admin"},
		"POST /v1/families/{family_id}/lists":                                map[string]any{"name": "Mine", "kind": "shared"},
		"PATCH /v1/families/{family_id}/lists/{list_id}":                     map[string]any{"name": "Mine now"},
		"PUT /v1/families/{family_id}/lists/{list_id}/permissions/{user_id}": map[string]any{"verbs": []string{"manage"}},
		"POST /v1/families/{family_id}/lists/{list_id}/items":                map[string]any{"name": "Mine"},
		"PATCH /v1/families/{family_id}/lists/{list_id}/items/{item_id}":     map[string]any{"name": "Mine now"},
		"POST /v1/families/{family_id}/items":                                map[string]any{"name": "Mine"},
		"POST /v1/families/{family_id}/stores":                               map[string]any{"name": "Mine"},
		"PATCH /v1/families/{family_id}/stores/{store_id}":                   map[string]any{"name": "Mine now"},
		"POST /v1/families/{family_id}/stores/{store_id}/prices":             map[string]any{"name": "Mine", "amount": 1, "currency": "EUR"},
		"POST /v1/families/{family_id}/favourites":                           map[string]any{"name": "Mine"},
		"PATCH /v1/families/{family_id}/favourites/{favourite_id}":           map[string]any{"name": "Mine now"},
		"POST /v1/families/{family_id}/pantry":                               map[string]any{"name": "Mine"},
		"PATCH /v1/families/{family_id}/pantry/{stock_id}":                   map[string]any{"name": "Mine now"},
		"POST /v1/families/{family_id}/recurring":                            map[string]any{"name": "Mine", "list_id": h.shared, "period": "day"},
		"PATCH /v1/families/{family_id}/recurring/{recurring_id}":            map[string]any{"name": "Mine now"},
		"POST /v1/families/{family_id}/recipes":                              map[string]any{"name": "Mine", "servings": 1},
		"PATCH /v1/families/{family_id}/recipes/{recipe_id}":                 map[string]any{"name": "Mine now"},
		"POST /v1/families/{family_id}/recipes/{recipe_id}/shop":             map[string]any{"list_id": h.shared},
		"POST /v1/families/{family_id}/import": map[string]any{"format": "larder.family", "version": 1, "lists": []any{
			map[string]any{"id": id.New(), "kind": "shared", "name": "Mine"},
		}},
		"POST /v1/families/{family_id}/children":               map[string]any{"name": "Mine"},
		"PATCH /v1/families/{family_id}/children/{child_id}":   map[string]any{"name": "Mine now"},
		"PUT /v1/families/{family_id}/diet":                    map[string]any{"avoid": []string{"nuts"}},
		"POST /v1/families/{family_id}/sync":                   map[string]any{"operations": h.probeOperations()},
		"POST /v1/families/{family_id}/webhooks":               map[string]any{"url": "http://127.0.0.1:9/evil"},
		"PATCH /v1/families/{family_id}/webhooks/{webhook_id}": map[string]any{"url": "http://127.0.0.1:9/evil"},
		"POST /v1/families/{family_id}/apps":                   map[string]any{"client_id": "evil", "scopes": []string{"lists:read"}},
	}
	return method, path, bodies[route]
}

// probeOperations are some that would change something.
func (h *household) probeOperations() []any {
	var all []any
	for _, op := range []string{"item.add", "item.edit", "item.check", "item.remove"} {
		item := h.item
		if op == "item.add" {
			item = id.New().String()
		}
		all = append(all, map[string]any{
			"operation_id": id.New(), "op": op, "list_id": h.shared, "item_id": item,
			"fields": map[string]any{"name": map[string]any{"base": "Milk", "value": "Mine now"}},
		})
	}
	for op, thing := range map[string]string{
		"list.add": id.New().String(), "list.edit": h.shared, "list.remove": h.shared,
		"store.add": id.New().String(), "store.remove": h.store, "recipe.remove": h.recipe, "pantry.remove": h.stock, "recurring.remove": h.recurring, "favourite.remove": h.favourite,
	} {
		one := map[string]any{"operation_id": id.New(), "op": op, "id": thing, "fields": map[string]any{"name": map[string]any{"value": "Mine now"}}}
		if op == "list.remove" {
			one["items"] = map[string]any{h.item: 0}
		}
		all = append(all, one)
	}
	return all
}

// tenantRoutes are the routes that stand in a family.
func (h *household) tenantRoutes(t testing.TB) []string {
	t.Helper()
	var routes []string
	for _, route := range h.routes(t) {
		if strings.Contains(route, "{family_id}") {
			routes = append(routes, route)
		}
	}
	if len(routes) < 25 {
		t.Fatalf("only %d routes stand in a family: the table is not read right", len(routes))
	}
	return routes
}

func TestNoRouteReachesAnotherFamily(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	other := h.household(t, "other-")
	exMember := h.user("eve")
	h.join(t, exMember, "admin", nil)
	h.want(t, 204, h.admin, "DELETE", h.path+"/members/eve", nil)
	otherID, err := id.Parse(other.id)
	if err != nil {
		t.Fatal(err)
	}
	foreignKey, _ := h.issuer.APIKey(otherID, policy.Scopes()...)
	before := h.snapshot(t)
	for _, route := range h.tenantRoutes(t) {
		method, path, body := h.probe(route)
		for name, c := range map[string]caller{
			"another family's admin": other.admin, "an ex-admin": exMember, "nobody's friend": h.alien,
			"an app that is not installed": {h.issuer.AppToken("stranger-app", policy.Scopes()...)},
			"another family's key":         {foreignKey},
		} {
			if got := h.do(t, c, method, path, body, "If-Match", "*"); got.status != http.StatusNotFound {
				t.Errorf("%s as %s: got %s, want 404", route, name, got)
			}
		}
		if got := h.do(t, caller{}, method, path, body); got.status != http.StatusUnauthorized ||
			!strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s as nobody: got %s, want 401 with a challenge", route, got)
		}
	}
	if after := h.snapshot(t); before != after {
		t.Errorf("something changed:\nbefore %s\nafter  %s", before, after)
	}
}

// snapshot is everything in the family's tables but its audit log.
func (h *household) snapshot(t testing.TB) string {
	t.Helper()
	var all string
	err := h.db.Owner.QueryRow(t.Context(), `
SELECT jsonb_build_array(
  (SELECT jsonb_agg(to_jsonb(f) ORDER BY f.id) FROM grocery.families f WHERE id = $1),
  (SELECT jsonb_agg(to_jsonb(m) ORDER BY m.user_id) FROM grocery.family_members m WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(i) ORDER BY i.id) FROM grocery.invitations i WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(l) ORDER BY l.id) FROM grocery.lists l WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.list_id, p.user_id) FROM grocery.list_permissions p WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(i) ORDER BY i.id) FROM grocery.items i WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(a) ORDER BY a.client_id) FROM grocery.app_installations a WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.id) FROM grocery.stores s WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.id) FROM grocery.prices p WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.id) FROM grocery.pantry p WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(r) ORDER BY r.id) FROM grocery.recipes r WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(t) ORDER BY t.id) FROM grocery.favourites t WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(c) ORDER BY c.id) FROM grocery.children c WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(w) - 'after_tx' - 'after_seq' ORDER BY w.id) FROM grocery.webhooks w WHERE family_id = $1),
  (SELECT jsonb_agg(to_jsonb(c) ORDER BY c.seq) FROM grocery.change_feed c WHERE family_id = $1))::text`, h.id).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDatabaseAloneRefusesWhenThePolicyLayerIsOff(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	other := h.household(t, "other-")
	h.tenants.Authorizer = anybody{}
	before := h.snapshot(t)
	for _, route := range h.tenantRoutes(t) {
		method, path, body := h.probe(route)
		for name, c := range map[string]caller{"another family's admin": other.admin, "a stranger": h.alien} {
			got := h.do(t, c, method, path, body, "If-Match", "*")
			for _, secret := range []string{"Weekly", "Milk", "Bakers", "Tim", "ann", "gus"} {
				if strings.Contains(string(got.body), secret) {
					t.Errorf("%s as %s shows %q: %s", route, name, secret, got.body)
				}
			}
		}
	}
	// The owner's personal list stays his, from another admin too, and a guest keeps to what he was granted.
	for name, path := range map[string]string{"personal list": h.path + "/lists/" + h.private, "personal items": h.items(h.private)} {
		h.want(t, 404, h.member, "GET", path, nil)
		_ = name
	}
	h.want(t, 404, h.guest, "GET", h.items(h.shared), nil)
	h.want(t, 404, h.guest, "PATCH", h.items(h.shared)+"/"+h.item, map[string]any{"name": "x"})
	if after := h.snapshot(t); before != after {
		t.Errorf("something changed:\nbefore %s\nafter  %s", before, after)
	}
}

func TestGuestMayDoWhatWasGrantedAndNoMore(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	before := h.snapshot(t)
	for _, route := range h.tenantRoutes(t) {
		method, path, body := h.probe(route)
		path = strings.NewReplacer(h.shared, h.granted, h.item, h.grantedItem).Replace(path)
		switch route {
		case "POST /v1/families/{family_id}/sync": // what was not granted is rejected one by one
			operations := h.probeOperations()
			got := h.want(t, 200, h.guest, method, path, map[string]any{"operations": operations})
			if strings.Count(string(got.body), `"rejected"`) != len(operations) {
				t.Errorf("the guest's operations: %s", got)
			}
		case "GET /v1/families/{family_id}/lists", "GET /v1/families/{family_id}/lists/{list_id}",
			"GET /v1/families/{family_id}/lists/{list_id}/items", "GET /v1/families/{family_id}/lists/{list_id}/items/{item_id}",
			"GET /v1/families/{family_id}", "GET /v1/families/{family_id}/lists/{list_id}/items/{item_id}/history",
			"GET /v1/families/{family_id}/lists/{list_id}/warnings", "GET /v1/families/{family_id}/diet",
			"GET /v1/families/{family_id}/export", "GET /v1/families/{family_id}/export.csv":
			if got := h.want(t, 200, h.guest, method, path, body); strings.Contains(string(got.body), h.shared) || strings.Contains(string(got.body), h.private) {
				t.Errorf("%s tells the guest of other lists: %s", route, got)
			}
		default:
			if strings.HasSuffix(route, "/diet") { // his own; a test of its own shows that
				continue
			}
			if strings.HasSuffix(route, "/check") || strings.HasSuffix(route, "/feed") { // the feed has tests of its own
				continue
			}
			want := http.StatusForbidden
			if strings.Contains(route, "{store_id}") || strings.Contains(route, "{stock_id}") || strings.Contains(route, "{recipe_id}") || strings.Contains(route, "{recurring_id}") || strings.Contains(route, "{favourite_id}") { // what he may not know of at all
				want = http.StatusNotFound
			}
			if got := h.do(t, h.guest, method, path, body, "If-Match", "*"); got.status != want {
				t.Errorf("%s as the guest: got %s, want %d", route, got, want)
			}
		}
	}
	if after := h.snapshot(t); before != after {
		t.Errorf("something changed:\nbefore %s\nafter  %s", before, after)
	}
	h.want(t, 200, h.guest, "PUT", h.items(h.granted)+"/"+h.grantedItem+"/check", nil)
	for _, hidden := range []string{h.shared, h.private} {
		h.want(t, 404, h.guest, "GET", h.path+"/lists/"+hidden, nil)
	}
	lists := h.want(t, 200, h.guest, "GET", h.path+"/lists", nil)
	if strings.Contains(string(lists.body), h.shared) || !strings.Contains(string(lists.body), h.granted) {
		t.Errorf("the guest's lists: %s", lists.body)
	}
	h.want(t, 204, h.admin, "DELETE", h.path+"/lists/"+h.granted+"/permissions/gus", nil)
	h.want(t, 404, h.guest, "GET", h.path+"/lists/"+h.granted, nil)

	// Whoever is a guest again, begins with nothing.
	h.want(t, 200, h.admin, "PUT", h.path+"/lists/"+h.granted+"/permissions/gus", map[string]any{"verbs": []string{"view"}})
	for _, role := range []string{"member", "guest"} {
		h.want(t, 200, h.admin, "PATCH", h.path+"/members/gus", map[string]any{"role": role})
	}
	h.want(t, 404, h.guest, "GET", h.path+"/lists/"+h.granted, nil)
}

func TestTheDatabaseAndNotTheTokenSaysWhatRoleSomebodyHas(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	self := h.path + "/members/bob"
	h.want(t, 403, h.member, "PATCH", self, map[string]any{"role": "admin"})
	h.want(t, 200, h.admin, "PATCH", self, map[string]any{"role": "admin"})
	h.want(t, 200, h.member, "GET", h.path+"/audit", nil)
	h.want(t, 200, h.admin, "PATCH", self, map[string]any{"role": "guest"})
	h.want(t, 403, h.member, "GET", h.path+"/audit", nil)
	h.want(t, 404, h.member, "GET", h.path+"/lists/"+h.shared, nil)
	h.want(t, 204, h.member, "DELETE", self, nil)
	h.want(t, 404, h.member, "GET", h.path, nil)
}

func TestScopesAreACeiling(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	reader := h.scoped("ann", "lists:read")
	h.want(t, 200, reader, "GET", h.items(h.shared), nil)
	for scope, got := range map[string]reply{
		"lists:write": h.want(t, 403, reader, "POST", h.items(h.shared), map[string]any{"name": "x"}),
		"family:read": h.want(t, 403, reader, "GET", "/v1/families", nil),
		"audit:read":  h.want(t, 403, reader, "GET", h.path+"/audit", nil),
	} {
		challenge := got.header.Get("WWW-Authenticate")
		if !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, `scope="`+scope+`"`) {
			t.Errorf("challenge %q, want insufficient_scope %s", challenge, scope)
		}
	}
}

func TestPersonalListIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	other := h.user("adm")
	h.join(t, other, "admin", nil)
	for _, c := range []caller{other, h.member, h.guest} {
		h.want(t, 404, c, "GET", h.path+"/lists/"+h.private, nil)
		h.want(t, 404, c, "GET", h.items(h.private), nil)
		h.want(t, 404, c, "PUT", h.items(h.private)+"/"+h.secretItem+"/check", nil)
		h.want(t, 404, c, "DELETE", h.path+"/lists/"+h.private, nil, "If-Match", "*")
	}
	h.want(t, 200, h.admin, "GET", h.items(h.private), nil)
	if got := h.want(t, 403, h.admin, "PUT", h.path+"/lists/"+h.private+"/permissions/gus", map[string]any{"verbs": []string{"view"}}); got.field(t, "code") != "personal_list_not_shared" {
		t.Errorf("got %s", got)
	}
}

func TestAppReachesTheFamilyThatInstalledItUntilItIsUninstalled(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	other := h.household(t, "other-")
	bot := caller{h.issuer.AppToken("bot", "lists:read", "lists:write", "family:read", "family:write")}
	h.want(t, 404, bot, "GET", h.items(h.shared), nil)
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "bot", "scopes": []string{"lists:read"}})
	h.want(t, 200, bot, "GET", h.items(h.shared), nil)
	h.want(t, 404, bot, "GET", h.items(h.private), nil)
	h.want(t, 403, bot, "POST", h.items(h.shared), map[string]any{"name": "x"}) // the installation is a ceiling too
	h.want(t, 404, bot, "GET", other.items(other.shared), nil)
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "bot", "scopes": []string{"lists:read", "lists:write"}})
	h.want(t, 201, bot, "POST", h.items(h.shared), map[string]any{"name": "x"})
	h.want(t, 403, bot, "DELETE", h.path+"/members/bob", nil)
	h.want(t, 204, h.admin, "DELETE", h.path+"/apps/bot", nil)
	h.want(t, 404, bot, "GET", h.items(h.shared), nil)
	h.want(t, 404, h.admin, "DELETE", h.path+"/apps/bot", nil)
}

func TestKeyReachesItsFamilyAlone(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	other := h.household(t, "other-")
	parsed, err := id.Parse(h.id)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := h.issuer.APIKey(parsed, "lists:read", "lists:write", "family:read")
	key := caller{raw}
	h.want(t, 200, key, "GET", h.items(h.shared), nil)
	h.want(t, 201, key, "POST", h.items(h.shared), map[string]any{"name": "x"})
	h.want(t, 404, key, "GET", h.items(h.private), nil)
	h.want(t, 404, key, "GET", other.path, nil)
	h.want(t, 403, key, "DELETE", h.path+"/members/bob", nil)
	families := h.want(t, 200, key, "GET", "/v1/families", nil)
	if !strings.Contains(string(families.body), h.id) || strings.Contains(string(families.body), other.id) {
		t.Errorf("the key's families: %s", families.body)
	}
}

func TestDenialsAreInTheAuditLogWithPolicyAndReason(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.want(t, 403, h.guest, "DELETE", h.items(h.granted)+"/"+h.grantedItem, nil)
	h.want(t, 404, h.alien, "GET", h.path, nil)
	h.want(t, 404, h.alien, "GET", "/v1/families/"+id.New().String(), nil) // nobody's: must leave no row
	var found string
	for range looks {
		answer := h.want(t, 200, h.admin, "GET", h.path+"/audit?result=denied", nil)
		if found = string(answer.body); strings.Contains(found, "item.remove") && strings.Contains(found, "family.enter") {
			break
		}
		sleep(t)
	}
	for _, want := range []string{`"action":"item.remove"`, `"policies":["default_deny"]`, `"id":"zed"`, `"reason":"Your role`} {
		if !strings.Contains(found, want) {
			t.Errorf("no %s in %s", want, found)
		}
	}
	var strays int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM grocery.audit_events e WHERE NOT EXISTS (SELECT FROM grocery.families f WHERE f.id = e.family_id)`).Scan(&strays); err != nil || strays != 0 {
		t.Errorf("%d rows of families that do not exist, %v", strays, err)
	}
}

// What the policy lets pass and the database refuses would be told with a
// permission that nobody has.
func TestTheDatabaseRefusesNothingThatThePolicyAllows(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "machine", "scopes": policy.Scopes()})
	key, _ := h.issuer.APIKey(mustID(t, h.id), policy.Scopes()...)
	for _, route := range h.tenantRoutes(t) {
		if strings.HasSuffix(route, "/feed") { // has no end
			continue
		}
		method, path, body := h.probe(route)
		for name, c := range map[string]caller{"a guest": h.guest, "an app": {h.issuer.AppToken("machine", policy.Scopes()...)}, "a key": {key}} {
			if got := h.do(t, c, method, path, body, "If-Match", "*"); got.status >= 500 || strings.Contains(string(got.body), "row_level_security") {
				t.Errorf("%s as %s: %s", route, name, got)
			}
		}
	}
}
