package main

import "testing"

func TestFamilyIsHandedOver(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	members := h.path + "/members/"
	h.want(t, 403, h.member, "POST", members+"ann/transfer", nil)
	h.want(t, 404, h.admin, "POST", members+"zed/transfer", nil)
	for _, nobody := range []string{"ann", "gus"} {
		if got := h.want(t, 409, h.admin, "POST", members+nobody+"/transfer", nil); got.field(t, "code") != "not_a_member" {
			t.Errorf("to %s: %s", nobody, got)
		}
	}
	if got := h.want(t, 200, h.admin, "POST", members+"bob/transfer", nil); got.field(t, "role") != "admin" {
		t.Errorf("got %s", got)
	}
	h.want(t, 403, h.admin, "PATCH", h.path, map[string]any{"name": "Mine"})
	h.want(t, 200, h.member, "PATCH", h.path, map[string]any{"name": "The Bobs"})
	h.want(t, 409, h.member, "DELETE", members+"bob", nil) // he is the last admin now
	h.want(t, 204, h.admin, "DELETE", members+"ann", nil)  // and she may leave
}
