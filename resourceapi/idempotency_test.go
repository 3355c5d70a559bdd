package main

import (
	"bytes"
	"strings"
	"testing"

	"larder/internal/id"
)

func TestARequestWithAKeyIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	body := map[string]any{"name": "Butter"}
	first := h.want(t, 201, h.admin, "POST", h.items(h.shared), body, "Idempotency-Key", "k-1")
	again := h.want(t, 201, h.admin, "POST", h.items(h.shared), body, "Idempotency-Key", `"k-1"`)
	if !bytes.Equal(first.body, again.body) || again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("first %s, again %s %v", first, again, again.header)
	}
	for _, name := range []string{"Etag", "Location", "Content-Type"} {
		if first.header.Get(name) != again.header.Get(name) {
			t.Errorf("%s: %q, then %q", name, first.header.Get(name), again.header.Get(name))
		}
	}
	code := func(want string, got reply) {
		t.Helper()
		if got.field(t, "code") != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	code("idempotency_key_reused", h.want(t, 422, h.admin, "POST", h.items(h.shared), map[string]any{"name": "Jam"}, "Idempotency-Key", "k-1"))
	code("idempotency_key_reused", h.want(t, 422, h.admin, "POST", h.items(h.granted), body, "Idempotency-Key", "k-1"))
	code("idempotency_key_reused", h.want(t, 422, h.scoped("ann", "lists:write lists:read"), "POST", h.items(h.shared), body, "Idempotency-Key", "k-1"))
	// Another person's keys are his own, and a refused request leaves its key free.
	if other := h.want(t, 201, h.member, "POST", h.items(h.shared), body, "Idempotency-Key", "k-1"); bytes.Equal(other.body, first.body) {
		t.Error("a member got the admin's answer")
	}
	h.want(t, 400, h.admin, "POST", h.items(h.shared), map[string]any{"name": ""}, "Idempotency-Key", "k-2")
	h.want(t, 201, h.admin, "POST", h.items(h.shared), body, "Idempotency-Key", "k-2")
	for _, bad := range []string{"", `""`, "a b", "a\"b", strings.Repeat("k", 256)} {
		h.want(t, 400, h.admin, "POST", h.items(h.shared), body, "Idempotency-Key", bad)
	}

	// An edit that was made is not made again, though its precondition no longer holds.
	item := h.items(h.shared) + "/" + h.item
	for range 2 {
		edited := h.want(t, 200, h.admin, "PATCH", item, map[string]any{"note": "fresh"}, "If-Match", `"1"`, "Idempotency-Key", "k-3")
		if edited.version() != "2" {
			t.Errorf("version %s after the edit", edited.header.Get("ETag"))
		}
	}

	// After a day the key is forgotten.
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.idempotency_keys SET done_at = now() - interval '25 hours'`); err != nil {
		t.Fatal(err)
	}
	if anew := h.want(t, 201, h.admin, "POST", h.items(h.shared), body, "Idempotency-Key", "k-1"); bytes.Equal(anew.body, first.body) {
		t.Error("an answer of yesterday was replayed")
	}
	h.sweeper.Sweep(t.Context())
	var kept int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM grocery.idempotency_keys`).Scan(&kept); err != nil || kept != 1 {
		t.Errorf("%d keys are kept after the sweep, %v; want the one of today", kept, err)
	}
}

func TestAnOldAnswerIsForWhoStillStandsAsHeDid(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	invitation := map[string]any{"role": "guest"}
	made := h.want(t, 201, h.admin, "POST", h.path+"/invitations", invitation, "Idempotency-Key", "invite")
	if again := h.want(t, 201, h.admin, "POST", h.path+"/invitations", invitation, "Idempotency-Key", "invite"); again.field(t, "token") != made.field(t, "token") {
		t.Error("another token came back")
	}
	var kept string
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT encode(answer, 'escape') FROM grocery.idempotency_keys`).Scan(&kept); err != nil || strings.Contains(kept, made.field(t, "token")) {
		t.Errorf("the token lies open in the database, or %v", err)
	}
	h.want(t, 200, h.admin, "PATCH", h.path+"/members/bob", map[string]any{"role": "admin"})
	h.want(t, 200, h.member, "PATCH", h.path+"/members/ann", map[string]any{"role": "member"})
	if got := h.want(t, 403, h.admin, "POST", h.path+"/invitations", invitation, "Idempotency-Key", "invite"); got.field(t, "code") != "standing_changed" {
		t.Errorf("got %s", got)
	}
	h.want(t, 204, h.member, "DELETE", h.path+"/members/ann", nil)
	h.want(t, 404, h.admin, "POST", h.path+"/invitations", invitation, "Idempotency-Key", "invite")

	// Founding and joining have no family to stand in yet.
	founding := map[string]any{"name": "Hill", "display_name": "Jo"}
	jo := h.user("jo")
	a := h.want(t, 201, jo, "POST", "/v1/families", founding, "Idempotency-Key", "found")
	b := h.want(t, 201, jo, "POST", "/v1/families", founding, "Idempotency-Key", "found")
	if a.field(t, "id") != b.field(t, "id") || b.header.Get("Idempotency-Replayed") == "" {
		t.Errorf("founded twice: %s, %s", a, b)
	}
}

func TestOneKeyRacingIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	body := map[string]any{"name": "Raced"}
	for _, key := range []string{"one", "two", "three", "four"} {
		got := together(16, func(int) int {
			return h.do(t, h.admin, "POST", h.items(h.shared), body, "Idempotency-Key", key).status
		})
		if got[201] < 1 || got[201]+got[409] != 16 {
			t.Errorf("16 at once: %v, want 201 and 409", got)
		}
	}
	var made int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM grocery.items WHERE name = 'Raced'`).Scan(&made); err != nil || made != 4 {
		t.Errorf("%d items were made, %v; want one for each key", made, err)
	}
}

// Every POST and PATCH keeps the promise, whichever feature answers it.
func TestEveryChangeTakesAKey(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	replayed := 0
	for _, route := range h.tenantRoutes(t) {
		method, path, body := h.probe(route)
		if method != "POST" && method != "PATCH" {
			continue
		}
		key := id.New().String()
		first := h.do(t, h.admin, method, path, body, "Idempotency-Key", key)
		again := h.do(t, h.admin, method, path, body, "Idempotency-Key", key)
		switch {
		case first.status != again.status:
			t.Errorf("%s: %s, then %s", route, first, again)
		case first.status < 300 && again.header.Get("Idempotency-Replayed") != "":
			replayed++
			if !bytes.Equal(first.body, again.body) {
				t.Errorf("%s: %s, then %s", route, first, again)
			}
		case first.status < 300 && !strings.HasSuffix(path, "/sync"):
			t.Errorf("%s: %s was carried out twice", route, first)
		}
		if first.status >= 500 {
			t.Errorf("%s: %s", route, first)
		}
	}
	if replayed < 15 {
		t.Errorf("only %d routes were replayed: the probes are not read right", replayed)
	}
}
