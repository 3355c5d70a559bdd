package mfa_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"larder/authserver/oidc"
	"larder/authserver/session"
	"larder/internal/id"
)

// A6: after the password alone nothing is open.
func TestAPasswordAloneOpensNothing(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	shared, _ := p.enrol(t, user)
	b := p.browser(t)
	if a := b.password(); a.location != "/login/mfa" {
		t.Fatalf("the password leads to %q", a.location)
	}
	if b.acr() != "" {
		t.Error("somebody is signed in")
	}
	for _, action := range []string{"totp", "verify", "recovery", "totp-off", "forget"} {
		if a := b.press("/account/security", action, "code", p.code(t, shared), "device", id.New().String()); a.location != "/login?next=security" {
			t.Errorf("%s: %d %q", action, a.status, a.location)
		}
	}
	// Nor is the unfinished sign-in a session under the session's name.
	held := b.cookie("larder-signin")
	thief := p.second.browser(t)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, thief.base+"/whoami", http.NoBody)
	r.AddCookie(&http.Cookie{Name: "larder-session", Value: held})
	res, err := thief.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ContentLength > 5 {
		t.Error("the cookie of an unfinished sign-in is taken for a session")
	}

	if a := b.press("/login/mfa", "verify", "code", p.code(t, shared)); a.location != "/account" || b.acr() != oidc.ACRMFA {
		t.Errorf("after the code: %d %q, acr %q", a.status, a.location, b.acr())
	}
}

// A5: the cookie changes at each step, and the old ones are worth nothing.
func TestEachStepHasACookieOfItsOwn(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	shared, _ := p.enrol(t, user)
	b := p.browser(t)
	b.password()
	held := b.cookie("larder-signin")
	if held == "" || b.cookie("larder-session") != "" {
		t.Fatalf("after the password: signin %q, session %q", held, b.cookie("larder-session"))
	}
	if a := b.press("/login/mfa", "verify", "code", p.code(t, shared)); a.status != http.StatusSeeOther {
		t.Fatal(a.status)
	}
	signedIn := b.cookie("larder-session")
	if signedIn == "" || signedIn == held || b.cookie("larder-signin") != "" {
		t.Errorf("after the code: signin %q, session the same: %t", b.cookie("larder-signin"), signedIn == held)
	}
	// The unfinished sign-in is over: its cookie, replayed, asks for the password.
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.second.url+"/login/mfa", http.NoBody)
	r.AddCookie(&http.Cookie{Name: "larder-signin", Value: held})
	res, err := p.second.browser(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Location"); got != "/login" {
		t.Errorf("the spent sign-in leads to %q", got)
	}
}

func TestAnUnfinishedSignInEndsWithTimeAndPassword(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	shared, _ := p.enrol(t, user)
	late, changed := p.browser(t), p.browser(t)
	late.password()
	p.clock.advance(session.HeldLife + time.Second)
	if a := late.press("/login/mfa", "verify", "code", p.code(t, shared)); a.location != "/login" {
		t.Errorf("too late: %d %q", a.status, a.location)
	}
	changed.password()
	if err := p.accounts.SetPassword(t.Context(), operator(), user, "another long passphrase"); err != nil {
		t.Fatal(err)
	}
	if a := changed.press("/login/mfa", "verify", "code", p.code(t, shared)); a.location != "/login" || changed.acr() != "" {
		t.Errorf("after a change of password: %d %q", a.status, a.location)
	}
}

// A13: a code raises a session, and does not make an old sign-in a fresh one.
func TestACodeRaisesASessionAndKeepsItsAge(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	shared, _ := p.enrol(t, user)
	b := p.browser(t)
	b.password()
	b.press("/login/mfa", "verify", "code", p.code(t, shared), "remember", "yes")
	b.password() // now a trusted device
	if b.acr() != oidc.ACRPassword {
		t.Fatalf("on a trusted device acr is %q, which is not true", b.acr())
	}
	sid := find(t, b.get("/whoami").body, `"SID":"([^"]+)"`)
	then := find(t, b.get("/whoami").body, `"AuthTime":"([^"]+)"`)
	p.clock.advance(time.Hour)
	if a := b.get("/login/mfa"); a.status != http.StatusOK || !strings.Contains(a.body, "Signed in as") {
		t.Fatalf("the page: %d", a.status)
	}
	if a := b.press("/login/mfa", "verify", "code", p.code(t, shared)); a.status != http.StatusSeeOther {
		t.Fatal(a.status, a.body)
	}
	me := b.get("/whoami").body
	if b.acr() != oidc.ACRMFA || find(t, me, `"AuthTime":"([^"]+)"`) != then || find(t, me, `"SID":"([^"]+)"`) != sid {
		t.Errorf("raised to %s; auth_time was %s, sid %s", me, then, sid)
	}
	if !strings.Contains(me, `"AMR":["pwd","otp","mfa"]`) {
		t.Errorf("amr of %s", me)
	}
	if a := b.get("/login/mfa"); a.location != "/account" {
		t.Errorf("with nothing to prove the page leads to %q", a.location)
	}
}

func TestChangingFactorsTakesAFreshSignInWithThePresentOne(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	b := p.browser(t)
	b.password()
	p.clock.advance(16 * time.Minute)
	if a := b.press("/account/security", "totp"); a.location != "/login?next=security" {
		t.Errorf("an old session enrols a factor: %d %q", a.status, a.location)
	}
	b.password()
	page := b.press("/account/security", "totp")
	shared := find(t, page.body, `<code id="totp-secret">([A-Z2-7]{32})</code>`)
	find(t, page.body, `<img class="qr" src="(data:image/png;base64,[^"]{200,})"`)
	if again := b.press("/account/security", "totp"); find(t, again.body, `<code id="totp-secret">([A-Z2-7]{32})</code>`) != shared {
		t.Error("a reloaded page shows another secret")
	}
	if a := b.press("/account/security", "verify", "code", "123"); a.status != http.StatusForbidden || !strings.Contains(a.body, `role="alert"`) || !strings.Contains(a.body, shared) {
		t.Errorf("a wrong code: %d", a.status)
	}
	done := b.press("/account/security", "verify", "code", p.code(t, shared))
	if done.status != http.StatusOK || strings.Count(done.body, "<li><code>") != 10 || !strings.Contains(done.body, `<ul class="codes" id="recovery-codes">`) {
		t.Fatalf("the recovery codes: %d %s", done.status, done.body)
	}
	if b.acr() != oidc.ACRMFA {
		t.Errorf("after setting up acr is %q", b.acr())
	}
	if a := b.press("/account/security", "verify", "code", p.code(t, shared)); a.status != http.StatusNotFound {
		t.Errorf("the spent proposal: %d", a.status)
	}

	// A trusted device is not the factor: what it may change, it may change only
	// after the code.
	if err := p.factors.Trust(t.Context(), user, b.cookie("larder-device"), ""); err != nil {
		t.Fatal(err)
	}
	b.password()
	for _, action := range []string{"totp", "recovery", "totp-off"} {
		if a := b.press("/account/security", action); a.location != "/login/mfa?next=security" {
			t.Errorf("%s by a password: %d %q", action, a.status, a.location)
		}
	}
	p.clock.advance(time.Minute)
	if a := b.press("/login/mfa", "verify", "code", p.code(t, shared), "next", "security"); a.location != "/account/security" {
		t.Fatalf("the code: %d %q", a.status, a.location)
	}
	if a := b.press("/account/security", "recovery"); a.status != http.StatusOK || strings.Contains(a.body, find(t, done.body, `<li><code>([^<]+)`)) {
		t.Errorf("new recovery codes: %d", a.status)
	}
	moved := find(t, b.press("/account/security", "totp").body, `<code id="totp-secret">([A-Z2-7]{32})</code>`)
	if moved == shared {
		t.Fatal("moving to another phone shows the old secret")
	}
	if a := b.press("/account/security", "verify", "code", p.code(t, moved)); a.status != http.StatusOK {
		t.Fatalf("moving to another phone: %d", a.status)
	}
	p.clock.advance(time.Minute)
	if _, err := p.factors.Check(t.Context(), user, p.code(t, shared)); err == nil {
		t.Error("the old phone's code is still good")
	}
	if required, err := p.factors.Required(t.Context(), user, b.cookie("larder-device")); err != nil || !required {
		t.Errorf("the trust outlives the factor it stood for: %t, %v", required, err)
	}
}

func TestAFlowLeadsThroughTheCodeAndThroughSettingUp(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	b := p.browser(t)
	flow := strings.Trim(b.get("/begin").body, `"`)
	b.password("flow", flow)

	// Without a factor: what the app asks for, a way to set one up, a way out.
	page := b.get("/login/mfa?flow=" + flow)
	if page.status != http.StatusOK || !strings.Contains(page.body, "Larder &lt;Web&gt;") {
		t.Fatalf("the page: %d %s", page.status, page.body)
	}
	shared := find(t, b.press("/account/security", "totp", "flow", flow).body, `<code id="totp-secret">([A-Z2-7]{32})</code>`)
	done := b.press("/account/security", "verify", "code", p.code(t, shared), "flow", flow)
	if got := find(t, done.body, `<a class="button primary" href="([^"]+)"`); got != "/authorize/continue?flow="+flow {
		t.Errorf("the way on is %q", got)
	}

	// With one: the code, and back to the flow.
	p.clock.advance(time.Minute)
	other := p.second.browser(t)
	flow = strings.Trim(other.get("/begin").body, `"`)
	if a := other.password("flow", flow); a.location != "/login/mfa?flow="+flow {
		t.Fatalf("the password leads to %q", a.location)
	}
	if a := other.get("/login/mfa?flow=" + flow); !strings.Contains(a.body, `name="flow" value="`+flow+`"`) || !strings.Contains(a.body, "Signing in as") {
		t.Errorf("the page: %d", a.status)
	}
	if a := other.press("/login/mfa", "verify", "flow", flow, "code", p.code(t, shared)); a.location != "/authorize/continue?flow="+flow {
		t.Errorf("the code leads to %d %q", a.status, a.location)
	}

	// Another browser's flow is nobody's.
	if a := p.browser(t).get("/login/mfa?flow=" + flow); a.status != http.StatusNotFound {
		t.Errorf("a stranger's flow: %d", a.status)
	}
	if err := p.factors.Remove(t.Context(), operator(), user); err != nil {
		t.Fatal(err)
	}

	// The way out ends the request.
	third := p.browser(t)
	flow = strings.Trim(third.get("/begin").body, `"`)
	third.password("flow", flow)
	if a := third.press("/login/mfa", "deny", "flow", flow); a.location != "/authorize/continue?flow="+flow {
		t.Errorf("not now: %d %q", a.status, a.location)
	}
}

func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	p.enrol(t, user)
	b := p.browser(t)
	if a := b.get("/login/mfa"); a.location != "/login" {
		t.Errorf("nobody: %d %q", a.status, a.location)
	}
	if a := b.press("/login/mfa", "verify", "code", "123456", "next", "security"); a.location != "/login?next=security" {
		t.Errorf("nobody with a code: %d %q", a.status, a.location)
	}
	if a := b.get("/login/mfa?next=//evil.example"); a.location != "/login" {
		t.Errorf("a foreign way on: %q", a.location)
	}
	b.password()
	for name, a := range map[string]answer{
		"no button":      b.press("/login/mfa", ""),
		"another button": b.press("/login/mfa", "allow", "code", "123456"),
	} {
		if a.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	for _, code := range []string{"", " ", "0", "000000000000000000", "１２３４５６", strings.Repeat("a", 8<<10), "'; DROP TABLE auth.users; --", "\x00"} {
		if a := b.press("/login/mfa", "verify", "code", code); a.status != http.StatusForbidden && a.status != http.StatusTooManyRequests {
			t.Errorf("code %.20q: %d", code, a.status)
		}
	}
	if b.acr() != "" {
		t.Error("somebody is signed in")
	}
}
