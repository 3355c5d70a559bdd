package main

import (
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/internal/secret"
)

// disowned is a person at a browser of their own and at a stranger's.
type disowned struct {
	*town
	owner, stranger *visitor
	email           string
	link            string // of the mail about the stranger's browser
}

// theft has somebody else sign in, on the other replica, and let an app in for good.
func theft(t *testing.T, w *town, email string) *disowned {
	t.Helper()
	d := &disowned{town: w, owner: w.join(t, email), stranger: w.visitor(t), email: email}
	d.stranger.replica = w.replicas[1]
	d.owner.expect(d.owner.signIn(email, testPassword), 303, "/account")
	d.stranger.expect(d.stranger.signIn(email, testPassword), 303, "/account")
	l := w.next(t, email, func(l letter) bool { return strings.HasPrefix(l.subject, newSignIn) })
	if len(l.links) != 1 {
		t.Fatalf("the mail has the links %q, want one", l.links)
	}
	d.link = l.links[0]
	var client struct {
		ID string `json:"client_id"`
	}
	w.must(t, &client, "", "client", "create", "--name", "App", "--redirect-uri", "https://app.example.com/cb", "--scope", "openid offline_access")
	const let = `
WITH d AS (SELECT user_id, sid, device_hash FROM auth.recognised_devices JOIN auth.emails e USING (user_id) WHERE e.canonical = $1 ORDER BY first_at DESC LIMIT 1),
     t AS (INSERT INTO auth.trusted_devices (id, user_id, device_hash, name, password_changed_at, trusted_at, expires_at)
           SELECT gen_random_uuid(), user_id, device_hash, 'x', NULL, now(), now() + interval '1 day' FROM d),
     c AS (INSERT INTO auth.session_clients (sid, client_id, user_id, expires_at) SELECT sid, $2, user_id, now() + interval '1 day' FROM d)
INSERT INTO auth.grants (id, client_id, user_id, sid, scopes, resources, session, idle_expires_at, expires_at)
SELECT gen_random_uuid(), $2, user_id, sid, '{openid,offline_access}', '{}', '{}', now() + interval '1 day', now() + interval '1 day' FROM d`
	if _, err := w.db.Owner.Exec(t.Context(), let, email, client.ID); err != nil {
		t.Fatal(err)
	}
	return d
}

// isOver checks that all of the stranger's has ended, and nothing of the owner's.
func (d *disowned) isOver(t *testing.T) {
	t.Helper()
	d.stranger.expect(d.stranger.get("/account"), 303, "/login")
	d.owner.expect(d.owner.get("/account"), 200, d.email)
	const mine = ` JOIN auth.emails e USING (user_id) WHERE e.canonical = $1`
	for what, query := range map[string]string{
		"grants in force":         `SELECT count(*) FROM auth.grants` + mine + ` AND revoked_at IS NULL`,
		"trusted devices":         `SELECT count(*) FROM auth.trusted_devices` + mine,
		"unmarked passwords":      `SELECT count(*) FROM auth.passwords` + mine + ` AND breached_at IS NULL`,
		"apps that were not told": `SELECT count(*) FROM auth.session_clients` + mine,
		"devices but the own":     `SELECT count(*) - 1 FROM auth.recognised_devices` + mine,
	} {
		if n := d.count(t, query, d.email); n != 0 {
			t.Errorf("%d %s are left", n, what)
		}
	}
	// The password alone lets nobody in at a browser that is not recognised, and its owner in at their own.
	d.stranger.expect(d.stranger.signIn(d.email, testPassword), 303, "/login/mfa")
	d.owner.expect(d.owner.signIn(d.email, testPassword), 303, "/account")
}

// loses has Redis forget a visitor's session.
func (w *world) loses(t *testing.T, v *visitor) {
	t.Helper()
	options, err := redis.ParseURL(w.env["AUTHSERVER_REDIS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(options)
	defer rdb.Close()
	at, err := url.Parse(v.replica.url)
	if err != nil {
		t.Fatal(err)
	}
	lost := int64(0)
	for _, c := range v.Jar.Cookies(at) {
		lost += rdb.Del(t.Context(), "session:"+hex.EncodeToString(secret.Sum(c.Value))).Val()
	}
	if lost != 1 {
		t.Fatalf("%d sessions were lost, want 1", lost)
	}
}

func TestTheMailOfANewBrowserEndsThatSignInAndNoMore(t *testing.T) {
	t.Parallel()
	d := theft(t, newTown(t), "nina@example.com")
	reader := d.visitor(t) // of the mail, signed in nowhere
	for range 2 {          // a mail scanner
		reader.expect(reader.get(d.link), 200, "Was this not you?")
	}
	d.stranger.expect(d.stranger.get(d.link), 200, "(this device)")
	d.stranger.expect(d.stranger.get("/account"), 200, d.email)
	d.loses(t, d.stranger)
	reader.header = map[string][]string{"Sec-Fetch-Site": {"cross-site"}}
	reader.expect(reader.press(d.link, "verify"), 403, "")
	reader.header = nil
	done := reader.expect(reader.press(d.link, "verify"), 200, "That device is signed out")
	if !strings.Contains(done.Body, `action="/forgot"`) || !strings.Contains(done.Body, `value="`+d.email+`"`) {
		t.Errorf("no way to a new password:\n%s", done.Body)
	}
	d.isOver(t)
	reader.expect(reader.press(d.link, "verify"), 404, "used already")
	reader.expect(reader.get("/account"), 303, "/login")
	d.settle(t, `SELECT count(*) FROM auth.audit_events WHERE action = 'login.disowned'`, 1)
}

func TestARecentSignInIsDisownedByItsOwner(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := theft(t, w, "nina@example.com")
	other := w.join(t, "otto@example.com")
	other.expect(other.signIn("otto@example.com", testPassword), 303, "/account")
	var sid string
	for deadline := time.Now().Add(patience); sid == ""; time.Sleep(20 * time.Millisecond) { // the audit log is written behind the requests
		page := d.owner.get("/account/security").Body
		offered := regexp.MustCompile(`name="sid" value="([^"]+)"`).FindAllStringSubmatch(page, -1)
		if len(offered) == 1 && strings.Contains(page, "(this device)") {
			sid = offered[0][1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("the stranger's is not among the recent sign-ins:\n%s", page)
		}
	}
	other.expect(other.press("/account/security", "not-me", "sid", sid), 303, "done=not-me")
	d.stranger.expect(d.stranger.get("/account"), 200, d.email)
	if n := d.count(t, `SELECT count(*) FROM auth.audit_events WHERE action = 'login.disowned'`) + d.count(t, `SELECT count(*) FROM auth.revocations WHERE kind = 'sid'`); n != 0 {
		t.Error("somebody ended what is another's")
	}
	for range 2 { // pressed twice
		d.owner.expect(d.owner.press("/account/security", "not-me", "sid", sid), 303, "done=not-me")
	}
	d.owner.expect(d.owner.get("/account/security?done=not-me"), 200, "choose a new one now")
	d.isOver(t)
	// A link that comes after another password says nothing against that one.
	d.owner.expect(d.owner.press("/account/security", "password", "current_password", testPassword, "password", otherPassword), 303, "done=password")
	d.owner.expect(d.owner.press(d.link, "verify"), 303, "done=not-me")
	if n := d.count(t, `SELECT count(*) FROM auth.passwords WHERE breached_at IS NOT NULL`); n != 0 {
		t.Error("the new password counts as known to others")
	}
	d.owner.expect(d.owner.get("/account"), 200, d.email)
}
