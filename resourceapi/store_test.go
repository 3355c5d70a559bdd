package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/resourceapi/policy"
)

func TestListIsSortedByTheWayThroughAStore(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	list := h.list(t, h.member, "Town", "shared")
	aisles := []string{"Bread", "FRUIT", "Dairy"}
	categories := []string{"dairy", "", "Fruit", "Tools", "bread"}
	type bought struct{ name, category string }
	var all []bought
	for n := range 15 {
		one := bought{fmt.Sprintf("thing%02d", n), categories[n*7%len(categories)]}
		all = append(all, one)
		h.want(t, 201, h.member, "POST", h.items(list), map[string]any{"name": one.name, "category": one.category})
	}
	// The model: a stable sort of the list's own order.
	aisle := func(b bought) int {
		if i := slices.IndexFunc(aisles, func(a string) bool { return strings.EqualFold(a, b.category) }); i >= 0 {
			return i
		}
		return len(aisles)
	}
	model := func(only bool) string {
		sorted := slices.Clone(all)
		slices.SortStableFunc(sorted, func(a, b bought) int { return aisle(a) - aisle(b) })
		var names []string
		for _, b := range sorted {
			if !only || b.category == "" || aisle(b) < len(aisles) {
				names = append(names, b.name)
			}
		}
		return strings.Join(names, " ")
	}
	walk := func(store string) string {
		var names []string
		for next := h.items(list) + "?limit=4&store=" + store; next != ""; {
			var page struct {
				Items []struct{ Name string }
				Next  string
			}
			h.want(t, 200, h.member, "GET", next, nil).into(t, &page)
			for _, i := range page.Items {
				names = append(names, i.Name)
			}
			next = page.Next
		}
		return strings.Join(names, " ")
	}
	made := h.want(t, 201, h.member, "POST", h.path+"/stores", map[string]any{"name": "Market", "aisles": aisles})
	store := made.field(t, "id")
	if diff := cmp.Diff(model(false), walk(store)); diff != "" {
		t.Error(diff)
	}
	path := h.path + "/stores/" + store
	h.want(t, 200, h.member, "PATCH", path, map[string]any{"only_aisles": true}, "If-Match", made.header.Get("ETag"))
	h.want(t, 412, h.member, "PATCH", path, map[string]any{"name": "x"}, "If-Match", made.header.Get("ETag"))
	if diff := cmp.Diff(model(true), walk(store)); diff != "" {
		t.Error(diff)
	}
	slices.Reverse(aisles)
	h.want(t, 200, h.member, "PATCH", path, map[string]any{"aisles": aisles})
	if diff := cmp.Diff(model(true), walk(store)); diff != "" {
		t.Error(diff)
	}
	next := h.want(t, 200, h.member, "GET", h.items(list)+"?limit=4&store="+store, nil).field(t, "next")
	h.want(t, 400, h.member, "GET", strings.Replace(next, store, h.store, 1), nil) // a cursor is for its store
	h.want(t, 400, h.member, "GET", h.items(list)+"?store=market", nil)
	h.want(t, 400, h.member, "PATCH", path, map[string]any{"aisles": []string{"Bread", "bread"}})
	h.want(t, 404, h.guest, "GET", h.items(h.granted)+"?store="+store, nil)
	h.want(t, 403, h.guest, "GET", h.path+"/stores", nil)
	h.want(t, 200, h.guest, "GET", h.path, nil) // though he may know whose guest he is
	h.want(t, 403, h.guest, "PATCH", h.path, map[string]any{"name": "x"})

	for _, amount := range []int{129, 139} {
		h.want(t, 201, h.member, "POST", path+"/prices", map[string]any{"name": "Milk", "amount": amount, "currency": "EUR", "unit": "l"})
	}
	h.want(t, 400, h.member, "POST", path+"/prices", map[string]any{"name": "Milk", "amount": -1, "currency": "euro"})
	h.want(t, 400, h.member, "POST", path+"/prices", map[string]any{"name": "Milk", "currency": "EUR"})
	h.want(t, 400, h.member, "GET", path+"/prices?name="+strings.Repeat("x", 201), nil)
	h.want(t, 404, h.guest, "POST", path+"/prices", map[string]any{"name": "Milk", "amount": 1, "currency": "EUR"})
	var prices struct{ Prices []struct{ Amount int } }
	h.want(t, 200, h.member, "GET", path+"/prices", nil).into(t, &prices)
	if len(prices.Prices) != 1 || prices.Prices[0].Amount != 139 {
		t.Errorf("latest: %+v", prices)
	}
	h.want(t, 200, h.member, "GET", path+"/prices?name=milk", nil).into(t, &prices)
	if len(prices.Prices) != 2 {
		t.Errorf("all of milk: %+v", prices)
	}
	h.want(t, 204, h.member, "DELETE", path, nil, "If-Match", "*")
	h.want(t, 404, h.member, "GET", h.items(list)+"?store="+store, nil)
}

// without is the policy layer of an operator who lets nobody do one thing.
type without struct {
	policy.Authorizer
	action policy.Action
}

func (w without) Authorize(ctx context.Context, r policy.Request) policy.Decision {
	if r.Action == w.action {
		return policy.Decision{Policies: []string{"closed"}, Reason: "The kitchen is closed."}
	}
	return w.Authorizer.Authorize(ctx, r)
}

func TestTheOrderOfAStoreIsForWhoMayReadTheStore(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.want(t, 200, h.member, "GET", h.items(h.shared)+"?store="+h.store, nil)
	h.tenants.Authorizer = without{h.tenants.Authorizer, policy.KitchenRead}
	h.want(t, 403, h.member, "GET", h.path+"/stores/"+h.store, nil)
	h.want(t, 403, h.member, "GET", h.items(h.shared)+"?store="+h.store, nil)
	h.want(t, 200, h.member, "GET", h.items(h.shared), nil)
}
