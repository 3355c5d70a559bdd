package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// TestPresumptionYieldsToWhatIsSo has a caller whose check-offs go by what the
// service remembers of him, and then takes away, behind its back, what it goes by.
func TestPresumptionYieldsToWhatIsSo(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	for name, c := range map[string]struct {
		sql          string
		status, then int // at once, and for whoever may still see the list
	}{
		"removed":  {`DELETE FROM grocery.family_members WHERE family_id = $1 AND user_id = $3 AND $2::uuid IS NOT NULL`, 404, 200},
		"expired":  {`UPDATE grocery.family_members SET expires_at = now() WHERE family_id = $1 AND user_id = $3 AND $2::uuid IS NOT NULL`, 404, 200},
		"guest":    {`UPDATE grocery.family_members SET role = 'guest' WHERE family_id = $1 AND user_id = $3 AND $2::uuid IS NOT NULL`, 404, 200},
		"promoted": {`UPDATE grocery.family_members SET role = 'admin' WHERE family_id = $1 AND user_id = $3 AND $2::uuid IS NOT NULL`, 200, 200},
		"archived": {`UPDATE grocery.lists SET archived_at = now() WHERE family_id = $1 AND id = $2 AND $3::text IS NOT NULL`, 409, 409},
		"deleted":  {`DELETE FROM grocery.lists WHERE family_id = $1 AND id = $2 AND $3::text IS NOT NULL`, 404, 404},
		"the item": {`DELETE FROM grocery.items WHERE family_id = $1 AND list_id = $2 AND $3::text IS NOT NULL`, 404, 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := strings.ReplaceAll(name, " ", "") + "-"
			h := s.household(t, prefix)
			check := h.items(h.shared) + "/" + h.item + "/check"
			version := 1
			for _, method := range []string{"PUT", "DELETE", "PUT", "PUT", "DELETE"} {
				got := h.want(t, 200, h.member, method, check, nil)
				if version != 4 || method != "PUT" { // the second PUT in a row changes nothing
					version++
				}
				if etag := got.version(); etag != strconv.Itoa(version) {
					t.Errorf("%s gave version %s, not %d: %s", method, etag, version, got)
				}
			}
			before := len(h.events(t))
			if _, err := h.db.Owner.Exec(t.Context(), c.sql, h.id, h.shared, prefix+"bob"); err != nil {
				t.Fatal(err)
			}
			h.want(t, c.status, h.member, http.MethodPut, check, nil)
			want := before
			if c.status == 200 {
				want++
			}
			if after := len(h.events(t)); after != want {
				t.Errorf("the feed has %d rows, not %d", after, want)
			}
			h.want(t, c.then, h.admin, http.MethodDelete, check, nil)
		})
	}
}

// events lists the family's feed, oldest first.
func (h *household) events(t testing.TB) (events []string) {
	t.Helper()
	rows, err := h.db.Owner.Query(t.Context(), `SELECT event FROM grocery.change_feed WHERE family_id = $1 ORDER BY seq`, h.id)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var event string
		if err := rows.Scan(&event); err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	return events
}
