package main

import (
	"strings"
	"testing"

	"larder/resourceapi/policy"
)

func TestAnInvitationSaysWhatItIsTo(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	const preview, accept = "/v1/invitations/preview", "/v1/invitations/accept"
	invite := func(body map[string]any) map[string]any {
		t.Helper()
		return map[string]any{"token": h.want(t, 201, h.admin, "POST", h.path+"/invitations", body).field(t, "token")}
	}
	guest := invite(map[string]any{"role": "guest", "grants": []any{map[string]any{"list_id": h.granted, "verbs": []string{"view"}}}})
	if got := string(h.want(t, 200, h.alien, "POST", preview, guest).body); !strings.Contains(got, `"role":"guest","lists":["Party"],"invited_by":"Ann"`) ||
		!strings.Contains(got, `"family_name":"Bakers"`) || !strings.Contains(got, `"member_as":null`) {
		t.Errorf("a guest's invitation: %s", got)
	}
	at := h.path + "/invitations"
	made := h.want(t, 201, h.admin, "POST", at, map[string]any{"role": "member", "uses": 2})
	shown := h.want(t, 200, h.admin, "GET", made.header.Get("Location"), nil)
	if shown.field(t, "id") != made.field(t, "id") || strings.Contains(string(shown.body), "token") {
		t.Errorf("at its address: %s", shown)
	}
	h.want(t, 403, h.member, "GET", made.header.Get("Location"), nil)
	h.want(t, 404, h.admin, "GET", at+"/"+h.item, nil)
	member := invite(map[string]any{"role": "member"})
	for range 3 { // looking uses nothing up
		h.want(t, 200, h.user("dora"), "POST", preview, member)
	}
	h.want(t, 200, h.user("dora"), "POST", accept, map[string]any{"token": member["token"], "display_name": "Dora"})
	h.want(t, 404, h.user("eve"), "POST", preview, member)
	if got := h.want(t, 200, h.user("dora"), "POST", preview, member).field(t, "member_as"); got != "member" {
		t.Errorf("who is in is %q", got)
	}
	h.exec(t, `UPDATE grocery.invitations SET expires_at = now() - interval '1 second' WHERE family_id = $1`, h.id)
	h.want(t, 404, h.alien, "POST", preview, guest)
	h.want(t, 404, h.alien, "POST", preview, map[string]any{"token": "lri_nonsense"})
	h.want(t, 400, h.alien, "POST", preview, map[string]any{})
	h.want(t, 403, caller{h.issuer.AppToken("machine", policy.Scopes()...)}, "POST", preview, guest)
	if events := h.events(t); strings.Contains(strings.Join(events, " "), "preview") {
		t.Errorf("looking is told to the family: %v", events)
	}
}
