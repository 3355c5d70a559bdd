package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSomebodyRegistersAndTheLinkIsGoodOnce(t *testing.T) {
	w := newTown(t)
	v := w.visitor(t)
	const email = "nina@example.com"
	v.expect(v.press("/register", "register", "name", "Nina", "email", email, "password", "too short"), 400, `role="alert"`)
	v.expect(v.press("/register", "register", "name", "Nina", "email", email, "password", "passwordpassword"), 400, `role="alert"`)
	v.expect(v.press("/register", "register", "name", "Nina", "email", email, "password", testPassword), 200, "Look into your mail")
	link := w.link(t, email)
	if got := v.signIn(email, testPassword); got.StatusCode != 403 {
		t.Errorf("signing in before the address is verified: %s", got.Status)
	}
	for range 3 { // a mail scanner
		v.expect(w.visitor(t).get(link), 200, `value="verify"`)
	}
	if n := w.count(t, `SELECT count(*) FROM auth.users`); n != 0 {
		t.Fatalf("%d accounts were made by looking at the link", n)
	}
	v.expect(v.press(link, "verify"), 200, "Your account is ready")
	v.expect(v.get(link), 404, "used already")
	v.expect(v.press(link, "verify"), 404, "used already")
	v.expect(v.signIn(" NINA@example.COM", testPassword), 303, "/account")
	v.expect(v.get("/account"), 200, "Nina")
	if n := w.count(t, `SELECT count(*) FROM auth.emails WHERE canonical = $1 AND verified_at IS NOT NULL`, email); n != 1 {
		t.Error("the address is not verified")
	}
}

// Whoever looks for a password that is accepted has as many tries as they need.
func TestPasswordsThatAreRefusedAreNoMails(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	v := w.visitor(t)
	for range 6 {
		v.expect(v.press("/register", "register", "name", "Nina", "email", "nina@example.com", "password", "too short"), 400, "at least 15 characters")
	}
	v.expect(v.press("/register", "register", "name", "Nina", "email", "nina@example.com", "password", testPassword), 200, "Look into your mail")
}

func TestANewerOrChangedLinkIsTheOnlyOneThatWorks(t *testing.T) {
	w := newTown(t)
	v := w.visitor(t)
	sent := v.press("/register", "register", "name", "Nina", "email", "nina@example.com", "password", testPassword)
	registration := regexp.MustCompile(`name="registration" value="([^"]+)"`).FindStringSubmatch(sent.Body)[1]
	first := w.link(t, "nina@example.com")
	v.expect(v.press("/register", "resend", "registration", registration, "email", "nina@example.com"), 200, "a new mail is on its way")
	second := w.link(t, "nina@example.com")
	v.expect(v.press(first, "verify"), 404, "does not work")
	for _, bad := range []string{second[:len(second)-1], second + "A", second[:len(second)-4] + "AAAA", "/register/" + strings.Repeat("A", 64), strings.Replace(second, "/register/", "/forgot/", 1)} {
		v.expect(v.press(bad, "verify", "password", otherPassword), 404, "")
	}
	// A link that is too old.
	if _, err := w.db.Owner.Exec(t.Context(), `UPDATE auth.links SET expires_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	v.expect(v.press(second, "verify"), 404, "too old")
}

// A1 of the security cases.
func TestThePagesSayAndTakeTheSameWhetherOrNotAnAccountExists(t *testing.T) {
	mails := filepath.Join(t.TempDir(), "mail")
	world := newWorld(t).with("AUTHSERVER_MAIL_DIR", mails, "AUTHSERVER_TRUSTED_PROXIES", "127.0.0.0/8")
	w := &town{world: world, mails: mails, replicas: []*running{world.startReady(t)}, read: make(map[string]bool)}
	const pairs = 3 // one address gets only so much mail
	for i := range pairs {
		w.join(t, fmt.Sprintf("known%d@example.com", i))
	}
	normal := func(body, email string) string {
		body = regexp.MustCompile(`(nonce|value)="[^"]*"`).ReplaceAllString(body, "")
		return strings.ReplaceAll(body, email, "")
	}
	for path, fields := range map[string][]string{
		"/register": {"name", "Eve", "password", otherPassword, "email"},
		"/forgot":   {"email"},
	} {
		action := strings.TrimPrefix(strings.Replace(path, "forgot", "reset", 1), "/")
		var bodies [2]string
		took := [2]time.Duration{time.Hour, time.Hour}
		// A password hash or a mail in one of the two would be far outside of this, always. In turns, and the fastest of
		// each: what else the machine does slows down both alike, and a busy one gets more tries to show it.
		const noise = 20 * time.Millisecond
		alike := func() bool { return took[0] <= 2*took[1]+noise && took[1] <= 2*took[0]+noise }
		for round := 0; round < 4*pairs || round < 60 && !alike(); round++ {
			for i, who := range []string{"known", "other"} {
				v, email := w.visitor(t), fmt.Sprintf("%s%d@example.com", who, round%pairs)
				v.header = http.Header{"X-Forwarded-For": {fmt.Sprintf("198.51.100.%d", round)}} // one source may ask only so often
				began := time.Now()
				got := v.press(path, action, append(slices.Clone(fields), email)...)
				took[i] = min(took[i], time.Since(began))
				v.expect(got, 200, "Look into your mail")
				bodies[i] = normal(got.Body, email)
			}
		}
		if bodies[0] != bodies[1] {
			t.Errorf("%s answers differently:\n%s\n%s", path, bodies[0], bodies[1])
		}
		if !alike() {
			t.Errorf("%s takes %v for a known address and %v for another", path, took[0], took[1])
		}
	}
}

func TestWhoeverRegistersWithAKnownAddressLearnsNothingAndItsOwnerIsTold(t *testing.T) {
	w := newTown(t)
	w.join(t, "nina@example.com")
	v := w.visitor(t)
	v.expect(v.press("/register", "register", "name", "Visit http://evil.example", "email", "Nina@Example.com", "password", otherPassword), 200, "Look into your mail")
	got := w.mail(t, "nina@example.com")
	if !strings.Contains(got.subject, "already") || len(got.links) != 0 || strings.Contains(got.text, "evil") {
		t.Errorf("the owner gets %q with links %q:\n%s", got.subject, got.links, got.text)
	}
	if got := v.signIn("nina@example.com", otherPassword); got.StatusCode != 403 {
		t.Errorf("the stranger's password signs in: %s", got.Status)
	}
}

// A3 of the security cases.
func TestAResetLinkIsGoodOnceForOneAccountAndDiesWithChanges(t *testing.T) {
	w := newTown(t)
	v := w.join(t, "nina@example.com")
	w.join(t, "otto@example.com")
	reset := func() string {
		t.Helper()
		v.expect(v.press("/forgot", "reset", "email", "nina@example.com"), 200, "Look into your mail")
		return w.link(t, "nina@example.com")
	}
	// Several addresses, in whatever form: one field, one value.
	for _, form := range []string{
		"action=reset&email=nina%40example.com&email=eve%40example.com",
		"action=reset&email=nina%40example.com%2Ceve%40example.com",
		"action=reset&email=nina%40example.com%0Aeve%40example.com",
		"action=reset&email%5B%5D=nina%40example.com&email%5B%5D=eve%40example.com",
	} {
		values, err := url.ParseQuery(form)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.send(http.MethodPost, "/forgot", values); got.StatusCode != 400 {
			t.Errorf("%s: %s", form, got.Status)
		}
	}
	w.quiet(t, "example.com")

	first, second := reset(), reset()
	v.expect(v.press(first, "verify", "password", otherPassword), 404, "does not work")
	v.expect(v.get(second), 200, `name="password"`)
	v.expect(v.press(second, "verify", "password", "short"), 400, `role="alert"`)
	v.expect(v.signIn("nina@example.com", testPassword), 303, "/account")
	v.expect(v.press(second, "verify", "password", otherPassword), 200, "Your password is changed")
	v.expect(v.get("/account"), 303, "/login") // every session ended
	v.expect(v.press(second, "verify", "password", testPassword), 404, "does not work")
	if got := w.mail(t, "nina@example.com"); !strings.Contains(got.subject, "was changed") {
		t.Errorf("after the change came %q", got.subject)
	}
	v.expect(v.signIn("nina@example.com", otherPassword), 303, "/account")
	v.expect(w.visitor(t).signIn("otto@example.com", testPassword), 303, "/account")

	// A change of password kills the link that is under way.
	third := reset()
	v.expect(v.press("/account/security", "password", "current_password", otherPassword, "password", testPassword), 303, "done=password")
	v.expect(v.press(third, "verify", "password", otherPassword), 404, "does not work")
}

// A4 of the security cases.
func TestMailsLeadToTheConfiguredIssuerWhateverARequestSays(t *testing.T) {
	w := newTown(t)
	w.join(t, "nina@example.com")
	v := w.visitor(t)
	v.header = http.Header{
		"Host": {"evil.example"}, "X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"host=evil.example;proto=https"},
		"X-Host": {"evil.example"}, "X-Original-Url": {"https://evil.example/"},
	}
	v.expect(v.press("/forgot", "reset", "email", "nina@example.com"), 200, "")
	if got := w.mail(t, "nina@example.com"); strings.Contains(got.text, "evil") || len(got.links) != 1 {
		t.Errorf("the mail:\n%s", got.text)
	}
	v.expect(v.press("/register", "register", "name", "Eve", "email", "eve@example.com", "password", otherPassword), 200, "")
	if got := w.mail(t, "eve@example.com"); strings.Contains(got.text, "evil") || len(got.links) != 1 {
		t.Errorf("the mail:\n%s", got.text)
	}
}

// Promise 3 of the security cases: no double spends, over two replicas.
func TestOf32WhoUseALinkAtOnceOverTwoReplicasOneSucceeds(t *testing.T) {
	w := newTown(t)
	race := func(path string, done int, fields func(i int) []string) (worked []int) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 32 {
			v := w.visitor(t)
			v.replica = w.replicas[i%2]
			all.Go(func() {
				got := v.press(path, "verify", fields(i)...)
				mu.Lock()
				defer mu.Unlock()
				switch got.StatusCode {
				case done:
					worked = append(worked, i)
				case 404, 503:
				default:
					t.Errorf("a loser of the race gets %s", got.Status)
				}
			})
		}
		all.Wait()
		if len(worked) != 1 {
			t.Fatalf("%s worked %d times", path, len(worked))
		}
		return worked
	}
	nothing := func(int) []string { return nil }
	password := func(i int) string { return fmt.Sprintf("%s %d", otherPassword, i) }
	for round := range 3 {
		email := fmt.Sprintf("racer%d@example.com", round)
		v := w.visitor(t)
		v.expect(v.press("/register", "register", "name", "Racer", "email", email, "password", testPassword), 200, "")
		race(w.link(t, email), 200, nothing)
		v.expect(v.press("/forgot", "reset", "email", email), 200, "")
		won := race(w.link(t, email), 200, func(i int) []string { return []string{"password", password(i)} })
		v.expect(v.signIn(email, password(won[0])), 303, "/account")
		v.expect(v.press("/account", "email", "email", "new"+email, "password", password(won[0])), 303, "done=email")
		race(w.link(t, "new"+email), 200, nothing)
	}
}

// A6 of the security cases: who has the mailbox has a new password, and no second factor.
func TestAResetLeavesTheSecondFactorToBeAsked(t *testing.T) {
	w := newTown(t)
	const email = "nina@example.com"
	v := w.join(t, email)
	v.expect(v.signIn(email, testPassword), 303, "/account")
	codes := w.enrol(t, v)
	w.mail(t, email) // of the new factor
	thief := w.visitor(t)
	thief.expect(thief.press("/forgot", "reset", "email", email), 200, "")
	thief.expect(thief.press(w.link(t, email), "verify", "password", otherPassword), 200, "Your password is changed")
	thief.expect(thief.signIn(email, otherPassword), 303, "/login/mfa")
	for _, page := range []string{"/account", "/account/security", "/account/sessions", "/account/apps", "/account/identities", "/account/keys", "/account/privacy", "/account/requests"} {
		thief.expect(thief.get(page), 303, "/login")
	}
	for path, fields := range map[string][]string{
		"/account":          {"email", "email", "thief@example.com", "password", otherPassword},
		"/account/privacy":  {"download", "password", otherPassword},
		"/account/security": {"password", "current_password", otherPassword, "password", testPassword},
		"/account/keys":     {"create", "name", "Thief", "family", bakers, "lists:read", "on", "days", "7"},
		"/account/sessions": {"end-others"},
	} {
		thief.expect(thief.press(path, fields[0], fields[1:]...), 303, "/login")
	}
	thief.expect(thief.press("/login/mfa", "verify", "code", "000000"), 403, `role="alert"`)
	v.expect(v.signIn(email, otherPassword), 303, "/login/mfa")
	v.expect(v.press("/login/mfa", "verify", "code", codes[0]), 303, "/account")
}

// A12 of the security cases.
func TestAnAddressChangesByReauthenticationAndProofAndTheOldOneIsTold(t *testing.T) {
	w := newTown(t)
	v := w.join(t, "nina@example.com")
	w.join(t, "otto@example.com")
	v.expect(v.signIn("nina@example.com", testPassword), 303, "/account")
	v.expect(v.press("/account", "email", "email", "new@example.com", "password", "not the password"), 403, `role="alert"`)
	v.expect(v.press("/account", "email", "email", "not an address", "password", testPassword), 400, `role="alert"`)
	v.expect(v.press("/account", "email", "email", "new@example.com", "password", testPassword, "email_verified", "true", "verified_at", "now"), 303, "done=email")
	link := w.link(t, "new@example.com")
	if got := w.mail(t, "nina@example.com"); !strings.Contains(got.text, "new@example.com") || len(got.links) != 0 {
		t.Errorf("the old address is not told: %q", got.subject)
	}
	v.expect(v.get("/account"), 200, "nina@example.com") // nothing has changed yet

	v.expect(v.press("/forgot", "reset", "email", "nina@example.com"), 200, "")
	reset := w.link(t, "nina@example.com")
	v.expect(w.visitor(t).get(link), 200, "new@example.com")
	v.expect(w.visitor(t).press(link, "verify"), 200, "confirmed")
	v.expect(v.press(link, "verify"), 404, "does not work")
	v.expect(v.press(reset, "verify", "password", otherPassword), 404, "does not work")
	if got := w.mail(t, "nina@example.com"); !strings.Contains(got.subject, "was changed") {
		t.Errorf("the old address is not told of the change: %q", got.subject)
	}
	if got := w.visitor(t).signIn("nina@example.com", testPassword); got.StatusCode != 403 {
		t.Errorf("the old address signs in: %s", got.Status)
	}
	v.expect(w.visitor(t).signIn("new@example.com", testPassword), 303, "/account")

	// Somebody else's address: the same answer, and no link.
	v.expect(v.press("/account", "email", "email", "otto@example.com", "password", testPassword), 303, "done=email")
	if got := w.mail(t, "otto@example.com"); len(got.links) != 0 {
		t.Errorf("the owner gets %q with %q", got.subject, got.links)
	}
}

func TestAnAddressThatAnOperatorTypedCanBeConfirmed(t *testing.T) {
	w := newTown(t)
	w.must(t, nil, testPassword, "user", "create", "--name", "Nina", "--email", "nina@example.com", "--password-stdin")
	verified := func() int {
		t.Helper()
		return w.count(t, `SELECT count(*) FROM auth.emails WHERE verified_at IS NOT NULL`)
	}
	v := w.visitor(t)
	v.expect(v.signIn("nina@example.com", testPassword), 303, "/account")
	v.expect(v.get("/account"), 200, "not confirmed yet")
	v.expect(v.press("/account", "confirm"), 303, "done=email")
	link := w.link(t, "nina@example.com")
	v.expect(v.get(link), 200, `value="verify"`)
	if n := verified(); n != 0 {
		t.Fatal("looking at the link confirms the address")
	}
	v.expect(v.press(link, "verify"), 200, "confirmed")
	if n := verified(); n != 1 {
		t.Error("the address is not confirmed")
	}
	w.quiet(t, "nina@example.com") // nothing changed that its owner would have to be told
}

func TestARegistrationLeadsBackToTheAppThatAsked(t *testing.T) {
	w := newTown(t)
	var client struct {
		ID string `json:"client_id"`
	}
	w.must(t, &client, "", "client", "create", "--name", "Web", "--redirect-uri", "https://app.example.com/cb", "--scope", "openid")
	v := w.visitor(t)
	query := url.Values{
		"response_type": {"code"}, "client_id": {client.ID}, "redirect_uri": {"https://app.example.com/cb"}, "scope": {"openid"},
		"state": {"s"}, "code_challenge": {strings.Repeat("A", 43)}, "code_challenge_method": {"S256"},
	}
	var flow string
	for deadline := time.Now().Add(patience); flow == ""; time.Sleep(50 * time.Millisecond) { // a new client is known within a second
		got := v.get("/authorize?" + query.Encode())
		_, flow, _ = strings.Cut(got.Header.Get("Location"), "flow=")
		if time.Now().After(deadline) {
			t.Fatalf("the authorization request was not parked: %s, to %q\n%s", got.Status, got.Header.Get("Location"), got.Body)
		}
	}
	for _, ask := range []struct{ path, action string }{{"/register", "register"}, {"/forgot", "reset"}} {
		v.expect(v.get(ask.path+"?flow="+flow), 200, `name="flow" value="`+flow+`"`)
		v.expect(v.press(ask.path, ask.action, "flow", flow, "name", "Nina", "email", "nina@example.com", "password", testPassword), 200, `href="/login?flow=`+flow)
		v.expect(v.press(w.link(t, "nina@example.com"), "verify", "password", otherPassword), 200, `href="/login?flow=`+flow)
	}
	// In another browser the request is not there, and the page leads to a plain sign-in.
	elsewhere := w.visitor(t)
	elsewhere.expect(elsewhere.press("/register", "register", "flow", flow, "name", "Otto", "email", "otto@example.com", "password", testPassword), 200, "")
	elsewhere.expect(elsewhere.press(w.link(t, "otto@example.com"), "verify"), 200, `href="/login"`)
}

// A17 of the security cases.
func TestAChangeOfPasswordSignsOutEverybodyElse(t *testing.T) {
	w := newTown(t)
	v := w.join(t, "nina@example.com")
	other := w.visitor(t)
	other.replica = w.replicas[1]
	v.expect(v.signIn("nina@example.com", testPassword), 303, "/account")
	other.expect(other.signIn("nina@example.com", testPassword), 303, "/account")
	v.expect(v.press("/account/security", "password", "current_password", "wrong", "password", otherPassword), 403, `role="alert"`)
	v.expect(v.press("/account/security", "password", "current_password", testPassword, "password", "weak"), 400, `role="alert"`)
	other.expect(other.get("/account"), 200, "Nina")
	v.expect(v.press("/account/security", "password", "current_password", testPassword, "password", otherPassword), 303, "done=password")
	v.expect(v.get("/account"), 200, "Nina")
	other.expect(other.get("/account"), 303, "/login")
	// Recent sign-ins show the wrong guess, as soon as the audit log is written.
	for deadline := time.Now().Add(patience); !strings.Contains(v.get("/account/security").Body, "(failed)"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the wrong guess is not among the recent sign-ins")
		}
	}
}

func TestPeopleSignOutTheirOtherDevicesAndNobodyElses(t *testing.T) {
	w := newTown(t)
	v, other, stranger := w.join(t, "nina@example.com"), w.visitor(t), w.join(t, "otto@example.com")
	other.header = http.Header{"User-Agent": {"Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"}}
	v.expect(v.signIn("nina@example.com", testPassword), 303, "")
	other.expect(other.signIn("nina@example.com", testPassword), 303, "")
	stranger.expect(stranger.signIn("otto@example.com", testPassword), 303, "")
	sid := func(from *visitor) string {
		return regexp.MustCompile(`name="sid" value="([^"]+)"`).FindStringSubmatch(from.get("/account/sessions").Body)[1]
	}
	v.expect(v.get("/account/sessions"), 200, "Firefox on Windows")
	target := sid(v)
	stranger.expect(stranger.press("/account/sessions", "end", "sid", target), 303, "ended=0")
	other.expect(other.get("/account"), 200, "Nina")
	v.expect(v.press("/account/sessions", "end", "sid", target), 303, "ended=1")
	other.expect(other.get("/account"), 303, "/login")
	other.expect(other.signIn("nina@example.com", testPassword), 303, "")
	v.expect(v.press("/account/sessions", "end-others"), 303, "ended=1")
	other.expect(other.get("/account"), 303, "/login")
	v.expect(v.get("/account"), 200, "Nina")
	stranger.expect(stranger.get("/account"), 200, "Nina")
}

func TestPeopleDownloadWhatWeHoldAndDeleteIt(t *testing.T) {
	w := newTown(t)
	v := w.join(t, "nina@example.com")
	v.expect(v.signIn("nina@example.com", testPassword), 303, "")
	v.expect(v.press("/account/privacy", "download", "password", "wrong"), 403, `role="alert"`)
	got := v.expect(v.press("/account/privacy", "download", "password", testPassword), 200, "nina@example.com")
	var document struct {
		Account struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"account"`
		Activity []map[string]any `json:"activity"`
		Sessions []map[string]any `json:"sessions"`
		Browsers []map[string]any `json:"recognised_browsers"`
	}
	if err := json.Unmarshal([]byte(got.Body), &document); err != nil {
		t.Fatal(err)
	}
	if document.Account.Name != "Nina Novak" || len(document.Sessions) != 1 || len(document.Browsers) != 1 || len(document.Activity) == 0 || strings.Contains(got.Body, "argon2") {
		t.Errorf("the download: %s", got.Body)
	}

	v.expect(v.press("/account/privacy", "delete", "password", "wrong"), 403, `role="alert"`)
	v.expect(v.press("/account/privacy", "delete", "password", testPassword), 200, "will be deleted")
	w.mail(t, "nina@example.com")
	v.expect(v.get("/account"), 303, "/login")
	v.expect(v.signIn("nina@example.com", testPassword), 303, "")
	v.expect(v.get("/account"), 200, "Keep my account")
	v.expect(v.press("/account", "keep"), 303, "done=kept")
	if n := w.count(t, `SELECT count(*) FROM auth.users WHERE delete_at IS NOT NULL`); n != 0 {
		t.Fatal("the account is to be deleted still")
	}

	v.expect(v.press("/account/privacy", "delete", "password", testPassword), 200, "will be deleted")
	w.mail(t, "nina@example.com")
	v.expect(v.signIn("nina@example.com", testPassword), 303, "")
	if _, err := w.db.Owner.Exec(t.Context(), `UPDATE auth.users SET delete_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	w.sweepLeavers(t)
	v.expect(v.get("/account"), 303, "/login")
	for _, table := range []string{"users", "emails", "passwords", "grants", "consents", "links"} {
		if n := w.count(t, `SELECT count(*) FROM auth.`+table); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if n := w.count(t, `SELECT count(*) FROM auth.audit_events WHERE action = 'user.deleted' AND target = $1`, document.Account.ID); n != 1 {
		t.Error("nothing tells that the account was deleted")
	}
	if got := w.mail(t, "nina@example.com"); !strings.Contains(got.subject, "was deleted") {
		t.Errorf("the last mail is %q", got.subject)
	}
}

// sweepLeavers runs on both replicas at once what the sweeper runs each minute, and returns when nobody is due any more.
func (w *town) sweepLeavers(t *testing.T) {
	t.Helper()
	cfg, err := loadConfig(lookup(w.env), needServe)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	deleted := 0
	for range 2 {
		c, err := openCore(t.Context(), cfg, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if err := c.keys.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			n, err := c.accounts.DeleteDue(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			deleted += n
		})
	}
	all.Wait()
	if deleted > 1 { // none, if the sweeper's minute came just now
		t.Errorf("%d accounts were deleted, want 1", deleted)
	}
	w.settle(t, `SELECT count(*) FROM auth.users WHERE delete_at <= now()`, 0)
}
