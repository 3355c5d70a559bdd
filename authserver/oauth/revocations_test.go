package oauth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"larder/authserver/oidc"
	"larder/internal/revocation"
)

func (h *harness) revocations(query string, auth ...string) answer {
	h.t.Helper()
	r := h.request(http.MethodGet, "/revocations"+query, nil)
	if len(auth) == 2 {
		r.SetBasicAuth(auth[0], auth[1])
	}
	return h.do(nil, r)
}

func TestResourceServerLearnsOfARevocation(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addResourceServer()
	empty := h.revocations("", "api", apiSecret)
	if empty.status != http.StatusOK || empty.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s", empty.status, empty.header, empty.body)
	}
	feed := func(a answer) revocations {
		var page revocations
		if err := json.Unmarshal([]byte(a.body), &page); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
		return page
	}
	if feed(empty).Entries == nil || len(feed(empty).Entries) != 0 {
		t.Errorf("nothing revoked: %s", empty.body)
	}
	ada := h.addUser("Ada")
	g, refresh := h.grant(ada.ID, "sid", "openid")
	expectRevoked(t, "refresh token", h.revoke(refresh, "web", webSecret))
	since := feed(empty).AsOf
	for range 2 { // the second time for the overlap
		page := feed(h.revocations("?since="+url.QueryEscape(since.Format(time.RFC3339Nano)), "api", apiSecret))
		if len(page.Entries) != 1 {
			t.Fatalf("%+v", page)
		}
		e := page.Entries[0]
		if e.Kind != revocation.Grant || e.Value != g.ID.String() || e.RevokedAt.IsZero() || !e.ExpiresAt.After(e.RevokedAt) {
			t.Errorf("%+v", e)
		}
		since = page.AsOf
	}
	if time.Since(since).Abs() > time.Minute {
		t.Errorf("as_of %s", since)
	}
}

func TestOnlyResourceServersReadTheFeed(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addResourceServer()
	h.addClient("spa", "", oidc.Metadata{IntrospectResource: testAPI})
	if a := h.revocations("", "web", webSecret); a.status != http.StatusBadRequest || a.errorCode() != unauthorizedClient {
		t.Errorf("a client that is none: %d %s", a.status, a.body)
	}
	expectInvalidClient(t, "nobody", h.revocations(""))
	expectInvalidClient(t, "wrong secret", h.revocations("", "api", "x"))
	expectInvalidClient(t, "public", h.revocations("?client_id=spa"))
	expectInvalidClient(t, "secret in the query", h.revocations("?client_id=api&client_secret="+apiSecret))
	for _, query := range []string{"?since=yesterday", "?since=2026-11-21", "?since=2026-11-21T10:00:00Z&since=2026-11-21T10:00:00Z", "?since=%zz"} {
		if a := h.revocations(query, "api", apiSecret); a.status != http.StatusBadRequest || a.errorCode() != invalidRequest {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}

// A reader that follows as_of misses nothing, however many entries there are
// and wherever pages end.
func TestRevocationPagesLoseNothing(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, step := range map[string]time.Duration{"over minutes": 10 * time.Millisecond, "at once": time.Microsecond, "in one moment": 0} {
		var set revocation.Set
		const many = 2*revocationPage + 17
		for i := range many {
			set.Add(start, revocation.Entry{
				Kind: revocation.JTI, Value: strconv.Itoa(i),
				RevokedAt: start.Add(time.Duration(i) * step), ExpiresAt: start.Add(time.Hour),
			})
		}
		seen := map[string]bool{}
		var since time.Time
		read := func(pages int) {
			for range pages {
				page := revocationsSince(&set, start, since)
				if step != 0 && len(page.Entries) > revocationPage {
					t.Errorf("%s: a page of %d", name, len(page.Entries))
				}
				for _, e := range page.Entries {
					seen[e.Value] = true
				}
				since = page.AsOf
			}
		}
		read(3)
		if len(seen) != many {
			t.Errorf("%s: %d of %d entries", name, len(seen), many)
		}
		newest := start.Add((many - 1) * step)
		set.Add(start, revocation.Entry{
			Kind: revocation.JTI, Value: "late", RevokedAt: newest.Add(-revocationOverlap / 2), ExpiresAt: start.Add(time.Hour),
		})
		if read(3); !seen["late"] {
			t.Errorf("%s: an entry that became visible late is lost", name)
		}
		if page := revocationsSince(&set, start.Add(2*time.Hour), start); len(page.Entries) != 0 {
			t.Errorf("%s: %d expired entries", name, len(page.Entries))
		}
	}
}
