package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// sights are the reads that the family's log tells of, as c is shown it: who, what
// and of which thing, once each.
func (h *household) sights(t testing.TB, c caller) (all []string) {
	t.Helper()
	var page struct {
		Events []struct {
			Action, Target, Result string
			Actor                  struct{ Kind, ID string }
			Count                  int
		}
	}
	h.want(t, 200, c, "GET", h.path+"/audit?seen=true&limit=200", nil).into(t, &page)
	for _, e := range page.Events {
		if e.Result != "success" || e.Count < 1 || !strings.HasSuffix(e.Action, ".seen") {
			t.Errorf("%+v", e)
		}
		if e.Action != "child.seen" { // written with the answer, and older than this
			if e.Actor.Kind == "api_key" {
				e.Actor.ID = "robot" // by an id that the issuer makes up
			}
			all = append(all, strings.Join([]string{e.Actor.Kind, e.Actor.ID, e.Action, e.Target}, " "))
		}
	}
	return all
}

func TestTheLogTellsWhoSawWhat(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	family := mustID(t, h.id)
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "importer", "scopes": []string{"lists:read", "family:read"}})
	key, _ := h.issuer.APIKey(family, policy.Scopes()...)
	own, _ := h.issuer.PersonalKey("ann", family, policy.Scopes()...)
	app, robot, annsKey := caller{h.issuer.AppToken("importer", "lists:read", "family:read")}, caller{key}, caller{own}
	limited := h.limited("bob", h.detail([]string{"view"}, time.Time{}, h.granted))
	shared, granted, private := h.path+"/lists/"+h.shared, h.path+"/lists/"+h.granted, h.path+"/lists/"+h.private

	for range 3 { // however often
		for _, read := range []struct {
			who  caller
			path string
		}{
			{h.guest, h.path + "/lists"},
			{h.guest, granted},
			{h.guest, granted + "/items"},
			{app, shared + "/items"},
			{app, shared},
			{app, h.path + "/members"},
			{robot, h.path + "/stores"},
			{robot, h.path},
			{limited, granted + "/items"},
			{annsKey, private + "/items"},
			{h.admin, h.path + "/invitations"},
			{h.admin, h.path + "/webhooks"},
			{h.admin, h.path + "/webhooks/" + h.hook + "/deliveries"},
			// What is nobody else's business.
			{h.member, shared},
			{h.admin, private},
			{h.admin, h.path + "/members"},
			{h.member, h.path + "/recipes"},
			{h.member, h.path + "/diet"},
		} {
			h.want(t, 200, read.who, "GET", read.path, nil)
		}
		h.want(t, 200, app, "POST", h.path+"/sync", map[string]any{"operations": []any{}})
		h.want(t, 200, h.member, "POST", h.path+"/sync", map[string]any{"operations": []any{}})
		h.want(t, 404, h.guest, "GET", shared, nil) // refused, not seen
	}
	stream, _ := h.follow(t, h.guest, "")
	stream.stop()

	want := []string{
		"api_key robot family.seen " + h.id, "api_key robot kitchen.seen " + h.id,
		"app importer feed.seen " + h.id, "app importer list.seen " + h.shared, "app importer members.seen " + h.id,
		"user ann audit.seen " + h.id, "user ann invitations.seen " + h.id, "user ann personal_list.seen " + h.private, "user ann webhooks.seen " + h.id,
		"user bob list.seen " + h.granted,
		"user gus feed.seen " + h.id, "user gus list.seen " + h.granted, "user gus lists.seen " + h.id,
	}
	var got []string
	for range looks { // they are written behind the requests
		if got = h.sights(t, h.admin); len(got) >= len(want) {
			break
		}
		sleep(t)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the log tells of\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// What was read of a personal list, its owner alone is shown; the chain is whole for all.
	other := h.user("adm")
	h.join(t, other, "admin", nil)
	for _, c := range []caller{other, robot} {
		for _, line := range h.sights(t, c) {
			if strings.Contains(line, "personal_list") {
				t.Errorf("shown to another: %s", line)
			}
		}
	}
	if mine := string(h.want(t, 200, h.admin, "GET", "/v1/me/export", nil).body); !strings.Contains(mine, "personal_list.seen") {
		t.Errorf("her own export does not tell of it: %s", mine)
	}
	var report struct {
		Intact    bool
		Unsettled int
	}
	for range looks {
		if _, err := h.chain.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h.want(t, 200, other, "GET", h.path+"/audit/verify", nil).into(t, &report); report.Unsettled == 0 {
			break
		}
		sleep(t)
	}
	if !report.Intact {
		t.Errorf("the log does not verify for who is not shown all of it: %+v", report)
	}
	changes := h.want(t, 200, h.admin, "GET", h.path+"/audit?seen=false&limit=200", nil)
	if body := string(changes.body); strings.Contains(body, `.seen"`) || !strings.Contains(body, `"list.created"`) {
		t.Errorf("without what was seen: %s", body)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(h.want(t, 200, h.admin, "GET", h.path+"/audit/export?seen=true", nil).body)), "\n") {
		var e struct{ Action string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || !strings.HasSuffix(e.Action, ".seen") {
			t.Errorf("exported %s, %v", line, err)
		}
	}
	h.want(t, 400, h.admin, "GET", h.path+"/audit?seen=perhaps", nil)
}

// What is kept of a read costs it no round trip: it takes a connection once,
// whoever reads.
func TestAReadThatIsKeptTakesOneRoundTrip(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	family, list := mustID(t, h.id), mustID(t, h.shared)
	db := &tenant.DB{Pool: h.db.Grocery, Authorizer: h.policies, Denials: h.denials, Reads: h.reads, Now: time.Now}
	for name, c := range map[string]*bearer.Caller{
		"a person": {Kind: bearer.User, Subject: "ann", Scopes: policy.Scopes()},
		"a key":    {Kind: bearer.APIKey, Subject: "fridge", Family: family, Scopes: policy.Scopes()},
	} {
		before, known := h.db.Grocery.Stat().AcquireCount(), h.reads.Known()
		ctx := bearer.With(context.WithoutCancel(t.Context()), c)
		for range 10 {
			err := db.Read(ctx, family, func(tx *tenant.Tx) error {
				l := tx.List(list)
				if err := tx.Send(ctx); err != nil {
					return err
				}
				return tx.May(ctx, policy.ListRead, l.Resource())
			})
			if err != nil {
				t.Fatal(name, err)
			}
		}
		if took := h.db.Grocery.Stat().AcquireCount() - before; took != 10 {
			t.Errorf("%s: ten reads took %d round trips", name, took)
		}
		if kept := h.reads.Known() - known; (kept == 1) != (c.Kind == bearer.APIKey) {
			t.Errorf("%s: %d were kept", name, kept)
		}
	}
}
