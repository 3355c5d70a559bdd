package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"larder/internal/id"
	"larder/resourceapi/bearer/bearertest"
	"larder/resourceapi/policy"
)

// trial tries an action in a way that changes nothing that another trial
// depends on. Its If-Match is stale wherever success would.
type trial struct {
	action       policy.Action
	method, path string
	body         any
}

func ofTheFamily(h *household) []trial {
	return []trial{
		{policy.FamilyRead, "GET", "", nil},
		{policy.FamilyUpdate, "PATCH", "", map[string]any{"name": "Bakers"}},
		{policy.FamilyDelete, "DELETE", "", nil},
		{policy.MemberList, "GET", "/members", nil},
		{policy.InvitationList, "GET", "/invitations", nil},
		{policy.InvitationCreate, "POST", "/invitations", map[string]any{"role": "guest"}},
		{policy.ListList, "GET", "/lists", nil},
		{policy.ListCreate, "POST", "/lists", map[string]any{"id": h.shared, "name": "Of another name"}},
		{policy.AppList, "GET", "/apps", nil},
		{policy.AppInstall, "POST", "/apps", map[string]any{"client_id": "another", "scopes": []string{"lists:read"}}},
		{policy.WebhookList, "GET", "/webhooks", nil},
		{policy.WebhookManage, "PATCH", "/webhooks/" + h.hook, map[string]any{"url": "http://127.0.0.1:9/else"}},
		{policy.KitchenRead, "GET", "/stores", nil},
		{policy.KitchenKeep, "POST", "/stores", map[string]any{"name": id.New().String()}},
		{policy.DietKeep, "GET", "/diet", nil},
		{policy.ChildKeep, "GET", "/children", nil},
		{policy.FeedRead, "POST", "/sync", map[string]any{}},
		{policy.AuditRead, "GET", "/audit?limit=1", nil},
		{policy.RulesRead, "GET", "/rules", nil},
		{policy.RulesChange, "PUT", "/rules", map[string]any{}},
	}
}

func ofTheList(at, item string) []trial {
	return []trial{
		{policy.ListRead, "GET", at, nil},
		{policy.ListUpdate, "PATCH", at, map[string]any{"name": "L"}},
		{policy.ListDelete, "DELETE", at, nil},
		{policy.ListShare, "GET", at + "/permissions", nil},
		{policy.ItemAdd, "POST", at + "/items", map[string]any{"id": item, "name": "Of another name"}},
	}
}

func ofTheItem(at string) []trial {
	return []trial{
		{policy.ItemEdit, "PATCH", at, map[string]any{"note": "n"}},
		{policy.ItemCheck, "PUT", at + "/check", nil},
		{policy.ItemRemove, "DELETE", at, nil},
		{policy.ItemReorder, "PATCH", at, map[string]any{"after": nil}},
	}
}

// fickle is p by another credential: with fewer scopes, signed in otherwise.
func (g *generated) fickle(rt *rapid.T, p person) person {
	scopes := slices.DeleteFunc(policy.Scopes(), func(string) bool { return rapid.IntRange(0, 5).Draw(rt, "withheld") == 0 })
	switch p.kind {
	case policy.User:
		p.caller = g.claims(p.sub, bearertest.Claims{
			"scope": strings.Join(scopes, " "), "auth_time": time.Now().Add(-rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(rt, "ago")).Unix(),
			"acr":    rapid.SampledFrom([]string{"urn:larder:acr:pwd", "urn:larder:acr:mfa"}).Draw(rt, "acr"),
			"device": rapid.SampledFrom([]string{"known", "new"}).Draw(rt, "device"), "risk": rapid.SampledFrom([]string{"low", "high"}).Draw(rt, "risk"),
		})
	case policy.App:
		p.caller = caller{g.issuer.AppToken(p.sub, scopes...)}
	case policy.APIKey:
	}
	return p
}

// try makes the trials and holds the permissions against them.
func (g *generated) try(t *testing.T, p person, where string, permissions []string, trials []trial) (refused int) {
	t.Helper()
	for _, a := range trials {
		var headers []string
		if a.method != "GET" && !strings.HasSuffix(a.path, "/check") {
			headers = []string{"If-Match", `"0"`}
		}
		got := g.do(t, p.caller, a.method, g.path+a.path, a.body, headers...)
		if got.status == 403 {
			refused++
		}
		if got.status == 404 || slices.Contains(permissions, string(a.action)) == (got.status == 403) {
			t.Errorf("%s %s (%s): %s of %s permits %v, but trying it gives %d %s", p.kind, p.sub, p.role, a.action, where, permissions, got.status, got.body)
		}
	}
	return refused
}

// TestPermissionsAreWhatIsNotRefused tries, in generated families and with all
// sorts of credentials, every action: it is among the permissions of the thing
// exactly if trying it is not refused with 403.
func TestPermissionsAreWhatIsNotRefused(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "machine", "scopes": []string{"family:read", "lists:read", "lists:write"}})
	h.want(t, 201, h.admin, "POST", h.path+"/invitations", map[string]any{"role": "member"})
	type shown struct{ Permissions []string }
	refused := 0
	for round := range 4 {
		rapid.Custom(func(rt *rapid.T) bool {
			g := h.generate(t, rt, round)
			rules := policy.Rules{NewDevicesReadOnly: rapid.Bool().Draw(rt, "new devices"), HighRiskReadOnly: rapid.Bool().Draw(rt, "risk"), MembersInvite: rapid.Bool().Draw(rt, "members invite")}
			rules.SecondFactor = []policy.Action{policy.ListDelete, policy.InvitationCreate}
			rules.SecondFactorFor = rapid.SampledFrom([][]policy.Role{nil, nil, {policy.Member}}).Draw(rt, "second factor")
			if rapid.Bool().Draw(rt, "night") {
				rules.ReadOnly = &policy.Window{Until: policy.EndOfDay}
			}
			g.exec(t, `UPDATE grocery.families SET rules = $2, rules_version = rules_version + 1 WHERE id = $1`, g.id, rules)
			g.exec(t, `INSERT INTO grocery.lists (family_id, id, kind, name, created_by, position) VALUES ($1, $2, 'shared', 'Weekly', 'user:ann', 99)`, g.id, h.shared)
			stranger := func(p person) bool { return p.role == policy.None && p.kind == policy.User }
			for _, p := range slices.DeleteFunc(g.people, stranger) {
				p = g.fickle(rt, p)
				var family shown
				if got := g.do(t, p.caller, "GET", g.path, nil); got.status == 200 {
					got.into(t, &family)
					refused += g.try(t, p, "the family", family.Permissions, ofTheFamily(g.household))
					var mine struct{ Families []shown }
					g.want(t, 200, p.caller, "GET", "/v1/families", nil).into(t, &mine)
					if len(mine.Families) != 1 || !slices.Equal(mine.Families[0].Permissions, family.Permissions) {
						t.Errorf("%s %s: among his families %v, by itself %v", p.kind, p.sub, mine.Families, family.Permissions)
					}
				}
				refused += g.tryMembers(t, p) + g.tryLists(t, p) + g.tryAdmission(t, p)
				for at, actions := range map[string][2]policy.Action{
					"/stores/" + g.store: {policy.KitchenRead, policy.KitchenKeep}, "/webhooks/" + g.hook: {policy.WebhookList, policy.WebhookManage},
				} {
					var alone shown
					if got := g.do(t, p.caller, "GET", g.path+at, nil); got.status == 200 {
						got.into(t, &alone)
						refused += g.try(t, p, at, alone.Permissions, []trial{{actions[0], "GET", at, nil}, {actions[1], "PATCH", at, map[string]any{}}})
					}
				}
			}
			return true
		}).Example(round)
	}
	if refused < 100 {
		t.Errorf("only %d trials were refused: too thin a comparison", refused)
	}
}

func (g *generated) tryMembers(t *testing.T, p person) (refused int) {
	t.Helper()
	var page struct {
		Members []struct {
			UserID      string `json:"user_id"`
			Permissions []string
		}
	}
	if got := g.do(t, p.caller, "GET", g.path+"/members", nil); got.status == 200 {
		got.into(t, &page)
	}
	for _, m := range page.Members[:min(3, len(page.Members))] {
		change := trial{policy.MemberChangeRole, "PATCH", "/members/" + m.UserID, map[string]any{"display_name": "P"}}
		refused += g.try(t, p, "member "+m.UserID, m.Permissions, []trial{change})
		if leaves := slices.Contains(m.Permissions, "member.leave"); leaves && m.UserID != p.sub {
			t.Errorf("%s may leave for %s", p.sub, m.UserID)
		}
	}
	return refused
}

// tryAdmission tries what may be done to apps and invitations, on such as are not there.
func (g *generated) tryAdmission(t *testing.T, p person) (refused int) {
	t.Helper()
	for at, ends := range map[string]policy.Action{"/apps": policy.AppUninstall, "/invitations": policy.InvitationRevoke} {
		page := map[string][]struct{ Permissions []string }{}
		got := g.do(t, p.caller, "GET", g.path+at, nil)
		if got.status != 200 {
			continue
		}
		got.into(t, &page)
		all := page[strings.TrimPrefix(at, "/")]
		if len(all) == 0 || all[0].Permissions == nil {
			t.Errorf("%s are shown as %s", at, got.body)
			continue
		}
		tried := g.do(t, p.caller, "DELETE", g.path+at+"/"+id.New().String(), nil).status
		if tried == 403 {
			refused++
		}
		if slices.Contains(all[0].Permissions, string(ends)) == (tried == 403) {
			t.Errorf("%s %s (%s): of %s are permitted %v, but trying it gives %d", p.kind, p.sub, p.role, at, all[0].Permissions, tried)
		}
	}
	return refused
}

func (g *generated) tryLists(t *testing.T, p person) (refused int) {
	t.Helper()
	type thing struct {
		ID          id.ID
		Permissions []string
	}
	var page struct{ Lists []thing }
	if got := g.do(t, p.caller, "GET", g.path+"/lists", nil); got.status == 200 {
		got.into(t, &page)
	}
	for _, l := range page.Lists[:min(3, len(page.Lists))] {
		item, at := id.New(), "/lists/"+l.ID.String()
		g.exec(t, `INSERT INTO grocery.items (family_id, list_id, id, private_to, name, position, added_by)
SELECT family_id, id, $3, owner, 'I', 1, 'user:ann' FROM grocery.lists WHERE family_id = $1 AND id = $2`, g.id, l.ID, item)
		var alone thing
		g.want(t, 200, p.caller, "GET", g.path+at, nil).into(t, &alone)
		if !slices.Equal(alone.Permissions, l.Permissions) {
			t.Errorf("%s %s: on the page %v, by itself %v", p.kind, p.sub, l.Permissions, alone.Permissions)
		}
		refused += g.try(t, p, "a list", l.Permissions, ofTheList(at, item.String()))

		var items struct{ Items []thing }
		g.want(t, 200, p.caller, "GET", g.path+at+"/items", nil).into(t, &items)
		i := items.Items[slices.IndexFunc(items.Items, func(i thing) bool { return i.ID == item })]
		g.want(t, 200, p.caller, "GET", g.path+at+"/items/"+item.String(), nil).into(t, &alone)
		if i.Permissions == nil || !slices.Equal(alone.Permissions, i.Permissions) {
			t.Errorf("%s %s: on the page %v, by itself %v", p.kind, p.sub, i.Permissions, alone.Permissions)
		}
		refused += g.try(t, p, "an item", i.Permissions, ofTheItem(at+"/items/"+item.String()))
		for _, a := range i.Permissions {
			if !slices.Contains(l.Permissions, a) {
				t.Errorf("%s is permitted on the item and not on its list", a)
			}
		}
	}
	return refused
}

// exec changes the database behind the service's back.
func (h *household) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := h.db.Owner.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
}
