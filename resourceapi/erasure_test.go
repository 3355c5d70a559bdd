package main

import (
	"fmt"
	"strings"
	"testing"

	"larder/internal/id"
	"larder/resourceapi/erasure"
	"larder/resourceapi/policy"
)

// theIssuer is the identity provider itself, as it asks for an erasure.
func (s *service) theIssuer() caller {
	return caller{s.issuer.AppToken(s.issuer.URL, erasure.Scope)}
}

func (s *service) erase(t testing.TB, user string) {
	t.Helper()
	s.want(t, 204, s.theIssuer(), "POST", "/v1/erasures", map[string]any{"user_id": user})
}

// traces lists the columns in which somebody is still named.
func (s *service) traces(t testing.TB, user string) []string {
	t.Helper()
	var found []string
	for _, column := range strings1(t, s.db.Owner, `SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'grocery'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
		  AND a.atttypid IN ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype) AND c.relname <> 'audit_events'`) {
		table, name, _ := strings.Cut(column, ".")
		var n int
		err := s.db.Owner.QueryRow(t.Context(), fmt.Sprintf(`SELECT count(*) FROM grocery.%s WHERE %s::text LIKE '%%' || $1 || '%%'
			AND NOT (to_jsonb(%s) @> '{"event": "member.left"}')`, table, name, table), user).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			found = append(found, column)
		}
	}
	return found
}

func TestAnErasedPersonIsGone(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	member := "0198c1f0-aaaa-7000-8000-00000000000b"
	c := h.user(member)
	h.join(t, c, "member", nil)
	mine, shared := h.list(t, c, "Mine", "personal"), h.list(t, c, "Ours", "shared")
	secret, open := h.add(t, c, mine, "Ring"), h.add(t, c, shared, "Bread")
	h.want(t, 200, c, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	h.want(t, 200, c, "PATCH", h.items(h.shared)+"/"+h.item, map[string]any{"note": "fresh"})
	h.want(t, 200, h.admin, "PATCH", h.path+"/lists/"+shared, map[string]any{"assignee": member})
	h.want(t, 200, c, "PUT", h.path+"/diet", map[string]any{"avoid": []string{"nuts"}})
	h.want(t, 201, h.admin, "POST", h.path+"/children", map[string]any{"name": "Eve", "user_id": member, "avoid": []string{"eggs"}})
	h.want(t, 201, c, "POST", h.path+"/stores", map[string]any{"name": "Market"})
	h.want(t, 201, c, "POST", h.path+"/stores/"+h.store+"/prices", map[string]any{"name": "Milk", "amount": 99, "currency": "EUR"})
	h.want(t, 201, c, "POST", h.path+"/pantry", map[string]any{"name": "Salt", "quantity": 1})
	h.want(t, 201, c, "POST", h.path+"/recipes", map[string]any{"name": "Soup", "servings": 2})
	h.want(t, 201, c, "POST", h.path+"/favourites", map[string]any{"name": "Tea"})
	h.want(t, 200, c, "POST", h.path+"/sync", map[string]any{"operations": []any{map[string]any{
		"operation_id": id.New(), "op": "item.add", "list_id": shared, "item_id": id.New(), "fields": map[string]any{"name": map[string]any{"base": "", "value": "Jam"}},
	}}})
	hours := []any{
		map[string]any{"members": []string{member, "gus"}, "from": "07:00", "until": "20:00"}, map[string]any{"members": []string{member}, "from": "21:00", "until": "22:00"},
	}
	h.want(t, 200, h.admin, "PUT", h.path+"/rules", map[string]any{"hours": hours}, "If-Match", `"1"`)
	h.exec(t, `INSERT INTO grocery.webhook_deliveries (family_id, id, webhook_id, event, payload, status) VALUES ($1, gen_random_uuid(), $2, 'member.joined', $3, 'delivered')`,
		h.id, h.hook, `{"type":"member.joined","timestamp":"2026-11-22T09:30:00Z","data":{"family_id":"`+h.id+`","entity_id":"`+member+`","actor":"user:`+member+`"}}`)
	if len(h.traces(t, member)) < 12 {
		t.Fatalf("the person left too few traces for this test: %v", h.traces(t, member))
	}
	for range 2 { // it may be said again
		h.erase(t, member)
		if left := h.traces(t, member); len(left) > 0 {
			t.Errorf("the person is still named in %v", left)
		}
	}
	if got := h.want(t, 200, h.admin, "GET", h.path+"/rules", nil); !strings.Contains(string(got.body), `"hours":[{"members":["gus"],"days":[],"from":"07:00","until":"20:00"}]`) {
		t.Errorf("the hours of the others: %s", got)
	}
	if got := h.want(t, 200, h.admin, "GET", h.path+"/webhooks/"+h.hook+"/deliveries", nil); !strings.Contains(string(got.body), `"entity_id":"deleted","actor":"user:deleted"`) {
		t.Errorf("the message of who joined: %s", got)
	}
	h.want(t, 404, c, "GET", h.path, nil)
	if got := h.want(t, 200, h.admin, "GET", h.items(shared)+"/"+open, nil).field(t, "added_by"); got != "user:deleted" {
		t.Errorf("the item was added by %q", got)
	}
	var n int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM grocery.items WHERE id = $1) + (SELECT count(*) FROM grocery.lists WHERE id = $2)`,
		secret, mine).Scan(&n); err != nil || n != 0 {
		t.Errorf("of the personal list %d rows are left, %v", n, err)
	}
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM grocery.audit_events WHERE actor_id = $1`, member).Scan(&n); err != nil || n == 0 {
		t.Errorf("the audit log has %d events of the id, %v", n, err)
	}
}

func TestAFamilyOutlivesItsAdmin(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	other := h.household(t, "other-")
	other.join(t, h.admin, "member", nil)
	h.want(t, 204, h.theIssuer(), "POST", "/v1/erasures", map[string]any{"user_id": "ann"}, "Idempotency-Key", id.New().String()) // which it ignores
	other.want(t, 404, h.admin, "GET", other.path, nil)
	if got := h.want(t, 200, h.member, "GET", h.path+"/members", nil); !strings.Contains(string(got.body), `"role":"admin"`) || strings.Contains(string(got.body), "ann") {
		t.Errorf("after the only admin is gone: %s", got)
	}
	h.want(t, 200, h.member, "PATCH", h.path, map[string]any{"name": "Ours now"})
	// Somebody who had left is forgotten too.
	h.join2(t)
	// A family of one ends, and with guests only, too.
	h.erase(t, "bob")
	h.want(t, 404, h.guest, "GET", h.path, nil)
	var left int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM grocery.families WHERE id = $1) + (SELECT count(*) FROM grocery.items WHERE family_id = $1)
		+ (SELECT count(*) FROM grocery.change_feed WHERE family_id = $1)`, h.id).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows are left of the family, %v", left, err)
	}
	other.want(t, 200, other.admin, "GET", other.path, nil)
}

// join2 has somebody join, write and leave, and be erased after that.
func (h *household) join2(t *testing.T) {
	t.Helper()
	eve := h.user("eve-who-left")
	token := h.want(t, 201, h.member, "POST", h.path+"/invitations", map[string]any{"role": "member"}).field(t, "token")
	h.want(t, 200, eve, "POST", "/v1/invitations/accept", map[string]any{"token": token, "display_name": "Eve"})
	h.add(t, eve, h.shared, "Eggs")
	h.want(t, 204, eve, "DELETE", h.path+"/members/eve-who-left", nil)
	h.erase(t, "eve-who-left")
	if left := h.traces(t, "eve-who-left"); len(left) > 0 {
		t.Errorf("who had left is still named in %v", left)
	}
}

func TestOnlyTheIssuerErases(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	body := map[string]any{"user_id": "bob"}
	family, err := id.Parse(h.id)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := h.issuer.APIKey(family, append(policy.Scopes(), erasure.Scope)...)
	for name, c := range map[string]caller{
		"an admin": h.admin, "a person with the scope": {h.issuer.UserToken("ann", erasure.Scope)},
		"an app with the scope": {h.issuer.AppToken("other-app", erasure.Scope)}, "the issuer without": {h.issuer.AppToken(h.issuer.URL, policy.Scopes()...)},
		"a key with the scope": {key},
	} {
		if got := h.do(t, c, "POST", "/v1/erasures", body); got.status != 403 {
			t.Errorf("%s: %s", name, got)
		}
	}
	h.want(t, 400, h.theIssuer(), "POST", "/v1/erasures", map[string]any{"user_id": ""})
	h.erase(t, "nobody-knows-me")
	h.want(t, 200, h.member, "GET", h.path, nil)
	for _, statement := range []string{`UPDATE grocery.items SET added_by = 'user:zed'`, `UPDATE grocery.change_feed SET actor = 'user:zed'`} {
		tx, err := h.db.Grocery.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `SELECT set_config('app.family', $1, true), set_config('app.standing', 'admin', true), set_config('app.principal', 'user:ann', true)`, h.id); err != nil {
			t.Fatal(err)
		}
		if tag, err := tx.Exec(t.Context(), statement); err == nil && tag.RowsAffected() > 0 {
			t.Errorf("%s changed %d rows", statement, tag.RowsAffected())
		}
		_ = tx.Rollback(t.Context())
	}
}
