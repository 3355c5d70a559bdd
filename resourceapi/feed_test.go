package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/internal/id"
	"larder/internal/revocation"
	"larder/resourceapi/bearer/bearertest"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// event is one event of a stream.
type event struct {
	name, id string
	data     map[string]any
}

func (e event) text(member string) string {
	s, _ := e.data[member].(string)
	return s
}

// follower reads a stream in the background.
type follower struct {
	t      testing.TB
	events chan event // closed when the stream is over
	told   bool       // of a change, perhaps, before the end
	stop   context.CancelFunc
}

// follow opens the family's feed, and waits for its first event.
func (h *household) follow(t testing.TB, c caller, lastEventID string) (*follower, event) {
	t.Helper()
	h.settle(t)
	f := h.openFeed(t, c, lastEventID)
	return f, f.next(t)
}

// settle waits until no transaction of the whole server is older than the
// family's last change: until then that one still counts as to come.
func (h *household) settle(t testing.TB) {
	t.Helper()
	for range looks {
		var settled bool
		if err := h.db.Owner.QueryRow(t.Context(), `SELECT coalesce(max(tx) < pg_snapshot_xmin(pg_current_snapshot()), true) FROM grocery.change_feed WHERE family_id = $1`,
			h.id).Scan(&settled); err != nil {
			t.Fatal(err)
		}
		if settled {
			return
		}
		sleep(t)
	}
	t.Fatal("a transaction on this server does not end")
}

func (h *household) openFeed(t testing.TB, c caller, lastEventID string) *follower {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", h.base+h.path+"/feed", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if lastEventID != "" {
		r.Header.Set("Last-Event-ID", lastEventID)
	}
	answer, err := http.DefaultClient.Do(r) //nolint:bodyclose // whoever reads it closes it
	for n := 0; err == nil && answer.StatusCode == http.StatusTooManyRequests && n < looks; n++ {
		_ = answer.Body.Close() // it is not heard yet that streams of before were left
		sleep(t)
		answer, err = http.DefaultClient.Do(r) //nolint:bodyclose // as above
	}
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the feed answers %s %v", answer.Status, answer.Header)
	}
	f := &follower{t: t, events: make(chan event, 4096), stop: stop}
	go func() {
		defer answer.Body.Close()
		defer close(f.events)
		var e event
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				if err := json.Unmarshal([]byte(value), &e.data); err != nil {
					t.Errorf("%v in %q", err, value)
				}
			case "":
				if e.name != "" {
					f.events <- e
				}
				e = event{}
			}
		}
	}()
	return f
}

// patience is for what happens in the background, on a machine that may be busy with much else.
const patience = 2 * time.Minute

// next returns the next event; a stream that is over gives a zero one.
func (f *follower) next(t testing.TB) event {
	t.Helper()
	select {
	case e := <-f.events:
		return e
	case <-time.After(patience):
		t.Fatal("no event came")
	}
	return event{}
}

// nextButSharing skips the news that a list is shared, or is not any more:
// whether that comes before or after the reset depends on what else the server
// was doing.
func (f *follower) nextButSharing(t testing.TB) event {
	t.Helper()
	for {
		if e := f.next(t); e.text("event") != "list.shared" && e.text("event") != "list.unshared" {
			return e
		}
	}
}

// sees reads change events until all entities were told of, in this order.
func (f *follower) sees(t testing.TB, changes ...string) (last event) {
	t.Helper()
	for _, want := range changes {
		e := f.nextButSharing(t)
		if got := e.text("event") + " " + e.text("entity_id"); e.name != "change" || got != want {
			t.Fatalf("got %+v, want %s", e, want)
		}
		last = e
	}
	return last
}

// ends wants the stream to end for the reason, with no change told of before
// unless one may be.
// Five seconds are promised; the machine may be busy.
func (f *follower) ends(t testing.TB, reason string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e, open := <-f.events:
			switch {
			case !open:
				t.Fatal("the stream broke off without a reason")
			case e.name == "change" && f.told:
				continue
			case e.name != "end" || e.text("reason") != reason:
				t.Fatalf("got %+v, want the end, %s", e, reason)
			}
			if e, open := <-f.events; open {
				t.Fatalf("after the end came %+v", e)
			}
			return
		case <-deadline:
			t.Fatalf("still open, want the end, %s", reason)
		}
	}
}

func TestFeedTellsWhatHappensAndGoesOnWhereItBroke(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	f, ready := h.follow(t, h.member, "")
	if ready.name != "ready" || ready.id == "" {
		t.Fatalf("first came %+v", ready)
	}
	first := h.add(t, h.admin, h.shared, "Flour")
	h.want(t, 200, h.member, "PUT", h.items(h.shared)+"/"+first+"/check", nil)
	h.add(t, h.admin, h.private, "Ring") // not for the member
	h.want(t, 204, h.admin, "DELETE", h.items(h.shared)+"/"+first, nil)
	last := f.sees(t, "item.added "+first, "item.checked "+first, "item.removed "+first)
	if last.text("actor") != "user:ann" || last.text("list_id") != h.shared || last.data["version"] != nil {
		t.Errorf("the removal is told as %+v", last)
	}
	f.stop()

	second := h.add(t, h.admin, h.shared, "Salt")
	for name, from := range map[string]string{"where it broke": last.id, "the beginning": ready.id} {
		f, again := h.follow(t, h.member, from)
		if again.name != "ready" || again.id != from {
			t.Errorf("from %s: first came %+v", name, again)
		}
		if from == ready.id {
			f.sees(t, "item.added "+first, "item.checked "+first, "item.removed "+first)
		}
		f.sees(t, "item.added "+second)
		f.stop()
	}
	// The owner of the personal list sees that too, and her cursor is not the member's.
	mine, _ := h.follow(t, h.admin, "")
	another := h.add(t, h.admin, h.private, "Book")
	mine.sees(t, "item.added "+another)
	if _, reset := h.follow(t, h.admin, last.id); reset.name != "reset" {
		t.Errorf("with another's cursor came %+v", reset)
	}
}

func TestFeedOfAGuestHoldsTheListsHeWasGranted(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	f, ready := h.follow(t, h.guest, "")
	h.add(t, h.admin, h.shared, "Wine")
	h.join(t, h.user("kim"), "member", nil) // guests are not told of people
	cake := h.add(t, h.admin, h.granted, "Candles")
	last := f.sees(t, "item.added "+cake)
	if !strings.HasSuffix(last.id, ready.id[strings.LastIndex(ready.id, "-"):]) {
		t.Errorf("cursors %s and %s of the same standing differ in it", ready.id, last.id)
	}
	// More is shown to him: he must read afresh, and then sees both lists.
	h.want(t, 200, h.admin, "PUT", h.path+"/lists/"+h.shared+"/permissions/gus", map[string]any{"verbs": []string{"view"}})
	if reset := f.nextButSharing(t); reset.name != "reset" || reset.text("reason") != "standing" {
		t.Fatalf("after the grant came %+v", reset)
	}
	wine := h.add(t, h.admin, h.shared, "Cork")
	f.sees(t, "item.added "+wine)
	// It is taken away again: not a word of that list any more.
	h.want(t, 204, h.admin, "DELETE", h.path+"/lists/"+h.shared+"/permissions/gus", nil)
	if reset := f.nextButSharing(t); reset.name != "reset" {
		t.Fatalf("after the withdrawal came %+v", reset)
	}
	h.add(t, h.admin, h.shared, "Secret")
	plate := h.add(t, h.admin, h.granted, "Plates")
	f.sees(t, "item.added "+plate)
	if _, reset := h.follow(t, h.guest, ready.id); reset.name != "ready" {
		t.Errorf("the old standing again: %+v", reset)
	}
}

func TestFeedEndsWithTheRightToIt(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	parsed, err := id.Parse(h.id)
	if err != nil {
		t.Fatal(err)
	}
	h.want(t, 201, h.admin, "POST", h.path+"/apps", map[string]any{"client_id": "bot", "scopes": []string{"lists:read"}})
	key, keyID := h.issuer.APIKey(parsed, "lists:read")
	scopes := strings.Join(policy.Scopes(), " ")
	for name, end := range map[string]struct {
		who    caller
		reason string
		by     func()
	}{
		"removed": {h.member, "removed", func() { h.want(t, 204, h.admin, "DELETE", h.path+"/members/bob", nil) }},
		"a guest's time is up": {h.guest, "removed", func() {
			if _, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.family_members SET expires_at = now() + interval '2 seconds' WHERE user_id = 'gus'`); err != nil {
				t.Error(err)
			}
			h.add(t, h.admin, h.granted, "Nudge") // of the end of his time he learns as he reads
		}},
		"uninstalled": {caller{h.issuer.AppToken("bot", "lists:read")}, "removed", func() {
			h.want(t, 204, h.admin, "DELETE", h.path+"/apps/bot", nil)
		}},
		"key revoked":   {caller{key}, "revoked", func() { h.issuer.Revoke(revocation.APIKey, keyID) }},
		"token expires": {caller{}, "expired", func() {}}, // it is made when its turn has come
		"session revoked": {
			caller{h.issuer.Token(bearertest.Claims{"sub": "ann", "scope": scopes, "sid": "the-session"})},
			"revoked", func() { h.issuer.Revoke(revocation.Session, "the-session") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			h.settle(t) // before the token is made: how long that takes depends on what else the server does
			if name == "token expires" {
				end.who = caller{h.issuer.Token(bearertest.Claims{"sub": "ann", "scope": scopes, "exp": time.Now().Add(3 * time.Second).Unix()})}
			}
			f, _ := h.follow(t, end.who, "")
			end.by()
			if name == "a guest's time is up" {
				f.told = true
			}
			if end.reason == "removed" && name != "a guest's time is up" {
				h.add(t, h.admin, h.shared, "Unseen")
			}
			f.ends(t, end.reason)
			status := http.StatusNotFound
			if end.reason != "removed" {
				status = http.StatusUnauthorized
			}
			if name == "token expires" {
				time.Sleep(6 * time.Second) // requests are let have a few seconds more
			}
			h.want(t, status, end.who, "GET", h.path+"/feed", nil)
		})
	}
}

func TestFeedIsRefusedToWhoMayNot(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	h.want(t, 403, h.scoped("ann", "family:read"), "GET", h.path+"/feed", nil)
	h.want(t, 404, h.alien, "GET", h.path+"/feed", nil)
	for _, cursor := range []string{"x", "1-2-3", "1-2-3-0000000g", "+1-2-3-00000000", "1-2-3-00000000!", strings.Repeat("9", 100)} {
		h.want(t, 400, h.admin, "GET", h.path+"/feed", nil, "Last-Event-ID", cursor)
	}
	for name, cursor := range map[string]tenant.Cursor{
		"too_old": {Tx: 5, Seq: 1, At: time.Now().Add(-30 * 24 * time.Hour)},
		"unknown": {Tx: 1 << 60, Seq: 1, At: time.Now()},
	} {
		f, reset := h.follow(t, h.admin, cursor.String())
		if reset.name != "reset" || reset.text("reason") != name {
			t.Errorf("with a cursor %s came %+v", name, reset)
		}
		item := h.add(t, h.admin, h.shared, "After "+name)
		f.sees(t, "item.added "+item)
		f.stop()
	}
	// Without the family's own scope lists are all that is told.
	lists, _ := h.follow(t, h.scoped("ann", "lists:read"), "")
	all, _ := h.follow(t, h.admin, "")
	h.join(t, h.user("lou"), "member", nil)
	item := h.add(t, h.admin, h.shared, "Oil")
	lists.sees(t, "item.added "+item)
	if e := all.next(t); e.text("event") != "invitation.created" {
		t.Errorf("the admin is first told of %+v", e)
	}
	// So many streams and no more.
	for range 14 {
		h.openFeed(t, h.admin, "")
	}
	if got := h.want(t, 429, h.admin, "GET", h.path+"/feed", nil); got.field(t, "code") != "too_many_streams" || got.header.Get("Retry-After") == "" {
		t.Errorf("the 17th stream: %s", got)
	}
	lists.stop()
	for range looks {
		if h.headOfFeed(t, h.admin) == http.StatusOK {
			return
		}
		sleep(t)
	}
	t.Error("a place that was left is not given away again")
}

func (h *household) headOfFeed(t testing.TB, c caller) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "HEAD", h.base+h.path+"/feed", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// TestNothingIsSkippedInTheFeedWhateverOrderItCommitsIn has many writers at
// once over two replicas, whose numbers and commits cross.
func TestNothingIsSkippedInTheFeedWhateverOrderItCommitsIn(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	second := newServiceOn(t, h.db, nil)
	replica := *h
	replica.service = second
	replica.admin = second.user("ann")
	here, _ := h.follow(t, h.admin, "")
	there, _ := replica.follow(t, replica.admin, "")
	const writers, each = 8, 25
	want := map[string]bool{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for n := range each {
				at := h
				if n%2 == 0 {
					at = &replica
				}
				made := at.add(t, at.admin, h.shared, "Item "+strconv.Itoa(i)+"/"+strconv.Itoa(n))
				mu.Lock()
				want[made] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for name, f := range map[string]*follower{"here": here, "there": there} {
		seen := map[string]bool{}
		for len(seen) < len(want) {
			e := f.next(t)
			entity := e.text("entity_id")
			if e.name != "change" || !want[entity] || seen[entity] {
				t.Fatalf("%s after %d: %+v", name, len(seen), e)
			}
			seen[entity] = true
		}
	}
}

func TestFeedForgetsWhatIsTooOld(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.change_feed SET occurred_at = now() - interval '31 days' WHERE family_id = $1 AND list_id = $2`, h.id, h.shared); err != nil {
		t.Fatal(err)
	}
	for range 400 {
		h.want(t, 200, h.admin, "PATCH", h.path, map[string]any{"name": "Bakers"})
		var old, kept int
		if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE list_id = $2 AND occurred_at < now() - interval '30 days'), count(*) FROM grocery.change_feed WHERE family_id = $1`,
			h.id, h.shared).Scan(&old, &kept); err != nil {
			t.Fatal(err)
		}
		if old == 0 {
			if kept < 5 {
				t.Errorf("only %d changes are left", kept)
			}
			return
		}
	}
	t.Error("old changes are still there after 400 new ones")
}

func TestStreamsEndWhenTheServiceDrains(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	ctx, drain := context.WithCancel(t.Context())
	replica := *h
	replica.service = newServiceOn(t, h.db, nil)
	f, _ := replica.follow(t, replica.user("ann"), "")
	var running sync.WaitGroup
	running.Go(func() { replica.feeds.Run(ctx) })
	drain()
	f.ends(t, "shutdown")
	running.Wait()
	replica.want(t, 503, replica.user("ann"), "GET", h.path+"/feed", nil)
}

func TestIdleStreamsAreCheap(t *testing.T) {
	h := newHousehold(t)
	const streams, enough = 500, 20 << 10 // bytes: 2,000 of them are 40 MB
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	people := make([]caller, streams/10)
	for i := range people {
		people[i] = h.user("idle-" + strconv.Itoa(i))
		h.join(t, people[i], "member", nil)
	}
	before := used()
	buffer := make([]byte, 64)
	for i := range streams {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(h.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = conn.Write([]byte("GET " + h.path + "/feed HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer " + people[i%len(people)].token + "\r\n\r\n"))
		if n, readErr := conn.Read(buffer); err != nil || readErr != nil || !strings.HasPrefix(string(buffer[:n]), "HTTP/1.1 200") {
			t.Fatalf("stream %d: %q, %v, %v", i, buffer[:n], err, readErr)
		}
	}
	each := (used() - before) / streams
	t.Logf("an idle stream takes %d bytes", each)
	if each > enough {
		t.Errorf("an idle stream takes %d bytes, want at most %d", each, enough)
	}
}
