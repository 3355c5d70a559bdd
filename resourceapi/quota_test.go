package main

import (
	"strings"
	"testing"
	"time"

	"larder/internal/id"
	"larder/internal/limit"
)

func TestQuotasAreToldAndKept(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	other := h.household(t, "other-")
	now := time.Now() // and it stays so, however slow this machine is
	leases, err := limit.NewLeases(nil, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	q := h.quotas // counted nothing until now, and nobody else asks at this moment
	q.Leases, q.Principal, q.Family, q.Address = leases, 8, 13, 3

	read := func(c caller) reply { return h.do(t, c, "GET", h.items(h.shared), nil) }
	first := read(h.admin)
	if got := strings.Join(first.header.Values("RateLimit-Policy"), ", "); got != `"principal";q=8;w=60, "family";q=13;w=60` {
		t.Errorf("RateLimit-Policy: %s", got)
	}
	if got := strings.Join(first.header.Values("RateLimit"), ", "); got != `"principal";r=7;t=8, "family";r=12;t=5` {
		t.Errorf("RateLimit: %s", got)
	}
	for range 7 {
		h.want(t, 200, h.admin, "GET", h.items(h.shared), nil)
	}
	refused := read(h.admin)
	if refused.status != 429 || refused.header.Get("Retry-After") == "" || refused.field(t, "code") != "quota_principal" ||
		!strings.Contains(refused.header.Get("RateLimit"), `"principal";r=0;`) {
		t.Fatalf("the ninth in a minute: %s %v", refused, refused.header)
	}
	// A stranger is counted for himself; he uses nothing of the family's up, and learns nothing of it.
	for range 8 {
		if got := read(h.alien); got.status != 404 || strings.Contains(strings.Join(got.header.Values("RateLimit"), ""), "family") {
			t.Fatalf("a stranger got %s %v", got, got.header)
		}
	}
	// The presumed check-off counts as any request does: five are left for the family.
	check := h.items(h.shared) + "/" + h.item + "/check"
	for range 5 {
		h.want(t, 200, h.member, "PUT", check, nil)
	}
	if got := h.do(t, h.member, "PUT", check, nil); got.status != 429 || got.field(t, "code") != "quota_family" {
		t.Fatalf("the family's fourteenth in a minute: %s", got)
	}
	// Of what is done offline, each thing counts as a request does; what is too much is told, and judged anew.
	var batch []op
	for range 9 {
		batch = append(batch, op{"op": "item.check", "list_id": other.shared, "item_id": other.item})
	}
	for _, o := range batch {
		o["operation_id"] = id.New()
	}
	synced := h.want(t, 200, other.member, "POST", other.path+"/sync", map[string]any{"operations": batch})
	if got := synced.header.Values("RateLimit"); len(got) != 2 || !strings.Contains(strings.Join(got, ", "), `"principal";r=0;`) {
		t.Errorf("RateLimit of nine at once: %q", got)
	}
	var done kitchenAnswer
	synced.into(t, &done)
	results := done.Results
	if results[7].Status == "rejected" || results[8].Error == nil || results[8].Error.Status != 429 || results[8].Error.Code != "quota_principal" {
		t.Errorf("nine operations where eight requests are let in: %+v", results)
	}
	// Without a credential, or with a bad one, the address is counted; health is not.
	for _, want := range []int{401, 401, 200, 429} {
		path, c := h.path, caller{"nonsense"}
		if want == 200 {
			path, c = "/openapi.json", caller{}
		}
		if got := h.do(t, c, "GET", path, nil); got.status != want {
			t.Fatalf("got %s, want %d", got, want)
		}
	}
	h.want(t, 429, caller{}, "GET", "/openapi.json", nil)
	for range 5 {
		h.want(t, 200, caller{}, "GET", "/healthz", nil)
	}
}
