package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/internal/id"
)

// looks, with a sleep after each, take as long as patience does.
const looks = int(patience / nap)

const nap = 100 * time.Millisecond

func sleep(t testing.TB) {
	t.Helper()
	select {
	case <-time.After(nap):
	case <-t.Context().Done():
		t.Fatal("out of time")
	}
}

// together calls f n times at once and counts the statuses.
func together(n int, f func(i int) int) map[int]int {
	var (
		mu       sync.Mutex
		statuses = map[int]int{}
		start    = make(chan struct{})
		group    sync.WaitGroup
	)
	for i := range n {
		group.Go(func() {
			<-start
			status := f(i)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	close(start)
	group.Wait()
	return statuses
}

// waitForLock waits until somebody in the database waits for a lock.
func (h *household) waitForLock(t testing.TB) {
	t.Helper()
	for range looks {
		var waiting bool
		err := h.db.Owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE a.datname = current_database() AND NOT l.granted)`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
		if waiting {
			return
		}
		sleep(t)
	}
	t.Fatal("nobody waits")
}

func TestLastAdminStaysWhateverRaces(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.want(t, 409, h.admin, "DELETE", h.path+"/members/ann", nil)
	h.want(t, 409, h.admin, "PATCH", h.path+"/members/ann", map[string]any{"role": "member"})
	for range 10 {
		h.want(t, 200, h.admin, "PATCH", h.path+"/members/bob", map[string]any{"role": "admin"})
		together(2, func(i int) int {
			if i == 0 {
				return h.do(t, h.admin, "PATCH", h.path+"/members/bob", map[string]any{"role": "member"}).status
			}
			return h.do(t, h.member, "PATCH", h.path+"/members/ann", map[string]any{"role": "member"}).status
		})
		var admins []string
		rows, err := h.db.Owner.Query(t.Context(), `SELECT user_id FROM grocery.family_members WHERE family_id = $1 AND role = 'admin'`, h.id)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var who string
			if err := rows.Scan(&who); err != nil {
				t.Fatal(err)
			}
			admins = append(admins, who)
		}
		if len(admins) != 1 {
			t.Fatalf("admins after the race: %v", admins)
		}
		if admins[0] == "bob" {
			h.want(t, 200, h.member, "PATCH", h.path+"/members/ann", map[string]any{"role": "admin"})
		}
	}
}

func TestInvitationIsGoodForSoManyUses(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	token := h.want(t, 201, h.admin, "POST", h.path+"/invitations", map[string]any{"role": "member", "uses": 3}).field(t, "token")
	accept := func(name string) int {
		return h.do(t, h.user(name), "POST", "/v1/invitations/accept", map[string]any{"token": token, "display_name": name}).status
	}
	got := together(16, func(i int) int { return accept("racer-" + string(rune('a'+i))) })
	if got[http.StatusOK] != 3 || got[http.StatusNotFound] != 13 {
		t.Fatalf("16 racers for 3 places: %v", got)
	}
	var in int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM grocery.family_members WHERE user_id LIKE 'racer-%'`).Scan(&in); err != nil || in != 3 {
		t.Errorf("%d of them are in, %v", in, err)
	}
}

func TestOnePersonUsesAnInvitationUpOnce(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	token := h.want(t, 201, h.admin, "POST", h.path+"/invitations", map[string]any{"role": "member", "uses": 2}).field(t, "token")
	body := map[string]any{"token": token, "display_name": "Ivy"}
	got := together(8, func(int) int { return h.do(t, h.user("ivy"), "POST", "/v1/invitations/accept", body).status })
	if got[http.StatusOK] != 8 {
		t.Fatalf("one person, eight times: %v", got)
	}
	h.want(t, 200, h.user("jon"), "POST", "/v1/invitations/accept", body)
	h.want(t, 404, h.user("kim"), "POST", "/v1/invitations/accept", body)
}

func TestNoGoodInvitationsAllLookTheSame(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	revoked := h.want(t, 201, h.admin, "POST", h.path+"/invitations", map[string]any{"role": "member"})
	h.want(t, 204, h.admin, "DELETE", h.path+"/invitations/"+revoked.field(t, "id"), nil)
	expired := h.invite(t, "member", nil)
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.invitations SET expires_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	guess := []byte(expired)
	guess[len(guess)-5] ^= 1
	var first reply
	for name, token := range map[string]string{
		"revoked": revoked.field(t, "token"), "expired by a second": expired, "guessed": string(guess),
		"nonsense": "lri_x", "empty of sense": "x",
	} {
		got := h.want(t, 404, h.alien, "POST", "/v1/invitations/accept", map[string]any{"token": token, "display_name": "Zed"})
		if first.status == 0 {
			first = got
		}
		if got.field(t, "detail") != first.field(t, "detail") || got.field(t, "code") != "invitation_invalid" {
			t.Errorf("%s: %s differs from %s", name, got, first)
		}
	}
	h.want(t, 404, h.alien, "GET", h.path, nil)
}

func TestOfFiftyWritersWithOneETagOneWins(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	path := h.items(h.shared) + "/" + h.item
	etag := h.want(t, 200, h.admin, "GET", path, nil).header.Get("ETag")
	got := together(50, func(int) int {
		return h.do(t, h.admin, "PATCH", path, map[string]any{"note": "mine"}, "If-Match", etag).status
	})
	if got[200] != 1 || got[412] != 49 {
		t.Errorf("statuses: %v", got)
	}
	h.want(t, 428, h.admin, "DELETE", h.path+"/lists/"+h.shared, nil)
	h.want(t, 412, h.admin, "DELETE", h.path+"/lists/"+h.shared, nil, "If-Match", `"99"`)
	h.want(t, 204, h.admin, "DELETE", h.path+"/lists/"+h.shared, nil, "If-Match", `"1"`)
	h.want(t, 404, h.admin, "GET", h.path+"/lists/"+h.shared, nil)
	h.want(t, 428, h.admin, "DELETE", h.path, nil)
	h.want(t, 204, h.admin, "DELETE", h.path, nil, "If-Match", `"1"`)
	h.want(t, 404, h.admin, "GET", h.path, nil)
}

// blind are the routes that delete or replace and take no If-Match: what they are about has no version, or it is for
// somebody in a hurry (docs/decisions/0104-who-deletes-has-seen.md).
func blind(route string) bool {
	for _, end := range []string{"/items/{item_id}", "/check", "/members/{user_id}", "/permissions/{user_id}", "/apps/{client_id}", "/invitations/{invitation_id}"} {
		if strings.HasSuffix(route, end) {
			return true
		}
	}
	return false
}

func TestNothingIsDeletedOrReplacedUnseen(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.want(t, 200, h.admin, "PUT", h.path+"/diet", map[string]any{"avoid": []string{"milk"}})
	tried := 0
	for _, route := range h.tenantRoutes(t) {
		method, path, body := h.probe(route)
		if method != "DELETE" && method != "PUT" || blind(route) || path == h.path {
			continue
		}
		tried++
		h.want(t, 428, h.admin, method, path, body)
		h.want(t, 412, h.admin, method, path, body, "If-Match", `"99"`)
	}
	if tried < 11 {
		t.Errorf("only %d routes were tried", tried)
	}
}

func TestCreatingTheSameThingAgainIsCreatingItOnce(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	other := h.household(t, "other-")
	listID, itemID := id.New().String(), id.New().String()
	list := map[string]any{"id": listID, "name": "Offline", "kind": "shared"}
	got := together(8, func(int) int { return h.do(t, h.admin, "POST", h.path+"/lists", list).status })
	if got[201] != 8 {
		t.Errorf("eight times the same list: %v", got)
	}
	item := map[string]any{"id": itemID, "name": "Salt", "quantity": 0.25}
	got = together(8, func(int) int { return h.do(t, h.admin, "POST", h.items(listID), item).status })
	if got[201] != 8 {
		t.Errorf("eight times the same item: %v", got)
	}
	h.want(t, 409, h.admin, "POST", h.path+"/lists", map[string]any{"id": listID, "name": "Another"})
	h.want(t, 409, h.admin, "POST", h.items(listID), map[string]any{"id": itemID, "name": "Pepper"})
	// The same ids in another family are that family's business.
	other.want(t, 201, other.admin, "POST", other.path+"/lists", list)
	other.want(t, 201, other.admin, "POST", other.items(listID), item)
}
