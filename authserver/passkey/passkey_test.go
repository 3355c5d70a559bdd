package passkey_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/authserver/passkey"
	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/postgres"
)

func TestAPasskeySignsInByItselfAndAfterAPassword(t *testing.T) {
	t.Parallel()
	p := setup(t)
	ada := p.create(t, "ada@example.com")
	b, d := p.browser(t), newDevice(t)
	b.password(ada)
	if res := b.enrol(d, "Ada’s phone"); res.status != http.StatusOK || strings.Count(res.body, "<li><code>") != 10 {
		t.Fatalf("after setting up: %d %s", res.status, res.body)
	}
	if got, want := b.whoami(), ada.String()+" urn:larder:acr:mfa pwd pop user mfa"; got != want {
		t.Errorf("the session says %q, want %q", got, want)
	}
	if strings.Contains(string(d.Options.UserHandle), ada.String()) || len(d.Options.UserHandle) != 32 {
		t.Errorf("the user handle is %q", d.Options.UserHandle)
	}
	if !slices.Equal(p.subjects, []string{"A passkey was added"}) {
		t.Errorf("letters: %q", p.subjects)
	}

	fresh := p.browser(t)
	d.key.Counter = 1
	if res := fresh.use(d); res.status != http.StatusSeeOther || res.location != "/account" {
		t.Fatalf("sign-in: %d %s", res.status, res.location)
	}
	if got, want := fresh.whoami(), ada.String()+" urn:larder:acr:mfa pop user mfa"; got != want {
		t.Errorf("the session says %q, want %q", got, want)
	}
	all, err := p.passkeys.List(t.Context(), ada)
	if err != nil || len(all) != 1 || all[0].Name != "Ada’s phone" || all[0].LastUsedAt == nil {
		t.Errorf("List = %+v, %v", all, err)
	}

	// The password alone is not enough any more; the passkey is the second step.
	second := p.browser(t)
	second.password(ada)
	if got := second.whoami(); got != "" {
		t.Fatalf("a password alone signed in: %s", got)
	}
	options := second.challenge("?step=second")
	if !strings.Contains(options, base64.RawURLEncoding.EncodeToString(d.key.ID)) || !strings.Contains(options, `"userVerification":"required"`) {
		t.Errorf("the second step asks for %s", options)
	}
	d.key.Counter = 2
	if res := second.press("/login/passkey", "passkey", "step", "second", "next", "security", "credential", d.signed(t, options)); res.location != "/account/security" {
		t.Errorf("second step: %d %s", res.status, res.location)
	}
	if got, want := second.whoami(), ada.String()+" urn:larder:acr:mfa pwd pop user mfa"; got != want {
		t.Errorf("the session says %q, want %q", got, want)
	}

	// A counter that does not grow is told, and refused nobody.
	if res := p.browser(t).use(d); res.location != "/account" || p.count("passkey.counter_rewound", "") != 1 {
		t.Errorf("a counter that stands still: %s, %d events", res.location, p.count("passkey.counter_rewound", ""))
	}
	if again := b.press("/account/security", "passkey"); !strings.Contains(again.body, base64.RawURLEncoding.EncodeToString(d.key.ID)) {
		t.Error("the next one does not exclude this one")
	}
}

func TestAnswersThatAreNotGoodAreRefused(t *testing.T) {
	t.Parallel()
	p := setup(t)
	ada, ben := p.create(t, "ada@example.com"), p.create(t, "ben@example.com")
	hers, his := newDevice(t), newDevice(t)
	b := p.browser(t)
	b.password(ada)
	b.enrol(hers, "hers")
	other := p.browser(t)
	other.password(ben)
	other.enrol(his, "his")

	refuse := func(name string, b *browser, answer, reason string, fields ...string) {
		t.Helper()
		before := p.count("login.failed", "passkey_"+reason)
		res := b.press("/login/passkey", "passkey", append([]string{"credential", answer}, fields...)...)
		if res.status != http.StatusSeeOther || !strings.Contains(res.location, "passkey=refused") || p.count("login.failed", "passkey_"+reason) != before+1 {
			t.Errorf("%s: %d %s, events %+v", name, res.status, res.location, p.events[len(p.events)-1])
		}
		if got := b.whoami(); got != "" {
			t.Errorf("%s: signed in as %s", name, got)
		}
	}
	changed := func(change func(*device)) *device {
		d := *hers
		change(&d)
		return &d
	}
	for name, c := range map[string]struct {
		device *device
		reason string
	}{
		"another origin":         {changed(func(d *device) { d.rp.Origin = "http://localhost:9100" }), "verification_error"},
		"a look-alike":           {changed(func(d *device) { d.rp.Origin = "https://localhost.example" }), "verification_error"},
		"another RP ID":          {changed(func(d *device) { d.rp.ID = "example.com" }), "verification_error"},
		"nobody verified":        {changed(func(d *device) { d.Options.UserNotVerified = true }), "verification_error"},
		"another key":            {changed(func(d *device) { d.key.Key = his.key.Key }), "assertion_gen_error"},
		"another's handle":       {changed(func(d *device) { d.Options.UserHandle = his.Options.UserHandle }), "unknown_passkey"},
		"no handle":              {changed(func(d *device) { d.Options.UserHandle = nil }), "unknown_passkey"},
		"a passkey that is gone": {newDevice(t), "unknown_passkey"},
	} {
		fresh := p.browser(t)
		answer := c.device.signed(t, fresh.challenge(""))
		res := fresh.press("/login/passkey", "passkey", "credential", answer)
		if !strings.Contains(res.location, "passkey=refused") || fresh.whoami() != "" {
			t.Errorf("%s: %d %s", name, res.status, res.location)
		}
	}
	fresh := p.browser(t)
	refuse("nonsense", fresh, "{}", "malformed")
	refuse("somebody else's browser", p.browser(t), hers.signed(t, fresh.challenge("")), "challenge")
	made := p.browser(t)
	made.password(ben)
	if got := made.whoami(); got != "" {
		t.Fatalf("ben is signed in: %s", got)
	}
	refuse("another person's passkey after ben's password", made, hers.signed(t, made.challenge("?step=second")), "unknown_passkey", "step", "second")

	// An answer counts once, and later not at all.
	answer := hers.signed(t, fresh.challenge(""))
	if res := fresh.press("/login/passkey", "passkey", "credential", answer); res.location != "/account" {
		t.Fatalf("the good one: %d %s", res.status, res.location)
	}
	thief := p.browser(t)
	thief.Jar = fresh.Jar
	if res := thief.press("/login/passkey", "passkey", "credential", answer); !strings.Contains(res.location, "passkey=refused") {
		t.Errorf("the same answer again: %d %s", res.status, res.location)
	}
	if err := p.accounts.Disable(t.Context(), audit.Actor{Kind: "operator", ID: "test"}, ada); err != nil {
		t.Fatal(err)
	}
	late := p.browser(t)
	refuse("a disabled account", late, hers.signed(t, late.challenge("")), "disabled")
}

// Promise 3 of the security cases, for challenges.
func TestAnAnswerIsGoodOnceOverTwoReplicas(t *testing.T) {
	t.Parallel()
	p := setup(t)
	ada := p.create(t, "ada@example.com")
	b, d := p.browser(t), newDevice(t)
	b.password(ada)
	b.enrol(d, "phone")
	for range 5 {
		fresh := p.browser(t)
		answer := d.signed(t, fresh.challenge(""))
		var wins atomic.Int32
		var wg sync.WaitGroup
		for i := range 32 {
			one := &browser{t: t, base: p.replicas[i%2], Client: fresh.Client}
			wg.Go(func() {
				if one.press("/login/passkey", "passkey", "credential", answer).location == "/account" {
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d of 32 signed in, want 1", wins.Load())
		}
	}
}

// A6 and A13: what a password alone, an old session or a weaker one may not do.
func TestSettingUpNeedsAFreshSignInWithTheFactorThatThereIs(t *testing.T) {
	t.Parallel()
	p := setup(t)
	ada := p.create(t, "ada@example.com")
	b, d := p.browser(t), newDevice(t)
	if res := b.press("/account/security", "passkey"); res.location != "/login?next=security" {
		t.Errorf("nobody: %d %s", res.status, res.location)
	}
	b.password(ada)
	p.advance(16 * time.Minute)
	if res := b.press("/account/security", "passkey"); res.location != "/login?next=security" {
		t.Errorf("an old session: %d %s", res.status, res.location)
	}
	b.password(ada)
	weak := p.browser(t) // signed in by password before there was a factor
	weak.password(ada)
	shown := weak.press("/account/security", "passkey")
	b.enrol(d, "phone")
	for _, action := range []string{"passkey", "passkey-keep", "passkey-remove", "passkey-rename", "totp", "recovery"} {
		if res := weak.press("/account/security", action); res.location != "/login/mfa?next=security" {
			t.Errorf("%s by a session of one factor: %d %s", action, res.status, res.location)
		}
	}
	held := p.browser(t)
	held.password(ada)
	if res := held.press("/account/security", "passkey"); res.location != "/login?next=security" {
		t.Errorf("after a password only: %d %s", res.status, res.location)
	}
	// The page that an attacker had opened before is of no use in another session, nor twice.
	thief := newDevice(t)
	if res := b.press("/account/security", "passkey-keep", "name", "x", "credential", thief.made(t, shown.body)); res.status != http.StatusUnprocessableEntity {
		t.Errorf("the challenge of another session: %d", res.status)
	}
	one := b.press("/account/security", "passkey")
	made := thief.made(t, one.body)
	for i, want := range []int{http.StatusSeeOther, http.StatusUnprocessableEntity} {
		if res := b.press("/account/security", "passkey-keep", "name", "second", "credential", made); res.status != want {
			t.Errorf("try %d: %d, want %d", i+1, res.status, want)
		}
	}
	third := newDevice(t)
	third.Options.UserNotVerified = true
	if res := b.enrol(third, "no PIN"); res.status != http.StatusUnprocessableEntity || !strings.Contains(res.body, `role="alert"`) {
		t.Errorf("without user verification: %d", res.status)
	}
	if res := b.enrol(newDevice(t), "a\nb"); res.status != http.StatusUnprocessableEntity {
		t.Errorf("a name of two lines: %d", res.status)
	}
}

func TestRemovingTheLastFactorEndsWhatItVouchedFor(t *testing.T) {
	t.Parallel()
	p := setup(t)
	ada, ben := p.create(t, "ada@example.com"), p.create(t, "ben@example.com")
	b, d, spare := p.browser(t), newDevice(t), newDevice(t)
	if _, err := p.db.Owner.Exec(t.Context(), `INSERT INTO auth.passwords (user_id, hash, changed_at) VALUES ($1, 'x', now())`, ada); err != nil {
		t.Fatal(err)
	}
	b.password(ada)
	b.enrol(d, "phone")
	if res := b.enrol(spare, "spare"); res.status != http.StatusSeeOther {
		t.Fatalf("the second one: %d", res.status)
	}
	grants := map[string]id.ID{oidc.ACRMFA: p.grant(t, ada, oidc.ACRMFA), oidc.ACRPassword: p.grant(t, ada, oidc.ACRPassword)}
	elsewhere := p.browser(t)
	elsewhere.use(d)
	all, err := p.passkeys.List(t.Context(), ada)
	if err != nil || len(all) != 2 {
		t.Fatalf("List = %v, %v", all, err)
	}
	stranger := p.browser(t)
	stranger.password(ben)
	for _, action := range []string{"passkey-remove", "passkey-rename"} {
		if res := stranger.press("/account/security", action, "passkey", all[0].ID.String(), "name", "mine"); res.status != http.StatusNotFound {
			t.Errorf("%s of somebody else's: %d", action, res.status)
		}
	}
	b.press("/account/security", "passkey-rename", "passkey", all[1].ID.String(), "name", "old phone")
	b.press("/account/security", "passkey-remove", "passkey", all[1].ID.String())
	if elsewhere.whoami() == "" || p.revoked(t, grants[oidc.ACRMFA]) {
		t.Error("removing one of two ended a session or a grant")
	}
	if res := p.browser(t).use(spare); !strings.Contains(res.location, "passkey=refused") {
		t.Errorf("a removed one still signs in: %s", res.location)
	}
	b.press("/account/security", "passkey-remove", "passkey", all[0].ID.String())
	if got := elsewhere.whoami(); got != "" {
		t.Errorf("still signed in elsewhere: %s", got)
	}
	if got, want := b.whoami(), ada.String()+" urn:larder:acr:pwd pwd"; got != want {
		t.Errorf("this browser is %q, want %q", got, want)
	}
	if !p.revoked(t, grants[oidc.ACRMFA]) || p.revoked(t, grants[oidc.ACRPassword]) {
		t.Error("the wrong grants were revoked")
	}
	view, err := p.factors.View(t.Context(), ada, "")
	if err != nil || view.RecoveryCodes != 0 {
		t.Errorf("recovery codes are left: %+v, %v", view, err)
	}
	want := []string{"A passkey was added", "A passkey was added", "A passkey was removed", "A passkey was removed"}
	if !slices.Equal(p.subjects, want) {
		t.Errorf("letters: %q", p.subjects)
	}
}

func TestThereAreBounds(t *testing.T) {
	t.Parallel()
	p := setup(t)
	ada := p.create(t, "ada@example.com")
	b := p.browser(t)
	b.password(ada)
	pages := make([]string, 21)
	for i := range pages { // opened before there is any, so that only the last check counts
		pages[i] = b.press("/account/security", "passkey").body
	}
	kept := 0
	for i := range pages {
		d := newDevice(t)
		if res := b.press("/account/security", "passkey-keep", "name", "n", "credential", d.made(t, pages[i])); res.status == http.StatusOK || res.status == http.StatusSeeOther {
			kept++
		}
	}
	if kept != 20 {
		t.Errorf("%d passkeys were kept, want 20", kept)
	}
	if res := b.press("/account/security", "passkey"); res.status != http.StatusConflict {
		t.Errorf("one more: %d", res.status)
	}
	if passkey.RelyingParty("http://127.0.0.1:9000", "Larder") != nil || passkey.RelyingParty("https://id.example", "Larder") == nil {
		t.Error("an IP address is an RP ID, or a host name is none")
	}
	if res := b.do(http.MethodGet, "/.well-known/passkey-endpoints", nil); res.body != `{"enroll":"http://localhost:9000/account/security","manage":"http://localhost:9000/account/security"}` {
		t.Errorf("endpoints: %s", res.body)
	}
}

// grant is a grant that a sign-in of this class made.
func (p *place) grant(t *testing.T, user id.ID, acr string) id.ID {
	t.Helper()
	g := id.New()
	const insert = `
WITH c AS (INSERT INTO auth.clients (id, metadata) VALUES ($1::text, '{}') RETURNING id)
INSERT INTO auth.grants (id, client_id, user_id, sid, scopes, resources, session, idle_expires_at, expires_at)
SELECT $2, c.id, $3, 'sid', '{}', '{}', jsonb_build_object('acr', $4::text), now() + interval '1 day', now() + interval '1 day' FROM c`
	err := postgres.InTx(t.Context(), p.db.Owner, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), insert, g.String(), g, user, acr)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (p *place) revoked(t *testing.T, grant id.ID) (revoked bool) {
	t.Helper()
	if err := p.db.Owner.QueryRow(t.Context(), `SELECT revoked_at IS NOT NULL FROM auth.grants WHERE id = $1`, grant).Scan(&revoked); err != nil {
		t.Fatal(err)
	}
	return revoked
}
