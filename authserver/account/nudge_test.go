package account_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Somebody with nothing but a password is offered more, until they wave it away
// for a while or have it.
func TestAPasswordAloneIsNudged(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	b := p.browser(t, "192.0.2.1")
	b.signIn("ada@example.com", goodPassword)
	offered := func() bool { return strings.Contains(b.get("/account").body, `value="later"`) }
	change := func(sql string) {
		t.Helper()
		if tag, err := p.db.Exec(t.Context(), sql, user); err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if !offered() {
		t.Error("nothing is offered to a password alone")
	}
	if flow := b.get("/login?flow=" + b.begin()).body; strings.Contains(flow, `value="later"`) {
		t.Error("an app waits, and something is offered in its way")
	}
	if got := b.do(http.MethodPost, "/account", url.Values{"action": {"later"}}); got.status != http.StatusSeeOther || offered() {
		t.Errorf("waved away (%d), it is offered again", got.status)
	}
	change(`UPDATE auth.users SET nudge_dismissed_at = now() - interval '29 days' WHERE id = $1`)
	if offered() {
		t.Error("it is offered again after 29 days")
	}
	change(`UPDATE auth.users SET nudge_dismissed_at = now() - interval '31 days' WHERE id = $1`)
	if !offered() {
		t.Error("it is not offered again after 31 days")
	}
	change(`INSERT INTO auth.mfa_totp (id, user_id, secret, last_step, created_at, last_used_at) VALUES (gen_random_uuid(), $1, '\x00', 0, now(), now())`)
	if offered() {
		t.Error("it is offered to somebody with an authenticator app")
	}
}
