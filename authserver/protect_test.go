package main

import (
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
	for deadline := time.Now().Add(20 * time.Second); w.count(t, query) != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d, want %d", query, w.count(t, query), want)
		}
	}
}
