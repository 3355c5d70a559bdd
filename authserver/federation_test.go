package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/pquerna/otp/totp"

	"larder/internal/emulator"
)

// abroad is a town from which Google and Apple can be reached, emulated.
type abroad struct {
	*town
	idp *emulator.Emulator
}

func goAbroad(t *testing.T, settings ...string) *abroad {
	t.Helper()
	idp, err := emulator.Listen(t.Context(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	mails := filepath.Join(t.TempDir(), "mail")
	settings = append(settings, "AUTHSERVER_MAIL_DIR", mails)
	for name, value := range idp.Environment() {
		settings = append(settings, name, value)
	}
	w := newWorld(t).with(settings...)
	return &abroad{idp: idp, town: &town{world: w, mails: mails, replicas: []*running{w.startReady(t), w.startReady(t)}, read: make(map[string]bool)}}
}

func (w *abroad) provider(name string) *emulator.Provider {
	if name == "apple" {
		return w.idp.Apple
	}
	return w.idp.Google
}

// trip is what a browser brings back from a provider.
type trip struct {
	provider string
	fields   url.Values
}

// leave presses the button of a provider on a page and returns where it leads.
func (v *visitor) leave(page, provider string) string {
	v.t.Helper()
	got := v.expect(v.press(page, provider), 303, "http://127.0.0.1")
	return got.Header.Get("Location")
}

// allow answers at the provider's page, given by its address.
func (w *abroad) allow(t *testing.T, address string, fields ...string) trip {
	t.Helper()
	form := url.Values{"action": {"allow"}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	plain := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := plain.PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if to := res.Header.Get("Location"); to != "" {
		u, err := url.Parse(to)
		if err != nil || u.Path != "/login/google/callback" {
			t.Fatalf("Google leads to %s", to)
		}
		return trip{"google", u.Query()}
	}
	back := trip{"apple", url.Values{}}
	for _, field := range regexp.MustCompile(`name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(string(raw), -1) {
		back.fields.Set(field[1], html.UnescapeString(field[2]))
	}
	if back.fields.Get("state") == "" {
		t.Fatalf("the provider answers %s: %s", res.Status, raw)
	}
	return back
}

// come brings a trip home as the browser does: Apple's by a POST from another
// site, which carries no Lax cookie, and the GET that follows.
func (w *abroad) come(v *visitor, back trip) answer {
	v.t.Helper()
	if back.provider == "google" {
		return v.get("/login/google/callback?" + back.fields.Encode())
	}
	foreign := &visitor{t: v.t, replica: v.replica, header: http.Header{"Origin": {w.idp.URL}, "Sec-Fetch-Site": {"cross-site"}}, Client: http.Client{CheckRedirect: v.CheckRedirect}}
	got := foreign.send(http.MethodPost, "/login/apple/callback", back.fields)
	if got.StatusCode != http.StatusSeeOther {
		return got
	}
	return v.get(got.Header.Get("Location"))
}

// via signs in with a provider from the sign-in page.
func (w *abroad) via(v *visitor, provider, email string, fields ...string) answer {
	v.t.Helper()
	return w.come(v, w.allow(v.t, v.leave("/login", provider), append([]string{"email", email}, fields...)...))
}

func TestSomebodyNewSignsInWithGoogleOrApple(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	for _, provider := range []string{"google", "apple"} {
		email := provider + "@example.com"
		v := w.visitor(t)
		v.expect(v.get("/login"), 200, `value="`+provider+`"`)
		v.expect(w.via(v, provider, email, "name", "Noor <Ahmed>"), 303, "/account")
		v.expect(v.get("/account"), 200, "Noor &lt;Ahmed&gt;")
		v.expect(v.get("/account/identities"), 200, email)
		if l := w.mail(t, email); l.subject != "Welcome to Larder" {
			t.Errorf("the mail is %q", l.subject)
		}
		// The provider's key has changed meanwhile, and Apple says no name any more.
		if err := w.provider(provider).RotateKeys(); err != nil {
			t.Fatal(err)
		}
		again := w.visitor(t)
		again.replica = w.replicas[1]
		again.expect(w.via(again, provider, email, "name", "Somebody Else"), 303, "/account")
		again.expect(again.get("/account"), 200, "Noor &lt;Ahmed&gt;")
		if n := w.count(t, `SELECT count(*) FROM auth.users u JOIN auth.emails e ON e.user_id = u.id WHERE e.canonical = $1 AND e.verified_at IS NOT NULL`, email); n != 1 {
			t.Errorf("%d accounts with %s", n, email)
		}
		// Back, or a page that is loaded again, leads somewhere useful.
		v.expect(w.come(v, w.allow(t, v.leave("/login", provider), "action", "deny")), 200, "You did not continue")
	}
	v := w.visitor(t)
	v.expect(w.via(v, "apple", "shy@example.com", "name", "", "relay", "yes"), 303, "/account")
	v.expect(v.get("/account"), 200, "New member")
	v.expect(v.get("/account/identities"), 200, "a forwarding address")
	if n := w.count(t, `SELECT count(*) FROM auth.identities WHERE provider = 'apple' AND refresh_token IS NOT NULL`); n != 2 {
		t.Errorf("%d of Apple's tokens are kept, want 2", n)
	}
	if n := w.count(t, `SELECT count(*) FROM auth.identities WHERE provider = 'google' AND refresh_token IS NOT NULL`); n != 0 {
		t.Error("a token of Google's is kept")
	}
	// Privacy without a password: a fresh sign-in does.
	v.expect(v.press("/account/privacy", "download"), 200, "linked_accounts")
}

// F1 of the security cases, and the binding of tabs.
func TestAStateIsGoodOnceAndInItsOwnBrowser(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	for _, provider := range []string{"google", "apple"} {
		v, stranger := w.visitor(t), w.visitor(t)
		stranger.leave("/login", provider) // has trips of its own
		one, two := v.leave("/login", provider), v.leave("/login", provider)
		back := w.allow(t, one, "email", "tabs-"+provider+"@example.com")
		other := w.allow(t, two, "email", "tabs-"+provider+"@example.com")
		bend := func(change func(url.Values)) trip {
			fields := maps.Clone(back.fields)
			change(fields)
			return trip{provider, fields}
		}
		for name, bad := range map[string]trip{
			"no state":        bend(func(f url.Values) { f.Del("state") }),
			"a chosen state":  bend(func(f url.Values) { f.Set("state", "chosen") }),
			"an unknown one":  bend(func(f url.Values) { f.Set("state", strings.Repeat("A", 43)) }),
			"state in double": bend(func(f url.Values) { f["state"] = []string{back.fields.Get("state"), "x"} }),
		} {
			if got := w.come(v, bad); got.StatusCode != 403 && got.StatusCode != 400 {
				t.Errorf("%s, %s: %s", provider, name, got.Status)
			}
		}
		if provider == "google" {
			stranger.expect(w.come(stranger, back), 403, "another browser")
		}
		v.expect(w.come(v, back), 303, "/account")
		v.expect(w.come(v, back), 403, `role="alert"`)
		stranger.expect(w.come(stranger, other), 403, `role="alert"`)
		if provider == "google" { // the stranger did not spend it
			v.expect(w.come(v, other), 303, "/account")
		}
		// One provider's answer at the other's door.
		elsewhere := map[string]string{"google": "apple", "apple": "google"}[provider]
		third := w.allow(t, v.leave("/login", provider), "email", "tabs-"+provider+"@example.com")
		v.expect(w.come(v, trip{elsewhere, third.fields}), 403, `role="alert"`)
		// A state that began elsewhere is not taken from the request.
		v.expect(v.press("/login?state=attacker", provider), 303, "state=")
		if to := v.press("/login", provider, "state", "attacker").Header.Get("Location"); strings.Contains(to, "attacker") {
			t.Errorf("the state was taken from the request: %s", to)
		}
	}
	// F3: the form from an evil origin.
	v := w.visitor(t)
	back := w.allow(t, v.leave("/login", "apple"), "email", "evil@example.com")
	v.header = http.Header{"Origin": {"https://evil.example"}}
	v.expect(v.send(http.MethodPost, "/login/apple/callback", back.fields), 403, `role="alert"`)
}

// F3 over https: the cookie comes along with Apple's POST, once.
func TestOverHTTPSTheFormPostIsBoundByACookieOfItsOwn(t *testing.T) {
	t.Parallel()
	w := goAbroad(t, "AUTHSERVER_ISSUER", "https://login.example.com")
	v := w.visitor(t)
	got := v.press("/login", "apple")
	var cookie *http.Cookie
	for _, c := range (&http.Response{Header: got.Header}).Cookies() {
		if strings.Contains(c.Name, "federation") {
			cookie = c
		}
	}
	if cookie == nil || !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteNoneMode {
		t.Fatalf("the cookie is %v", cookie)
	}
	for _, c := range (&http.Response{Header: v.press("/login", "google").Header}).Cookies() {
		if strings.Contains(c.Name, "federation") && c.SameSite != http.SameSiteLaxMode {
			t.Errorf("Google's cookie is %v", c)
		}
	}
	back := w.allow(t, got.Header.Get("Location"), "email", "tls@example.com")
	post := func(header http.Header) answer {
		foreign := &visitor{t: t, replica: v.replica, header: header, Client: http.Client{CheckRedirect: v.CheckRedirect}}
		return foreign.send(http.MethodPost, "/login/apple/callback", back.fields)
	}
	if got := post(http.Header{"Origin": {w.idp.URL}}); got.StatusCode != 403 {
		t.Errorf("without the cookie: %s", got.Status)
	}
	bound := http.Header{"Origin": {w.idp.URL}, "Cookie": {cookie.Name + "=" + cookie.Value}}
	if got := post(bound); got.StatusCode != 303 {
		t.Errorf("with the cookie: %s", got.Status)
	}
	if got := post(bound); got.StatusCode != 403 {
		t.Errorf("a second time: %s", got.Status)
	}
}

func unsigned(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part(payload) + ".", err
}

func byAnyKey(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, nil)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// F2, F4 and F5 of the security cases: what a provider answers is verified.
func TestAnAnswerThatIsNotRightSignsNobodyIn(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	set := func(name string, value any) func(*emulator.Answer) {
		return func(a *emulator.Answer) { a.Claims[name] = value }
	}
	drop := func(name string) func(*emulator.Answer) {
		return func(a *emulator.Answer) { delete(a.Claims, name) }
	}
	for _, provider := range []string{"google", "apple"} {
		other := map[string]*emulator.Provider{"google": w.idp.Apple, "apple": w.idp.Google}[provider]
		for name, alter := range map[string]func(*emulator.Answer){
			"another nonce": set("nonce", "another"), "no nonce": drop("nonce"),
			"address not verified": set("email_verified", false), `address "false"`: set("email_verified", "false"), "address of unknown state": drop("email_verified"),
			"an odd truth": set("email_verified", 1), "no address": drop("email"),
			"no subject": drop("sub"), "an empty subject": set("sub", ""), "no ID token": func(a *emulator.Answer) { a.OmitIDToken = true },
			"another client's": set("aud", "another"), "many clients'": set("aud", []string{w.provider(provider).ClientID, "another"}),
			"made for another party": set("azp", "another"), "another issuer": set("iss", "https://evil.example"),
			"expired": set("exp", time.Now().Add(-time.Minute).Unix()), "never expires": drop("exp"),
			"unsigned": func(a *emulator.Answer) { a.Sign = unsigned }, "signed by a secret": func(a *emulator.Answer) { a.Sign = byAnyKey },
			"the other provider's": func(a *emulator.Answer) {
				a.Claims["iss"], a.Claims["aud"] = other.Issuer, other.ClientID
				a.Sign = other.Sign
			},
			"the other's key": func(a *emulator.Answer) { a.Sign = other.Sign },
		} {
			w.provider(provider).Alter(alter)
			v := w.visitor(t)
			if got := w.via(v, provider, "refused@example.com"); got.StatusCode != 403 || !strings.Contains(got.Body, `role="alert"`) {
				t.Errorf("%s, %s: %s", provider, name, got.Status)
			}
			if got := v.get("/account"); got.StatusCode != 303 {
				t.Errorf("%s, %s: somebody is signed in", provider, name)
			}
		}
		w.provider(provider).Alter(func(a *emulator.Answer) { a.Status = 500 })
		v := w.visitor(t)
		v.expect(w.via(v, provider, "refused@example.com"), 503, "does not answer")
		w.provider(provider).Alter(nil)

		// The verifier is not the one of the challenge.
		address := v.leave("/login", provider)
		address = regexp.MustCompile(`code_challenge=[^&]+`).ReplaceAllString(address, "code_challenge="+strings.Repeat("B", 43))
		v.expect(w.come(v, w.allow(t, address, "email", "refused@example.com")), 403, `role="alert"`)
	}
	if n := w.count(t, `SELECT count(*) FROM auth.users`); n != 0 {
		t.Errorf("%d accounts were made", n)
	}
	// Apple may leave the nonce out where it says that it had to.
	w.idp.Apple.Alter(func(a *emulator.Answer) {
		delete(a.Claims, "nonce")
		a.Claims["nonce_supported"], a.Claims["email_verified"], a.Claims["transfer_sub"] = false, true, "001.moved"
	})
	v := w.visitor(t)
	v.expect(w.via(v, "apple", "old-phone@example.com"), 303, "/account")
	// Google has two names.
	w.idp.Google.Alter(func(a *emulator.Answer) { a.Claims["iss"] = strings.TrimPrefix(w.idp.Google.Issuer, "http://") })
	v = w.visitor(t)
	v.expect(w.via(v, "google", "two-names@example.com"), 303, "/account")
}

// I13: a provider that hangs fails its own button only.
func TestAProviderThatHangsFailsItsOwnButtonOnly(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	w.join(t, "nina@example.com")
	v := w.visitor(t)
	back := w.allow(t, v.leave("/login", "google"), "email", "nobody@example.com")
	release := w.idp.Google.Hang()
	defer release()
	done := make(chan answer, 1)
	go func() { done <- w.come(v, back) }()
	other := w.visitor(t)
	other.expect(other.signIn("nina@example.com", testPassword), 303, "/account")
	fruit := w.visitor(t)
	fruit.expect(w.via(fruit, "apple", "fruit@example.com"), 303, "/account")
	if got := <-done; got.StatusCode != 503 || got.Header.Get("Retry-After") == "" {
		t.Errorf("the hanging button: %s", got.Status)
	}
}

func TestAnAddressIsNotEnoughToGetIntoItsAccount(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	const email = "nina@example.com"
	owner := w.join(t, email)
	for _, provider := range []string{"google", "apple"} {
		v := w.visitor(t)
		v.expect(w.via(v, provider, email), 303, "/login/link")
		v.expect(v.get("/login/link"), 200, "Link and sign in")
		v.expect(v.get("/account"), 303, "/login")
		v.expect(v.press("/login/link", "login", "password", otherPassword), 403, "not right")
		stranger := w.visitor(t)
		stranger.expect(stranger.press("/login/link", "login", "password", testPassword), 303, "/login")
		if n := w.count(t, `SELECT count(*) FROM auth.identities WHERE provider = $1`, provider); n != 0 {
			t.Fatalf("%s was linked without the password", provider)
		}
		v.expect(v.press("/login/link", "login", "password", testPassword), 303, "/account")
		v.expect(v.get("/account/identities"), 200, email)
		if l := w.mail(t, email); !strings.Contains(l.subject, "was linked") {
			t.Errorf("the mail is %q", l.subject)
		}
		v.expect(v.press("/login/link", "login", "password", testPassword), 303, "/login")
		again := w.visitor(t)
		again.expect(w.via(again, provider, email), 303, "/account")
	}
	// One that its owner did not prove is not linked either, nor is one without a password.
	if _, err := w.db.Owner.Exec(t.Context(), `DELETE FROM auth.identities; UPDATE auth.emails SET verified_at = NULL`); err != nil {
		t.Fatal(err)
	}
	v := w.visitor(t)
	v.expect(w.via(v, "google", email), 303, "/login/link")
	if got := v.get("/login/link"); strings.Contains(got.Body, "Link and sign in") {
		t.Error("an account with an unproven address is offered")
	}
	v.expect(v.press("/login/link", "login", "password", testPassword), 403, "cannot be linked")
	owner.expect(owner.signIn(email, testPassword), 303, "/account")
}

// Whoever has codes sent links an account by the password and such a code.
func TestAnAccountIsLinkedAfterACodeByMail(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	const email = "nina@example.com"
	v := w.join(t, email)
	v.expect(v.signIn(email, testPassword), 303, "/account")
	v.expect(v.press("/account/security", "mail-codes"), 303, "/account/security")

	v = w.visitor(t)
	v.expect(w.via(v, "google", email), 303, "/login/link")
	v.expect(v.press("/login/link", "login", "password", testPassword), 303, "/login/mfa?next=identities")
	if n := w.count(t, `SELECT count(*) FROM auth.identities`); n != 0 {
		t.Fatalf("%d identities before the code", n)
	}
	v.expect(v.press("/login/mfa", "send", "channel", "email", "next", "identities"), 200, "")
	mailed := w.next(t, email, func(l letter) bool { return l.subject == "Your Larder code" })
	code := regexp.MustCompile(`(?m)^    ([0-9]{6})\r?$`).FindStringSubmatch(mailed.text)
	if code == nil {
		t.Fatalf("no code in %s", mailed.text)
	}
	v.expect(v.press("/login/mfa", "verify", "code", code[1], "next", "identities"), 303, "/account/identities")
	v.expect(v.get("/account/identities"), 303, "/account")
	v.expect(v.get("/account/identities"), 200, "Google")
	if n := w.count(t, `SELECT count(*) FROM auth.identities`); n != 1 {
		t.Errorf("%d identities after the code", n)
	}
}

// enrol sets an authenticator app up and returns the recovery codes.
func (w *town) enrol(t *testing.T, v *visitor) []string {
	t.Helper()
	found := regexp.MustCompile(`id="totp-secret"[^>]*>([^<]+)<`).FindStringSubmatch(v.expect(v.press("/account/security", "totp"), 200, "totp-secret").Body)
	code, err := totp.GenerateCode(strings.ReplaceAll(found[1], " ", ""), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	shown := v.expect(v.press("/account/security", "verify", "code", code), 200, "recovery-codes").Body
	_, list, _ := strings.Cut(shown, `id="recovery-codes"`)
	list, _, _ = strings.Cut(list, "</ul>")
	var codes []string
	for _, one := range regexp.MustCompile(`<code>([^<]+)</code>`).FindAllStringSubmatch(list, -1) {
		codes = append(codes, one[1])
	}
	return codes
}

// A6: what the account asks for besides holds whoever vouches for the person.
func TestTheSecondFactorIsOwedAfterAProvider(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	const email = "nina@example.com"
	v := w.join(t, email)
	v.expect(v.signIn(email, testPassword), 303, "/account")
	v.expect(w.come(v, w.allow(t, v.leave("/account/identities", "google"), "email", "work@example.com")), 303, "done=linked")
	codes := w.enrol(t, v)

	g := w.visitor(t)
	g.expect(w.via(g, "google", "work@example.com"), 303, "/login/mfa")
	for _, page := range []string{"/account", "/account/security", "/account/identities", "/account/privacy"} {
		g.expect(g.get(page), 303, "/login")
	}
	g.expect(g.press("/account/identities", "apple"), 303, "/login")
	g.expect(g.press("/login/mfa", "verify", "code", codes[0]), 303, "/account")
	g.expect(g.get("/account"), 200, "Nina")

	// Linking by the password waits for the second factor too.
	a := w.visitor(t)
	a.expect(w.via(a, "apple", email), 303, "/login/link")
	a.expect(a.press("/login/link", "login", "password", testPassword), 303, "/login/mfa")
	a.expect(a.get("/account/identities"), 303, "/login")
	if n := w.count(t, `SELECT count(*) FROM auth.identities WHERE provider = 'apple'`); n != 0 {
		t.Fatal("linked before the second factor")
	}
	a.expect(a.press("/login/mfa", "verify", "code", codes[1], "next", "identities"), 303, "/account/identities")
	a.expect(a.get("/account/identities"), 303, "/account")
	if n := w.count(t, `SELECT count(*) FROM auth.identities WHERE provider = 'apple'`); n != 1 {
		t.Fatal("not linked after the second factor")
	}

	// A17: what the sign-in began with is taken away before the second factor comes.
	u := w.visitor(t)
	u.expect(w.via(u, "google", "work@example.com"), 303, "/login/mfa")
	if _, err := w.db.Owner.Exec(t.Context(), `DELETE FROM auth.identities WHERE provider = 'google'`); err != nil {
		t.Fatal(err)
	}
	u.expect(u.press("/login/mfa", "verify", "code", codes[2]), 403, `role="alert"`)
	u.expect(u.get("/account"), 303, "/login")
	v.expect(v.get("/account"), 200, "Nina")
}

func TestLinkingAndUnlinkingStrandsNobody(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	v := w.visitor(t)
	v.expect(w.via(v, "google", "solo@example.com"), 303, "/account")
	identity := func() string {
		return regexp.MustCompile(`name="identity" value="([^"]+)"`).FindStringSubmatch(v.get("/account/identities").Body)[1]
	}
	first := identity()
	v.expect(v.press("/account/identities", "unlink", "identity", first), 409, "only way into")
	// Another account of the same person, by a trip that another session cannot end.
	back := w.allow(t, v.leave("/account/identities", "apple"), "email", "solo2@example.com")
	v.expect(w.come(v, back), 303, "done=linked")
	v.expect(v.get("/account/identities?done=linked"), 200, "solo2@example.com")
	late := w.allow(t, v.leave("/account/identities", "google"), "email", "solo3@example.com")
	v.expect(v.press("/logout", "logout"), 200, "")
	v.expect(w.come(v, late), 403, "not signed in any more")
	// What is one person's is not another's.
	other := w.visitor(t)
	other.expect(w.via(other, "google", "other@example.com"), 303, "/account")
	taken := other.expect(w.come(other, w.allow(t, other.leave("/account/identities", "apple"), "email", "solo2@example.com")), 409, "another Larder account")
	if !strings.Contains(taken.Body, "Linking your Apple account did not work") || !strings.Contains(taken.Body, `href="/account/identities"`) {
		t.Errorf("somebody who is signed in is told of a sign-in:\n%s", taken.Body)
	}
	other.expect(other.press("/account/identities", "unlink", "identity", first), 404, "not linked")

	v.expect(w.via(v, "apple", "solo2@example.com"), 303, "/account")
	// Of two that go at once, one stays.
	second := regexp.MustCompile(`name="identity" value="([^"]+)"`).FindAllStringSubmatch(v.get("/account/identities").Body, -1)[1][1]
	var wg sync.WaitGroup
	for _, one := range []string{first, second} {
		wg.Go(func() { v.press("/account/identities", "unlink", "identity", one) })
	}
	wg.Wait()
	if n := w.count(t, `SELECT count(*) FROM auth.identities i JOIN auth.emails e ON e.user_id = i.user_id WHERE e.canonical = 'solo@example.com'`); n != 1 {
		t.Errorf("%d ways in are left, want 1", n)
	}
	// An old sign-in changes nothing.
	v.expect(v.press("/account/identities", "nonsense"), 400, "")
}

func TestOneOfManyCallbacksSignsIn(t *testing.T) {
	t.Parallel()
	w := goAbroad(t)
	for round := range 5 {
		v := w.visitor(t)
		back := w.allow(t, v.leave("/login", "google"), "email", fmt.Sprintf("race%d@example.com", round))
		var in atomic.Int32
		var wg sync.WaitGroup
		for n := range 16 {
			racer := &visitor{t: t, replica: w.replicas[n%2], Client: v.Client}
			wg.Go(func() {
				if got := w.come(racer, back); got.StatusCode == http.StatusSeeOther {
					in.Add(1)
				}
			})
		}
		wg.Wait()
		if in.Load() != 1 {
			t.Fatalf("%d got in, want 1", in.Load())
		}
	}
}
