package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A sign-in that looks unlike its owner takes a code from the mailbox, the owner
// hears of it, and without a mailbox it is refused.
func TestASignInThatLooksUnlikeItsOwner(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	const email = "nina@example.com"
	owner := w.join(t, email)
	owner.expect(owner.signIn(email, testPassword), 303, "/account")
	if n := w.count(t, `SELECT count(*) FROM auth.recognised_devices`); n != 1 {
		t.Fatalf("%d devices are recognised, want 1", n)
	}
	if _, err := w.db.Owner.Exec(t.Context(), `UPDATE auth.recognised_devices SET network = '192.0.2.0/24'`); err != nil {
		t.Fatal(err)
	}
	guesser := w.visitor(t)
	for range 6 {
		guesser.expect(guesser.signIn(email, "not the password"), 403, "not right")
	}
	w.settle(t, `SELECT coalesce(sum(count), 0) FROM auth.audit_events WHERE action = 'login.failed'`, 6)

	stranger := w.visitor(t)
	stranger.expect(stranger.signIn(email, testPassword), 303, "/login/mfa")
	stranger.expect(stranger.get("/account"), 303, "/login")
	stranger.expect(stranger.get("/login/mfa"), 200, "n…@example.com")
	stranger.expect(stranger.press("/login/mfa", "send", "channel", "email"), 200, "A code is on its way")
	code := regexp.MustCompile(`(?m)^ +(\d{6})\r?$`).FindStringSubmatch(w.next(t, email, func(l letter) bool { return l.subject == "Your Larder code" }).text)
	if code == nil {
		t.Fatal("no code came")
	}
	stranger.expect(stranger.press("/login/mfa", "verify", "code", code[1]), 303, "/account")
	stranger.expect(stranger.get("/account"), 200, email)
	w.next(t, email, func(l letter) bool { return strings.HasPrefix(l.subject, newSignIn) })
	// The owner's own browser is asked for nothing, and the stranger's is known by now.
	owner.expect(owner.signIn(email, testPassword), 303, "/account")
	stranger.expect(stranger.signIn(email, testPassword), 303, "/account")

	if _, err := w.db.Owner.Exec(t.Context(), `UPDATE auth.recognised_devices SET network = '192.0.2.0/24'; UPDATE auth.emails SET verified_at = NULL`); err != nil {
		t.Fatal(err)
	}
	another := w.visitor(t)
	another.expect(another.signIn(email, testPassword), 403, "looks unlike you")
	another.expect(another.get("/account"), 303, "/login")
	for action, want := range map[string]int{"login.stepped_up": 1, "login.refused": 1, "login.new_device": 1} {
		w.settle(t, `SELECT count(*) FROM auth.audit_events WHERE action = '`+action+`'`, want)
	}
}

// settle waits until a count is what it should be.
func (w *town) settle(t *testing.T, query string, want int) {
	t.Helper()
	for deadline := time.Now().Add(patience); w.count(t, query) != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d, want %d", query, w.count(t, query), want)
		}
	}
}

// Many sources on one account, and one source on many accounts, close the door to
// browsers that are not recognised, on every replica. The owner's own stays open,
// and a mail lets another one in.
func TestAttacksCloseTheDoorToStrangersOnly(t *testing.T) {
	t.Parallel()
	mails := filepath.Join(t.TempDir(), "mail")
	world := newWorld(t).with("AUTHSERVER_MAIL_DIR", mails).with("AUTHSERVER_TRUSTED_PROXIES", "127.0.0.0/8")
	w := &town{world: world, mails: mails, replicas: []*running{world.startReady(t), world.startReady(t)}, read: make(map[string]bool)}
	from := func(v *visitor, source string, replica int) *visitor {
		v.header, v.replica = http.Header{"X-Forwarded-For": {source}}, w.replicas[replica]
		return v
	}
	const email = "nina@example.com"
	owner := from(w.join(t, email), "192.0.2.1", 0)
	owner.expect(owner.signIn(email, testPassword), 303, "/account")

	for i := range 20 {
		guesser := from(w.visitor(t), fmt.Sprintf("198.51.100.%d", i), i%2)
		guesser.expect(guesser.signIn(email, "a guess"), 403, "not right")
	}
	fresh := from(w.visitor(t), "203.0.113.1", 1)
	if got := fresh.signIn(email, testPassword); got.StatusCode != 429 || got.Header.Get("Retry-After") == "" {
		t.Errorf("a new browser during the attack: %s", got.Status)
	}
	owner.expect(owner.signIn(email, testPassword), 303, "/account")
	alarm := w.mail(t, email)
	if len(alarm.links) != 1 || !strings.Contains(alarm.subject, "guesses at your Larder password") {
		t.Fatalf("the alarm is %q with %q", alarm.subject, alarm.links)
	}
	fresh.expect(fresh.get(alarm.links[0]), 200, "Let this browser in")
	fresh.expect(fresh.press(alarm.links[0], "verify"), 303, "/login")
	fresh.expect(fresh.press(alarm.links[0], "verify"), 404, "does not work")
	fresh.expect(fresh.signIn(email, "another guess"), 403, "not right")
	fresh.expect(fresh.signIn(email, testPassword), 303, "/account")

	for i := range 30 {
		stuffer := from(w.visitor(t), "198.51.100.99", i%2)
		stuffer.expect(stuffer.signIn(fmt.Sprintf("somebody-%d@example.com", i), "a guess"), 403, "not right")
	}
	stuffer := from(w.visitor(t), "198.51.100.99", 0)
	stuffer.expect(stuffer.signIn("yet-another@example.com", "a guess"), 429, "Too many attempts")
	owner = from(owner, "198.51.100.99", 0)
	owner.expect(owner.signIn(email, testPassword), 303, "/account")
	for action, want := range map[string]int{"login.account_closed": 1, "login.source_closed": 1, "login.browser_let_in": 1} {
		w.settle(t, `SELECT count(*) FROM auth.audit_events WHERE action = '`+action+`'`, want)
	}
}
