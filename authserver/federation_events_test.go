package main

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/internal/emulator"
)

// tell posts what a provider says, and returns the status of the answer.
func (w *abroad) tell(t *testing.T, replica int, provider string, body []byte) int {
	t.Helper()
	path, content := "/federation/google/events", "application/secevent+jwt"
	if provider == "apple" {
		path, content = "/federation/apple/notifications", "application/json"
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.replicas[replica].url+path, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", content)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func (w *abroad) event(t *testing.T, provider, event, email string, bend ...func(map[string]any)) []byte {
	t.Helper()
	p := w.provider(provider)
	claims, err := p.EventClaims(event, p.Subject(email), email)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range bend {
		f(claims)
	}
	body, err := p.EventBody(claims)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func taken(provider string) int {
	if provider == "apple" {
		return http.StatusOK
	}
	return http.StatusAccepted
}

func TestWhatAProviderTellsIsActedOn(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	for n, c := range []struct {
		provider, event    string
		signedOut, dropped bool
		letter             string
	}{
		{"google", "sessions-revoked", true, false, "signed out"},
		{"google", "tokens-revoked", true, false, "signed out"},
		{"google", "account-disabled", true, false, "cannot sign in"},
		{"google", "account-purged", true, true, "unlinked"},
		{"google", "account-credential-change-required", false, false, ""},
		{"google", "verification", false, false, ""},
		{"apple", "consent-revoked", true, true, "unlinked"},
		{"apple", "account-delete", true, true, "unlinked"},
		{"apple", "email-disabled", false, false, ""},
	} {
		email := fmt.Sprintf("n%d@example.com", n)
		v := w.visitor(t)
		v.expect(w.via(v, c.provider, email), 303, "/account")
		w.mail(t, email) // of the account
		body := w.event(t, c.provider, c.event, email)
		for replica := range 2 { // the second time nothing is done
			if got := w.tell(t, replica, c.provider, body); got != taken(c.provider) {
				t.Fatalf("%s: %d", c.event, got)
			}
		}
		if out := v.get("/account").StatusCode == http.StatusSeeOther; out != c.signedOut {
			t.Errorf("%s: signed out is %t, want %t", c.event, out, c.signedOut)
		}
		if n := w.count(t, `SELECT count(*) FROM auth.identities WHERE subject = $1`, w.provider(c.provider).Subject(email)); n == 0 != c.dropped {
			t.Errorf("%s: %d identities", c.event, n)
		}
		if c.letter != "" {
			if l := w.mail(t, email); !strings.Contains(l.subject, c.letter) {
				t.Errorf("%s: the mail is %q", c.event, l.subject)
			}
		}
	}
	// Disabled there and enabled again.
	const email = "n2@example.com"
	v := w.visitor(t)
	v.expect(w.via(v, "google", email), 403, "disabled there")
	if got := w.tell(t, 0, "google", w.event(t, "google", "account-enabled", email)); got != 202 {
		t.Errorf("enabling: %d", got)
	}
	v.expect(w.via(v, "google", email), 303, "/account")
	if n := w.count(t, `SELECT count(*) FROM auth.identities WHERE relay_off_at IS NOT NULL`); n != 1 {
		t.Errorf("%d addresses forward nothing, want 1", n)
	}
	if n := w.count(t, `SELECT count(*) FROM auth.audit_events WHERE action = 'identity.event'`); n != 9 {
		t.Errorf("%d events were recorded, want 9", n) // all but the one about nobody, and the one that enables
	}
}

func TestOf32DeliveriesOfAnEventAtOnceOneIsActedOn(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	acted := 0
	for provider, event := range map[string]string{"google": "sessions-revoked", "apple": "email-disabled"} {
		email := provider + "@example.com"
		v := w.visitor(t)
		v.expect(w.via(v, provider, email), 303, "/account")
		body := w.event(t, provider, event, email)
		var all sync.WaitGroup
		for n := range 32 {
			all.Go(func() {
				if got := w.tell(t, n%2, provider, body); got != taken(provider) {
					t.Errorf("%s: delivery %d: %d", provider, n, got)
				}
			})
		}
		all.Wait()
		acted++
		if n := w.count(t, `SELECT count(*) FROM auth.audit_events WHERE action = 'identity.event'`); n != acted {
			t.Errorf("%s: %d events were acted on, want %d", provider, n, acted)
		}
	}
}

// The identity goes with the transaction, the sessions after it: a provider that
// got no answer sends the event again, and it ends them then.
func TestAnEventThatCameToNoEndIsFinishedWhenItComesAgain(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	address, redis := through(t, w.env["AUTHSERVER_REDIS_URL"])
	redis.set(true)
	w.replicas = append(w.replicas, w.with("AUTHSERVER_REDIS_URL", address).startReady(t))
	redis.set(false)
	for provider, event := range map[string]string{"google": "account-purged", "apple": "consent-revoked"} {
		email := provider + "@example.com"
		v := w.visitor(t)
		v.expect(w.via(v, provider, email), 303, "/account")
		body := w.event(t, provider, event, email)
		if got := w.tell(t, 2, provider, body); got != http.StatusServiceUnavailable {
			t.Errorf("%s: without Redis: %d", provider, got)
		}
		if n := w.count(t, `SELECT count(*) FROM auth.identities WHERE subject = $1`, w.provider(provider).Subject(email)); n != 0 {
			t.Errorf("%s: %d identities", provider, n)
		}
		v.expect(v.get("/account"), 200, "Hello")
		if got := w.tell(t, 0, provider, body); got != taken(provider) {
			t.Errorf("%s: again: %d", provider, got)
		}
		v.expect(v.get("/account"), 303, "/login")
	}
	if n := w.count(t, `SELECT count(*) FROM auth.audit_events WHERE action = 'identity.event'`); n != 2 {
		t.Errorf("%d events were acted on, want 2", n)
	}
}

func TestAnEventThatIsNotRightDoesNothing(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	for provider, event := range map[string]string{"google": "sessions-revoked", "apple": "consent-revoked"} {
		email := provider + "@example.com"
		v := w.visitor(t)
		v.expect(w.via(v, provider, email), 303, "/account")
		set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
		for name, bend := range map[string]func(map[string]any){
			"another's": set("aud", "another"), "another issuer": set("iss", "https://evil.example"), "of last month": set("iat", time.Now().Add(-30*24*time.Hour).Unix()),
			"of tomorrow": set("iat", time.Now().Add(24*time.Hour).Unix()), "without jti": set("jti", ""), "without events": func(c map[string]any) { delete(c, "events") },
		} {
			if got := w.tell(t, 0, provider, w.event(t, provider, event, email, bend)); got != 400 {
				t.Errorf("%s, %s: %d", provider, name, got)
			}
		}
		claims, err := w.provider(provider).EventClaims(event, w.provider(provider).Subject(email), email)
		if err != nil {
			t.Fatal(err)
		}
		forger := map[string]*emulator.Provider{"google": w.idp.Apple, "apple": w.idp.Google}[provider]
		for name, sign := range map[string]func(map[string]any) (string, error){"unsigned": unsigned, "by a secret": byAnyKey, "by another": forger.Sign} {
			signed, err := sign(maps.Clone(claims))
			if err != nil {
				t.Fatal(err)
			}
			body := []byte(signed)
			if provider == "apple" {
				body = []byte(`{"payload":"` + signed + `"}`)
			}
			if got := w.tell(t, 0, provider, body); got != 400 {
				t.Errorf("%s, %s: %d", provider, name, got)
			}
		}
		if got := w.tell(t, 0, provider, []byte(`{"payload": 5`)); got != 400 {
			t.Errorf("%s, nonsense: %d", provider, got)
		}
		// An ID token is no event.
		idToken, err := w.provider(provider).Sign(map[string]any{"iss": w.provider(provider).Issuer, "aud": w.provider(provider).ClientID, "iat": time.Now().Unix(), "sub": "x", "jti": "y"})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.tell(t, 0, "google", []byte(idToken)); got != 400 {
			t.Errorf("%s, an ID token: %d", provider, got)
		}
		if n := w.count(t, `SELECT count(*) FROM auth.federation_events`); n != 0 {
			t.Error("it was remembered as done")
		}
		v.expect(v.get("/account"), 200, "Hello")
		// About somebody who is not here it is taken all the same.
		if got := w.tell(t, 0, provider, w.event(t, provider, event, "nobody@example.com")); got != taken(provider) {
			t.Errorf("%s, about nobody: %d", provider, got)
		}
		if _, err := w.db.Owner.Exec(t.Context(), `DELETE FROM auth.federation_events`); err != nil {
			t.Fatal(err)
		}
	}
}

func TestApplesTokenIsTakenBackWhenTheAccountGoes(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	revoked := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(patience); w.idp.Apple.Revocations() < want; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d tokens were taken back, want %d", w.idp.Apple.Revocations(), want)
			}
		}
	}
	v := w.visitor(t)
	v.expect(w.via(v, "apple", "leaver@example.com"), 303, "/account")
	v.expect(v.press("/account/privacy", "delete"), 200, "will be deleted")
	if n := w.idp.Apple.Revocations(); n != 0 {
		t.Error("it was taken back while the account can still be kept")
	}
	if _, err := w.db.Owner.Exec(t.Context(), `UPDATE auth.users SET delete_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	w.sweepLeavers(t)
	revoked(1)
	// Unlinking does it too, but not what Apple has ended itself.
	v = w.visitor(t)
	v.expect(w.via(v, "google", "stays@example.com"), 303, "/account")
	v.expect(w.come(v, w.allow(t, v.leave("/account/identities", "apple"), "email", "stays@example.com")), 303, "done=linked")
	page := v.get("/account/identities").Body
	all := regexp.MustCompile(`name="identity" value="([^"]+)"`).FindAllStringSubmatch(page, -1)
	v.expect(v.press("/account/identities", "unlink", "identity", all[1][1]), 303, "done=unlinked")
	revoked(2)
}
