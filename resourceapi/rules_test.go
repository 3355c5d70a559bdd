package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/internal/id"
	"larder/resourceapi/bearer/bearertest"
	"larder/resourceapi/policy"
)

// claims is a person with more in his token than usual.
func (s *service) claims(sub string, more bearertest.Claims) caller {
	c := bearertest.Claims{"sub": sub, "scope": strings.Join(policy.Scopes(), " "), "auth_time": time.Now().Unix()}
	maps.Copy(c, more)
	return caller{s.issuer.Token(c)}
}

func (h *household) rule(t testing.TB, rules map[string]any) {
	t.Helper()
	h.want(t, 200, h.admin, "PUT", h.path+"/rules", rules, "If-Match", "*")
}

// refused makes a request that the policy must refuse, and say so in full.
func (h *household) refused(t testing.TB, status int, by string, c caller, method, path string, body any, headers ...string) {
	t.Helper()
	got := h.want(t, status, c, method, path, body, headers...)
	if got.field(t, "policy") != by || got.field(t, "reason") == "" || got.field(t, "remedy") == "" {
		t.Errorf("%s %s is refused with %s, want policy %s", method, path, got.body, by)
	}
}

func allDay() map[string]any { return map[string]any{"from": "00:00", "until": "24:00"} }

func TestAnAdminSwitchesRulesOn(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	rules := h.path + "/rules"
	got := h.want(t, 200, h.member, "GET", rules, nil)
	if etag := got.version(); etag != "1" || !strings.Contains(string(got.body), `"permissions":["rules.read"]`) {
		t.Errorf("before any was set: %s %s", etag, got.body)
	}
	h.want(t, 304, h.member, "GET", rules, nil, "If-None-Match", got.header.Get("ETag"))
	h.want(t, 200, h.admin, "GET", rules, nil, "If-None-Match", got.header.Get("ETag")) // who may do more sees more
	h.refused(t, 403, "default_deny", h.guest, "GET", rules, nil)
	h.refused(t, 403, "default_deny", h.member, "PUT", rules, map[string]any{}, "If-Match", "*")
	h.want(t, 428, h.admin, "PUT", rules, map[string]any{})
	h.want(t, 412, h.admin, "PUT", rules, map[string]any{}, "If-Match", `"7"`)
	h.refused(t, 401, "fresh_sign_in_to_change_rules", h.claims("ann", bearertest.Claims{"auth_time": time.Now().Add(-time.Hour).Unix()}), "PUT", rules, map[string]any{}, "If-Match", "*")
	key, _ := h.issuer.APIKey(mustID(t, h.id), policy.Scopes()...)
	h.refused(t, 403, "api_keys_do_not_manage", caller{key}, "PUT", rules, map[string]any{}, "If-Match", "*")

	for name, c := range map[string]struct {
		body    map[string]any
		pointer string
	}{
		"nowhere to be":     {map[string]any{"guests_only_at_home": true}, "/home_networks"},
		"half the world":    {map[string]any{"home_networks": []string{"192.0.0.0/4"}}, "/home_networks/0"},
		"nobody's hours":    {map[string]any{"hours": []any{map[string]any{"from": "07:00", "until": "08:00", "members": []string{}}}}, "/hours/0/members"},
		"no time":           {map[string]any{"read_only": map[string]any{"from": "07:00", "until": "07:00"}}, "/read_only/from"},
		"a day twice":       {map[string]any{"read_only": map[string]any{"from": "07:00", "until": "08:00", "days": []string{"mon", "mon"}}}, "/read_only/days/1"},
		"what has no guard": {map[string]any{"fresh_sign_in": []string{"list.read"}}, "/fresh_sign_in/0"},
	} {
		if got := h.want(t, 400, h.admin, "PUT", rules, c.body, "If-Match", "*"); !strings.Contains(string(got.body), `"pointer":"`+c.pointer+`"`) {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	h.want(t, 400, h.admin, "PUT", rules, `{"read_only":{"from":"7 o'clock","until":"08:00"}}`, "If-Match", "*")

	set := h.want(t, 200, h.admin, "PUT", rules, map[string]any{"home_networks": []string{"192.0.2.9/24"}, "read_only": allDay()}, "If-Match", `"1"`)
	kept := h.want(t, 200, h.admin, "GET", rules, nil)
	if set.version() != "2" || string(kept.body) != string(set.body) || !strings.Contains(string(kept.body), `"192.0.2.0/24"`) {
		t.Errorf("set %s\nkept %s", set.body, kept.body)
	}
	if events := h.events(t); !slices.Contains(events, "family.rules_changed") {
		t.Errorf("the feed tells of no change: %v", events)
	}
}

func mustID(t testing.TB, text string) id.ID {
	t.Helper()
	parsed, err := id.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestRulesBindFromTheNextRequestOn(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	parsed := mustID(t, h.id)
	rawKey, _ := h.issuer.APIKey(parsed, policy.Scopes()...)
	key, app := caller{rawKey}, caller{h.issuer.AppToken("bot", policy.Scopes()...)}
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "bot", "scopes": policy.Scopes()})
	milk, cake := h.items(h.shared)+"/"+h.item, h.items(h.granted)+"/"+h.grantedItem

	h.rule(t, map[string]any{"read_only": allDay()})
	for _, c := range []caller{h.admin, h.member, key, app} {
		h.refused(t, 403, "read_only_now", c, "POST", h.items(h.shared), map[string]any{"name": "Eggs"})
		h.want(t, 200, c, "GET", h.items(h.shared), nil)
	}
	h.refused(t, 403, "read_only_now", h.guest, "PUT", cake+"/check", nil)
	h.want(t, 404, h.guest, "PUT", milk+"/check", nil) // the rules tell nobody of what he may not know

	// The test's requests come from 127.0.0.1.
	h.rule(t, map[string]any{"home_networks": []string{"192.0.2.0/24"}, "guests_only_at_home": true})
	h.refused(t, 403, "guests_only_at_home", h.guest, "GET", h.path+"/lists/"+h.granted, nil)
	h.refused(t, 403, "guests_only_at_home", h.guest, "GET", h.path+"/lists", nil)
	h.want(t, 200, h.member, "GET", h.path+"/lists", nil)
	h.rule(t, map[string]any{"home_networks": []string{"127.0.0.0/8", "::1/128"}, "guests_only_at_home": true})
	h.want(t, 200, h.guest, "PUT", cake+"/check", nil)

	soon := time.Now().UTC().Add(2 * time.Hour)
	later := map[string]any{"members": []string{"bob", "ann"}, "from": soon.Format("15:04"), "until": soon.Add(time.Hour).Format("15:04")}
	h.rule(t, map[string]any{"hours": []any{later}})
	h.refused(t, 403, "outside_hours", h.member, "GET", h.items(h.shared), nil)
	h.refused(t, 403, "outside_hours", h.member, "PUT", milk+"/check", nil)
	h.want(t, 404, h.member, "GET", h.path+"/lists/"+h.private, nil)
	if got := h.want(t, 200, h.member, "GET", "/v1/families", nil); !strings.Contains(string(got.body), `"permissions":[]`) {
		t.Errorf("a family in which he may do nothing now: %s", got)
	}
	h.want(t, 200, h.admin, "GET", h.items(h.shared), nil) // named, too, but an admin

	h.rule(t, map[string]any{"fresh_sign_in": []string{"list.delete"}, "second_factor": []string{"list.share"}, "new_devices_read_only": true, "high_risk_read_only": true})
	stale := h.claims("ann", bearertest.Claims{"auth_time": time.Now().Add(-time.Hour).Unix()})
	h.refused(t, 401, "fresh_sign_in", stale, "DELETE", h.path+"/lists/"+h.granted, nil, "If-Match", "*")
	h.refused(t, 401, "second_factor", h.admin, "PUT", h.path+"/lists/"+h.granted+"/permissions/gus", map[string]any{"verbs": []string{"view"}})
	h.want(t, 200, h.claims("ann", bearertest.Claims{"acr": "urn:larder:acr:mfa"}), "PUT", h.path+"/lists/"+h.granted+"/permissions/gus", map[string]any{"verbs": []string{"view"}})
	h.refused(t, 403, "new_device_reads_only", h.claims("bob", bearertest.Claims{"device": "new"}), "PUT", milk+"/check", nil)
	h.want(t, 200, h.claims("bob", bearertest.Claims{"device": "known", "risk": "medium"}), "PUT", milk+"/check", nil)
	risky := bearertest.Claims{"risk": "high"}
	h.refused(t, 401, "high_risk_reads_only", h.claims("bob", risky), "DELETE", milk+"/check", nil)
	h.want(t, 200, h.claims("bob", risky), "GET", milk, nil)
	h.want(t, 200, h.claims("bob", bearertest.Claims{"risk": "high", "acr": "urn:larder:acr:mfa"}), "DELETE", milk+"/check", nil)
	h.want(t, 204, h.guest, "DELETE", h.path+"/members/gus", nil)
}

// TestAFamilyAsksForASecondFactor has an admin demand one of members and, once
// he showed one himself, of admins.
func TestAFamilyAsksForASecondFactor(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	rules, strong := h.path+"/rules", bearertest.Claims{"acr": "urn:larder:acr:mfa"}
	h.rule(t, map[string]any{"second_factor_for": []string{"member", "guest"}})
	for _, path := range []string{"", "/lists", "/lists/" + h.shared + "/items"} {
		h.refused(t, 401, "second_factor_for_role", h.member, "GET", h.path+path, nil)
		h.want(t, 200, h.claims("bob", strong), "GET", h.path+path, nil)
		h.want(t, 200, h.admin, "GET", h.path+path, nil)
	}
	challenge := h.want(t, 401, h.member, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil).header.Get("WWW-Authenticate")
	if !strings.Contains(challenge, `error="insufficient_user_authentication"`) || !strings.Contains(challenge, `acr_values="urn:larder:acr:mfa"`) {
		t.Errorf("challenge %q", challenge)
	}
	h.want(t, 404, h.guest, "GET", h.path+"/lists/"+h.shared, nil) // no second factor would show it to him
	key, _ := h.issuer.APIKey(mustID(t, h.id), policy.Scopes()...)
	h.want(t, 200, caller{key}, "GET", h.path+"/lists", nil)

	own := map[string]any{"second_factor_for": []string{"admin"}}
	h.want(t, 401, h.admin, "PUT", rules, own, "If-Match", "*")
	h.want(t, 200, h.claims("ann", strong), "PUT", rules, own, "If-Match", "*")
	h.refused(t, 401, "second_factor_for_role", h.admin, "GET", h.path, nil)
	h.want(t, 200, h.member, "GET", h.path, nil)
	h.want(t, 400, h.claims("ann", strong), "PUT", rules, map[string]any{"second_factor_for": []string{"owner"}}, "If-Match", "*")
	h.want(t, 204, h.guest, "DELETE", h.path+"/members/gus", nil) // nobody is kept from leaving
}

// TestMembersInviteWhereTheFamilyLetsThem also tries what they may not: to
// invite an admin, or to hand out lists that are not theirs.
func TestMembersInviteWhereTheFamilyLetsThem(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	invitations := h.path + "/invitations"
	own := h.list(t, h.member, "Ben's party", "shared")
	guest := func(list string) map[string]any {
		return map[string]any{"role": "guest", "grants": []any{map[string]any{"list_id": list, "verbs": []string{"view"}}}}
	}
	h.refused(t, 403, "default_deny", h.member, "POST", invitations, guest(own))
	h.rule(t, map[string]any{"members_invite": true})
	token := h.want(t, 201, h.member, "POST", invitations, guest(own)).field(t, "token")
	h.want(t, 200, h.user("uma"), "POST", "/v1/invitations/accept", map[string]any{"token": token, "display_name": "Uma"})
	h.want(t, 200, h.user("uma"), "GET", h.path+"/lists/"+own, nil)
	h.want(t, 201, h.member, "POST", invitations, map[string]any{"role": "member"})
	h.refused(t, 403, "default_deny", h.member, "POST", invitations, map[string]any{"role": "admin"})
	h.refused(t, 403, "default_deny", h.member, "POST", invitations, guest(h.shared)) // the admin's to share
	h.refused(t, 403, "default_deny", h.guest, "POST", invitations, map[string]any{"role": "guest"})
	h.refused(t, 403, "default_deny", h.member, "GET", invitations, nil)
	h.want(t, 400, h.admin, "POST", invitations, guest(h.private))
	h.want(t, 400, h.admin, "POST", invitations, map[string]any{"role": "king"})
	h.rule(t, map[string]any{})
	h.refused(t, 403, "default_deny", h.member, "POST", invitations, map[string]any{"role": "guest"})
}

// TestPresumptionYieldsToRules has somebody check off by what the service
// remembers, and then changes the rules or the time zone behind its back.
func TestPresumptionYieldsToRules(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	check := h.items(h.shared) + "/" + h.item + "/check"
	now := time.Now().UTC()
	around := fmt.Sprintf(`{"read_only": {"days": [], "from": %q, "until": %q}}`, now.Add(-2*time.Hour).Format("15:04"), now.Add(2*time.Hour).Format("15:04"))
	behind := func(sql string, args ...any) {
		t.Helper()
		if _, err := h.db.Owner.Exec(t.Context(), sql, append([]any{h.id}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "PUT"} { // from the second on, by presumption
		h.want(t, 200, h.member, method, check, nil)
	}
	before := len(h.events(t))
	behind(`UPDATE grocery.families SET rules = $2, rules_version = rules_version + 1 WHERE id = $1`, around)
	h.refused(t, 403, "read_only_now", h.member, "DELETE", check, nil)
	if after := len(h.events(t)); after != before {
		t.Errorf("a refused check-off is in the feed: %d rows, then %d", before, after)
	}
	behind(`UPDATE grocery.families SET timezone = 'Etc/GMT+6' WHERE id = $1`)
	for _, method := range []string{"DELETE", "PUT", "DELETE"} {
		h.want(t, 200, h.member, method, check, nil)
	}
	behind(`UPDATE grocery.families SET timezone = 'UTC' WHERE id = $1`)
	h.refused(t, 403, "read_only_now", h.member, "PUT", check, nil)
}
