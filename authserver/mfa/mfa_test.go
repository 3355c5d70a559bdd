package mfa_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/authserver/mfa"
	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/secret"
)

// A7: the same step twice, on two replicas, is good once.
func TestATimeStepIsSpentOnceOverTwoReplicas(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	shared, _ := p.enrol(t, user)
	for round := range 20 {
		code := p.code(t, shared)
		if spent := race(func(n int) bool {
			_, err := []*mfa.Factors{p.factors, p.second.factors}[n%2].Check(t.Context(), user, code)
			return err == nil
		}); spent != 1 {
			t.Fatalf("round %d: the code was good %d times", round, spent)
		}
		p.clock.advance(30 * time.Second)
	}
}

// A10: a recovery code under race, over two replicas, is good once.
func TestARecoveryCodeIsSpentOnceOverTwoReplicas(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	_, codes := p.enrol(t, user)
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	for _, code := range codes {
		if spent := race(func(n int) bool {
			_, err := []*mfa.Factors{p.factors, p.second.factors}[n%2].Check(t.Context(), user, code)
			return err == nil
		}); spent != 1 {
			t.Fatalf("the code was good %d times", spent)
		}
	}
}

// race runs try 32 times at once and counts the successes.
func race(try func(n int) bool) int {
	var wg sync.WaitGroup
	var won atomic.Int32
	begin := make(chan struct{})
	for n := range 32 {
		wg.Go(func() {
			<-begin
			if try(n) {
				won.Add(1)
			}
		})
	}
	close(begin)
	wg.Wait()
	return int(won.Load())
}

// A10: regeneration kills the old codes, also when two replicas do it at once.
func TestNewRecoveryCodesKillTheOldOnes(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	_, old := p.enrol(t, user)
	var mu sync.Mutex
	var sets [][]string
	race(func(n int) bool {
		codes, err := []*mfa.Factors{p.factors, p.second.factors}[n%2].Regenerate(t.Context(), user)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		sets = append(sets, codes)
		return err == nil
	})
	if _, err := p.factors.Check(t.Context(), user, old[0]); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("an old code: %v", err)
	}
	alive := 0
	for _, set := range sets {
		if _, err := p.factors.Check(t.Context(), user, set[0]); err == nil {
			alive++
		}
	}
	if alive != 1 {
		t.Errorf("of %d sets at once %d are alive", len(sets), alive)
	}
	v, err := p.factors.View(t.Context(), user, "")
	if err != nil || v.RecoveryCodes != 9 {
		t.Errorf("%d codes are left, %v; want 9", v.RecoveryCodes, err)
	}
}

func TestARecoveryCodeIsReadAsPeopleWriteIt(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	_, codes := p.enrol(t, user)
	amr, err := p.factors.Check(t.Context(), user, " "+strings.ToUpper(strings.ReplaceAll(codes[0], "-", " "))+" ")
	if err != nil || len(amr) != 1 || amr[0] != oidc.AMRMFA {
		t.Errorf("amr %v, %v; no method of RFC 8176 but mfa is true of it", amr, err)
	}
	other := p.create(t, "ben@example.com")
	p.enrol(t, other)
	if _, err := p.factors.Check(t.Context(), other, codes[1]); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("another person's code: %v", err)
	}
}

func TestACodeOfAnotherTimeIsRefused(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	shared, _ := p.enrol(t, user)
	code := p.code(t, shared)
	p.clock.advance(90 * time.Second)
	if _, err := p.factors.Check(t.Context(), user, code); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a code three steps old: %v", err)
	}
	late := p.code(t, shared)
	p.clock.advance(30 * time.Second)
	if _, err := p.factors.Check(t.Context(), user, late); err != nil {
		t.Errorf("a code one step old: %v", err)
	}
	p.clock.advance(-30 * time.Second)
	if _, err := p.factors.Check(t.Context(), user, late); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a spent code after the clock went back: %v", err)
	}
}

func TestTheStoredSecretIsSealedForItsRow(t *testing.T) {
	t.Parallel()
	p := setup(t)
	ada, ben := p.create(t, "ada@example.com"), p.create(t, "ben@example.com")
	shared, codes := p.enrol(t, ada)
	p.enrol(t, ben)
	var box []byte
	if err := p.db.Owner.QueryRow(t.Context(), `SELECT secret FROM auth.mfa_totp WHERE user_id = $1`, ada).Scan(&box); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(box), shared) {
		t.Error("the secret lies readable")
	}
	// Whoever can write to the database, but has no key, puts a factor of his own
	// in the place of another's.
	if _, err := p.db.Owner.Exec(t.Context(), `UPDATE auth.mfa_totp SET secret = $2 WHERE user_id = $1`, ben, box); err != nil {
		t.Fatal(err)
	}
	if _, err := p.factors.Check(t.Context(), ben, p.code(t, shared)); err == nil {
		t.Error("a secret moved to another row opens")
	}
	for _, code := range codes {
		var plain bool
		const query = `SELECT EXISTS (SELECT 1 FROM auth.recovery_codes WHERE hash = ANY($1))`
		if err := p.db.Owner.QueryRow(t.Context(), query, [][]byte{secret.Sum(code), secret.Sum(strings.ReplaceAll(code, "-", ""))}).Scan(&plain); err != nil || plain {
			t.Errorf("a recovery code is hashed without a key: %t, %v", plain, err)
		}
	}
}

func TestATrustedDeviceIsForgottenWithThePassword(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	p.enrol(t, user)
	const device = "device-cookie-of-22-ch"
	owes := func() bool {
		t.Helper()
		required, err := p.second.factors.Required(t.Context(), user, device)
		if err != nil {
			t.Fatal(err)
		}
		return required
	}
	trust := func() {
		t.Helper()
		if err := p.factors.Trust(t.Context(), user, device, "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"); err != nil {
			t.Fatal(err)
		}
	}
	if !owes() {
		t.Fatal("a device that nobody trusts is not asked")
	}
	trust()
	if owes() {
		t.Fatal("a trusted device is asked")
	}
	if other, err := p.factors.Required(t.Context(), user, "another"); err != nil || !other {
		t.Errorf("another device is not asked: %v", err)
	}
	v, err := p.factors.View(t.Context(), user, device)
	if err != nil || len(v.Trusted) != 1 || v.Trusted[0].Name != "Firefox on Linux" || !v.Trusted[0].This {
		t.Fatalf("trusted devices %+v, %v", v.Trusted, err)
	}
	if err := p.accounts.SetPassword(t.Context(), operator(), user, "another long passphrase"); err != nil {
		t.Fatal(err)
	}
	if !owes() {
		t.Error("the trust outlives the password")
	}
	trust()
	p.clock.advance(mfa.TrustLife + time.Second)
	if !owes() {
		t.Error("the trust outlives its time")
	}
	trust()
	if v, err = p.factors.View(t.Context(), user, device); err != nil || len(v.Trusted) != 1 {
		t.Fatalf("trusted devices %+v, %v", v.Trusted, err)
	}
	stranger := p.create(t, "sam@example.com")
	if err := p.factors.Forget(t.Context(), stranger, v.Trusted[0].ID); err != nil || owes() {
		t.Errorf("a stranger ended the trust: %v", err)
	}
	if err := p.factors.Forget(t.Context(), user, v.Trusted[0].ID); err != nil || !owes() {
		t.Errorf("the trust outlives Forget: %v", err)
	}
}

func TestGuessesAreLimitedWhereverTheyComeFrom(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	shared, _ := p.enrol(t, user)

	owner := p.browser(t)
	owner.password()
	if a := owner.press("/login/mfa", "verify", "code", p.code(t, shared)); a.status != http.StatusSeeOther {
		t.Fatalf("the owner: %d", a.status)
	}
	p.clock.advance(time.Minute)

	// Whoever guesses has the password, and takes a new browser and another
	// replica each time.
	limited, began := 0, time.Now()
	for n := range 12 {
		b := []*replica{p.replica, p.second}[n%2].browser(t)
		b.password()
		switch a := b.press("/login/mfa", "verify", "code", "000000"); a.status {
		case http.StatusTooManyRequests:
			limited++
		case http.StatusForbidden:
		default:
			t.Fatalf("guess %d: %d", n, a.status)
		}
	}
	// The limiter's clock is Redis's: the time that this takes lets more of them in.
	if let := 12 - limited; let > 6+int(time.Since(began)/(30*time.Second)) {
		t.Errorf("%d of 12 guesses were let in", let)
	}
	if a := owner.password(); a.location != "/login/mfa" {
		t.Fatalf("the owner's password leads to %q", a.location)
	}
	if a := owner.press("/login/mfa", "verify", "code", p.code(t, shared)); a.status != http.StatusSeeOther || owner.acr() != oidc.ACRMFA {
		t.Errorf("the owner's own browser is shut out: %d", a.status)
	}
	if n := p.events.reasons("mfa.failed"); n["wrong_code"] == 0 || n["rate_limited"] == 0 {
		t.Errorf("audited: %v", n)
	}
}

func TestRemovingTheFactorEndsWhatItVouchedFor(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	shared, codes := p.enrol(t, user)
	elsewhere, here := p.browser(t), p.second.browser(t)
	for _, b := range []*browser{elsewhere, here} {
		b.password()
		if a := b.press("/login/mfa", "verify", "code", p.code(t, shared)); a.status != http.StatusSeeOther {
			t.Fatalf("signing in: %d", a.status)
		}
		p.clock.advance(time.Minute)
	}
	strong, weak := p.grant(t, user, oidc.ACRMFA), p.grant(t, user, oidc.ACRPassword)

	before := here.cookie("larder-session")
	if a := here.press("/account/security", "totp-off"); a.location != "/account/security" {
		t.Fatalf("turning it off: %d %s", a.status, a.body)
	}
	if here.acr() != oidc.ACRPassword || here.cookie("larder-session") == before {
		t.Errorf("here: acr %q, the cookie the same: %t", here.acr(), here.cookie("larder-session") == before)
	}
	if elsewhere.acr() != "" {
		t.Error("another session of two factors lives on")
	}
	if !p.revoked(t, strong) || p.revoked(t, weak) {
		t.Errorf("revoked: of two factors %t, of one %t", p.revoked(t, strong), p.revoked(t, weak))
	}
	if required, err := p.factors.Required(t.Context(), user, ""); err != nil || required {
		t.Errorf("a factor is still asked for: %t, %v", required, err)
	}
	if _, err := p.factors.Check(t.Context(), user, codes[0]); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a recovery code without a factor: %v", err)
	}
}

func TestPeopleAreToldWhatHappensToTheirFactors(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	_, codes := p.enrol(t, user)
	if _, err := p.factors.Check(t.Context(), user, codes[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := p.factors.Regenerate(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to tell
		if err := p.factors.Remove(t.Context(), operator(), user); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"An authenticator app was set up", "A recovery code was used", "You have new recovery codes", "The second step was turned off"}
	if diff := cmp.Diff(want, p.post.subjects); diff != "" {
		t.Errorf("letters (-want +got):\n%s", diff)
	}
}

func TestTheCopyOfOnesDataHoldsNoSecret(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	shared, codes := p.enrol(t, user)
	if err := p.factors.Trust(t.Context(), user, "a device", "curl/8.5.0"); err != nil {
		t.Fatal(err)
	}
	export, err := p.factors.Export(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(export)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"authenticator_app_since":"2`, `"recovery_codes_left":10`, `"name":"curl"`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
	if strings.Contains(string(raw), shared) || strings.Contains(string(raw), codes[0]) {
		t.Errorf("a secret stands in %s", raw)
	}
}

// However the changes of somebody's factors meet, there are ten codes.
func TestANewAppReplacesCodesThatAreBeingReplaced(t *testing.T) {
	t.Parallel()
	p := setup(t)
	user := p.create(t, "ada@example.com")
	p.enrol(t, user)
	key, err := p.factors.Propose(t.Context(), user, "a session", "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	code := p.code(t, key.Secret())
	other, err := p.db.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback(context.WithoutCancel(t.Context())) }()
	for _, statement := range []string{ // those of Regenerate
		`SELECT FROM auth.users WHERE id = $1 FOR NO KEY UPDATE`,
		`DELETE FROM auth.recovery_codes WHERE user_id = $1`,
		`INSERT INTO auth.recovery_codes (user_id, hash) SELECT $1, decode(md5(n::text), 'hex') FROM generate_series(1, 10) AS n`,
	} {
		if _, err := other.Exec(t.Context(), statement, user); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := p.factors.Confirm(t.Context(), user, "a session", code)
		done <- err
	}()
	p.db.Waits(t, 1)
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if v, err := p.factors.View(t.Context(), user, ""); err != nil || v.RecoveryCodes != 10 {
		t.Errorf("%d recovery codes, %v", v.RecoveryCodes, err)
	}
}
