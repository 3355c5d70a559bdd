package account_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"larder/authserver/account"
	"larder/internal/limit"
	"larder/internal/outbound"
	"larder/internal/password"
	"larder/internal/risk"
)

func TestSigningInLeadsToTheAccountOrBackToTheFlow(t *testing.T) {
	p := setup(t)
	user := p.create(t, "ada@example.com")
	b := p.browser(t, "192.0.2.1")
	if got := b.get("/account"); got.status != http.StatusSeeOther || got.location != "/login" {
		t.Fatalf("/account of nobody: %d %s", got.status, got.location)
	}
	if got := b.signIn(" ADA@Example.com", goodPassword); got.status != http.StatusSeeOther || got.location != "/account" {
		t.Fatalf("sign-in: %d %s %s", got.status, got.location, got.body)
	}
	got := b.get("/account")
	if got.status != http.StatusOK || !strings.Contains(got.body, "Ada Baker") || !strings.Contains(got.body, "ada@example.com") {
		t.Errorf("/account: %d %s", got.status, got.body)
	}
	if got := b.get("/login"); got.location != "/account" {
		t.Errorf("/login when signed in: %d %s", got.status, got.location)
	}
	flowID := b.begin()
	page := b.get("/login?flow=" + flowID)
	for _, want := range []string{`name="email"`, `name="password"`, `name="action" value="login"`, `value="` + flowID + `"`, `value="ada@example.com"`, "&lt;b&gt;Larder Web", "https://web.example/privacy"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %s:\n%s", want, page.body)
		}
	}
	for _, not := range []string{"insecure.example", "<b>Larder", "javascript:"} {
		if strings.Contains(page.body, not) {
			t.Errorf("the page has %s:\n%s", not, page.body)
		}
	}
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, " com.example.app:;") {
		t.Errorf("the form may not lead to the client: %s", csp)
	}
	if got := b.signIn("ada@example.com", goodPassword, "flow", flowID); got.location != "/authorize/continue?flow="+flowID {
		t.Errorf("sign-in with a flow: %d %s", got.status, got.location)
	}
	if diff := cmp.Diff(map[string]int{"": 2}, p.events.reasons("login.succeeded")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if e := p.events.all[0]; e.Actor.ID != user.String() || e.SourceIP != "192.0.2.1" || e.RequestID == "" {
		t.Errorf("event = %+v", e)
	}
}

func TestSigningOut(t *testing.T) {
	p := setup(t)
	p.create(t, "ada@example.com")
	b := p.browser(t, "192.0.2.1")
	b.signIn("ada@example.com", goodPassword)
	if got := b.do(http.MethodPost, "/account", url.Values{"action": {"logout"}}, "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("sign-out by another site: %d", got.status)
	}
	if got := b.get("/account"); got.status != http.StatusOK {
		t.Fatalf("another site signed out: %d", got.status)
	}
	if got := b.do(http.MethodPost, "/account", url.Values{"action": {"logout"}}); got.status != http.StatusTemporaryRedirect || got.location != "/logout" {
		t.Errorf("sign-out is not handed on: %d %s", got.status, got.location)
	}
}

// A1: an account that is there and one that is not cannot be told apart.
func TestUnknownAndKnownAccountsAnswerAlike(t *testing.T) {
	p := setup(t)
	p.accounts.Hasher = password.NewHasher(password.Recommended(), 2, 64)
	p.create(t, "ada@example.com")
	user := p.create(t, "off@example.com")
	if err := p.accounts.Disable(t.Context(), operator(), user); err != nil {
		t.Fatal(err)
	}
	try := func(email string, i int) (answer, time.Duration) {
		b := p.browser(t, fmt.Sprintf("192.0.2.%d", i)) // a stranger each, so that nothing is throttled
		start := time.Now()
		return b.signIn(email, "not the password"), time.Since(start)
	}
	first, _ := try("ada@example.com", 0)
	if first.status != http.StatusForbidden || !strings.Contains(first.body, `role="alert"`) || !strings.Contains(first.body, `value="ada@example.com"`) {
		t.Fatalf("a wrong password: %d %s", first.status, first.body)
	}
	for _, email := range []string{"eve@example.com", "off@example.com", "xyz@example.com"} {
		got, _ := try(email, 1)
		if got.status != first.status || len(got.body) != len(first.body) {
			t.Errorf("%s: status %d and %d bytes; a known account has %d and %d", email, got.status, len(got.body), first.status, len(first.body))
		}
		if diff := cmp.Diff(plain(first.body), plain(got.body)); diff != "" {
			t.Errorf("%s (-known +unknown):\n%s", email, diff)
		}
	}
	// The quickest of each is what the work itself takes: without the dummy hash the unknown account answers some ten times as
	// fast, always. A busy machine gets more tries to show it, nine for each stranger, before anybody is throttled.
	known, unknown := time.Hour, time.Hour
	for i := 0; i < 15 || i < 80 && (known > 2*unknown || unknown > 2*known); i++ {
		_, k := try("ada@example.com", 2+i/9)
		_, u := try("eve@example.com", 102+i/9)
		known, unknown = min(known, k), min(unknown, u)
	}
	if known > 2*unknown || unknown > 2*known {
		t.Errorf("at best a known account took %v, an unknown one %v", known, unknown)
	}
}

// guesses is how many tries at one account and source may have been let in since began: time brings more of them.
func guesses(began time.Time) int { return 10 + int(time.Since(began)/(6*time.Second)) }

// A9: however many try at once and however the address is spelt, one count.
func TestFiftyAtOnceGetTenGuesses(t *testing.T) {
	p := setup(t)
	p.create(t, "ada@example.com")
	spellings := []string{"ada@example.com", "ADA@example.com", "Ada@EXAMPLE.COM", "\uff41da@example.com", " ada@example.com "}
	var wg sync.WaitGroup
	var guessed, limited, other atomic.Int32
	began := time.Now()
	for i := range 50 {
		b := p.browser(t, "192.0.2.1")
		wg.Go(func() {
			switch got := b.signIn(spellings[i%len(spellings)], "wrong password"); {
			case got.status == http.StatusForbidden:
				guessed.Add(1)
			case got.status == http.StatusTooManyRequests && got.header.Get("Retry-After") != "" && strings.Contains(got.body, `role="alert"`):
				limited.Add(1)
			default:
				other.Add(1)
			}
		})
	}
	wg.Wait()
	if n := int(guessed.Load()); n < 10 || n > guesses(began) || other.Load() != 0 {
		t.Errorf("%d guesses, %d limited, %d other answers; want 10, 40, 0", n, limited.Load(), other.Load())
	}
	if n := p.events.reasons("login.failed"); n["wrong_password"] != int(guessed.Load()) || n["rate_limited"] != int(limited.Load()) {
		t.Errorf("events = %v", n)
	}
	// The right password is one more try.
	if got := p.browser(t, "192.0.2.1").signIn("ada@example.com", goodPassword); got.status != http.StatusTooManyRequests && int(guessed.Load()) >= guesses(began) {
		t.Errorf("the right password from the same source meanwhile: %d, want 429", got.status)
	}
}

// A14: strangers cannot lock the owner out of a device that signed in before.
func TestStrangersDoNotLockTheOwnersDeviceOut(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.accounts.Hasher = password.NewHasher(password.Params{Memory: 8, Time: 1, Threads: 1}, 2, 64)
	p.create(t, "ada@example.com")
	owner := p.browser(t, "198.51.100.1")
	if got := owner.signIn("ada@example.com", goodPassword); got.status != http.StatusSeeOther {
		t.Fatalf("the owner: %d", got.status)
	}
	const tries, strangers = 10_000, 8
	var limited atomic.Int64
	var all sync.WaitGroup
	for s := range strangers {
		all.Go(func() {
			for i := s; i < tries; i += strangers {
				// Many sources, and the owner's own network among them.
				got := p.browser(t, fmt.Sprintf("198.51.100.%d", i%40)).signIn("ada@example.com", fmt.Sprint("guess ", i))
				if got.status == http.StatusTooManyRequests {
					limited.Add(1)
				}
			}
		})
	}
	all.Wait()
	if let := tries - limited.Load(); let > 150 {
		t.Errorf("%d of %d guesses were let in, want 150 at most", let, tries)
	}
	if got := p.browser(t, "203.0.113.9").signIn("ada@example.com", goodPassword); got.status != http.StatusTooManyRequests {
		t.Errorf("an unknown device from elsewhere: %d, want 429 while the account is under attack", got.status)
	}
	if got := owner.signIn("ada@example.com", goodPassword); got.status != http.StatusSeeOther {
		t.Errorf("the owner's device: %d, want 303", got.status)
	}
	// Being known for one account opens no door to another.
	p.create(t, "bob@example.com")
	for began, n := time.Now(), 0; owner.signIn("bob@example.com", "wrong password").status != http.StatusTooManyRequests; n++ {
		if n >= guesses(began) {
			t.Fatalf("guess %d at another account is let in", n+1)
		}
	}
}

func TestSuccessesDoNotAddUp(t *testing.T) {
	p := setup(t)
	p.create(t, "ada@example.com")
	for i := range 40 {
		if got := p.browser(t, "192.0.2.1").signIn("ada@example.com", goodPassword); got.status != http.StatusSeeOther {
			t.Fatalf("sign-in %d: %d", i+1, got.status)
		}
	}
}

func TestBadFormsAreRefused(t *testing.T) {
	p := setup(t)
	p.create(t, "ada@example.com")
	b := p.browser(t, "192.0.2.1")
	good := func(change func(url.Values)) url.Values {
		form := url.Values{"email": {"ada@example.com"}, "password": {goodPassword}, "action": {"login"}}
		change(form)
		return form
	}
	nothing := func(url.Values) {}
	for name, c := range map[string]struct {
		form   url.Values
		header []string
		status int
	}{
		"cross-site":            {good(nothing), []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"same-site":             {good(nothing), []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		"foreign origin":        {good(nothing), []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		"null origin":           {good(nothing), []string{"Origin", "null"}, http.StatusForbidden},
		"no action":             {good(func(f url.Values) { f.Del("action") }), nil, http.StatusBadRequest},
		"another action":        {good(func(f url.Values) { f.Set("action", "allow") }), nil, http.StatusBadRequest},
		"two emails":            {good(func(f url.Values) { f.Add("email", "eve@example.com") }), nil, http.StatusBadRequest},
		"JSON":                  {good(nothing), []string{"Content-Type", "application/json"}, http.StatusUnsupportedMediaType},
		"oversized":             {good(func(f url.Values) { f.Set("password", strings.Repeat("x", 20<<10)) }), nil, http.StatusRequestEntityTooLarge},
		"unknown flow":          {good(func(f url.Values) { f.Set("flow", strings.Repeat("A", 43)) }), nil, http.StatusNotFound},
		"no password":           {good(func(f url.Values) { f.Del("password") }), nil, http.StatusForbidden},
		"no email":              {good(func(f url.Values) { f.Del("email") }), nil, http.StatusForbidden},
		"password over the cap": {good(func(f url.Values) { f.Set("password", strings.Repeat("x", 2000)) }), nil, http.StatusForbidden},
		"email as an array":     {good(func(f url.Values) { f.Del("email"); f.Set("email[]", "ada@example.com") }), nil, http.StatusForbidden},
		"NUL in the email":      {good(func(f url.Values) { f.Set("email", "ada@example.com\x00") }), nil, http.StatusForbidden},
		"not UTF-8":             {good(func(f url.Values) { f.Set("email", "\xff@example.com"); f.Set("password", "\xff") }), nil, http.StatusForbidden},
	} {
		got := b.do(http.MethodPost, "/login", c.form, c.header...)
		if got.status != c.status || !strings.Contains(got.body, `role="alert"`) {
			t.Errorf("%s: %d, want %d\n%s", name, got.status, c.status, got.body)
		}
		if after := b.get("/account"); after.location != "/login" {
			t.Fatalf("%s: signed in", name)
		}
	}
	if got := b.do(http.MethodPost, "/login?email=ada@example.com&password="+url.QueryEscape(goodPassword)+"&action=login", url.Values{"x": {"y"}}); got.status != http.StatusBadRequest {
		t.Errorf("fields in the query: %d, want 400", got.status)
	}
	if got := b.do(http.MethodPut, "/login", good(nothing)); got.status != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d, want 405", got.status)
	}
}

// A4, O24: where the browser goes next depends neither on headers nor on parameters.
func TestNobodyElseSaysWhereToGoNext(t *testing.T) {
	p := setup(t)
	p.create(t, "ada@example.com")
	for _, name := range []string{"next", "return_to", "redirect", "redirect_uri", "continue", "url"} {
		b := p.browser(t, "192.0.2.1")
		form := url.Values{"email": {"ada@example.com"}, "password": {goodPassword}, "action": {"login"}, name: {"https://evil.example/"}}
		got := b.do(http.MethodPost, "/login?"+name+"=//evil.example", form, "Host", "evil.example", "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example", "X-Forwarded-Proto", "https")
		if got.status != http.StatusSeeOther || got.location != "/account" {
			t.Errorf("%s: %d %s", name, got.status, got.location)
		}
		for _, c := range got.header.Values("Set-Cookie") {
			if strings.Contains(strings.ToLower(c), "domain=") {
				t.Errorf("%s: %s", name, c)
			}
		}
	}
}

func TestAFlowOfAnotherBrowserDoesNotSignIn(t *testing.T) {
	p := setup(t)
	p.create(t, "ada@example.com")
	attacker, victim := p.browser(t, "192.0.2.1"), p.browser(t, "192.0.2.2")
	flowID := attacker.begin()
	for _, got := range []answer{victim.get("/login?flow=" + flowID), victim.signIn("ada@example.com", goodPassword, "flow", flowID)} {
		if got.status != http.StatusNotFound || !strings.Contains(got.body, "started in another browser") {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if got := victim.get("/account"); got.location != "/login" {
		t.Error("the victim is signed in")
	}
}

func TestWithoutRedisNobodySignsInAndNothingIsOpen(t *testing.T) {
	p := setup(t)
	p.create(t, "ada@example.com")
	b := p.browser(t, "192.0.2.1")
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1, DialTimeout: 200 * time.Millisecond})
	defer gone.Close()
	p.handler.Throttle = &account.Throttle{Redis: gone, Limiter: &limit.Limiter{Redis: gone}, Devices: p.signIns}
	for _, pass := range []string{goodPassword, "wrong password"} {
		if got := b.signIn("ada@example.com", pass); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q; want 503", pass, got.status, got.header.Get("Retry-After"))
		}
	}
}

// Promise 7: a Redis that is emptied, or away, lets no more guesses in.
func TestGuessesAreCountedWithoutRedisToo(t *testing.T) {
	p := setup(t)
	p.create(t, "ada@example.com")
	p.create(t, "bob@example.com")
	guessed := func(email string, tries int, before func()) (n int) {
		for range tries {
			before()
			switch got := p.browser(t, "192.0.2.1").signIn(email, "wrong password"); got.status {
			case http.StatusForbidden:
				n++
			case http.StatusTooManyRequests:
			default:
				t.Fatalf("a guess: %d %s", got.status, got.body)
			}
		}
		return n
	}
	began := time.Now()
	if n := guessed("ada@example.com", 25, func() {
		if err := p.redis.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}); n < 10 || n > guesses(began) {
		t.Errorf("%d guesses against a Redis that forgets, want 10", n)
	}
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1, DialTimeout: 200 * time.Millisecond})
	defer gone.Close()
	p.handler.Throttle = &account.Throttle{Redis: gone, Limiter: &limit.Limiter{Redis: gone, DB: p.db, Lasting: true}, Devices: p.signIns}
	began = time.Now()
	if n := guessed("bob@example.com", 15, func() {}); n < 10 || n > guesses(began) {
		t.Errorf("%d guesses without a Redis, want 10", n)
	}
}

func TestASignInStormIsTurnedAwayWithRetryAfter(t *testing.T) {
	p := setup(t)
	p.accounts.Hasher = password.NewHasher(password.Recommended(), 1, 1)
	var wg sync.WaitGroup
	var turned, answered atomic.Int32
	for i := range 40 {
		b := p.browser(t, fmt.Sprintf("192.0.2.%d", i))
		wg.Go(func() {
			switch got := b.signIn(fmt.Sprintf("user%d@example.com", i), "wrong password"); {
			case got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") != "":
				turned.Add(1)
			case got.status == http.StatusForbidden:
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	if turned.Load() == 0 || answered.Load() == 0 || turned.Load()+answered.Load() != 40 {
		t.Errorf("%d turned away, %d answered, of 40", turned.Load(), answered.Load())
	}
}

// I12: a password that the service could not be asked about is looked up at a
// later sign-in, once, and its owner is asked for more from then on.
func TestAPasswordIsLookedUpAgainWhenTheServiceIsBack(t *testing.T) {
	p := setup(t)
	var asked atomic.Int32
	var up atomic.Bool
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if !up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		sum := sha1.Sum([]byte(goodPassword))
		if name := strings.ToUpper(hex.EncodeToString(sum[:])); strings.HasSuffix(r.URL.Path, "/range/"+name[:5]) {
			fmt.Fprintf(w, "%s:7\r\n", name[5:])
		}
	}))
	t.Cleanup(service.Close)
	user := p.create(t, "ada@example.com")
	p.accounts.Policy = &password.Policy{Log: slog.New(slog.DiscardHandler), Breaches: &password.Ranges{URL: service.URL, Client: outbound.New(outbound.Config{
		Timeout: 10 * time.Second, MaxBody: password.MaxRange, AllowLoopback: true,
	})}}
	now := time.Now()
	p.accounts.Now = func() time.Time { return now }
	b := p.browser(t, "192.0.2.1")
	level := func() risk.Level {
		if got := b.signIn("ada@example.com", goodPassword); got.status != http.StatusSeeOther {
			t.Fatalf("a sign-in: %d %s", got.status, got.body)
		}
		a, err := p.signIns.Assess(t.Context(), user, "another browser", "192.0.2.1", true)
		if err != nil {
			t.Fatal(err)
		}
		return a.Level()
	}
	for i, step := range []struct {
		up    bool
		after time.Duration
		asked int32
		level risk.Level
	}{
		{false, 0, 1, risk.Low},          // the service is away
		{true, time.Minute, 1, risk.Low}, // and is not asked at every sign-in
		{true, time.Hour, 2, risk.High},  // it is back
		{true, 29 * 24 * time.Hour, 2, risk.High},
		{true, 2 * 24 * time.Hour, 3, risk.High},
	} {
		up.Store(step.up)
		now = now.Add(step.after)
		if got := level(); got != step.level || asked.Load() != step.asked {
			t.Errorf("step %d: %s and asked %d times, want %s and %d", i+1, got, asked.Load(), step.level, step.asked)
		}
	}
	var events int
	if err := p.db.QueryRow(t.Context(), `SELECT count(*) FROM auth.audit_events WHERE action = 'password.found_stolen'`).Scan(&events); err != nil || events != 1 {
		t.Errorf("%d events, want 1 (%v)", events, err)
	}
	if err := p.accounts.SetPassword(t.Context(), operator(), user, secretOf("another seven loaves of bread")); err != nil {
		t.Fatal(err)
	}
	if a, err := p.signIns.Assess(t.Context(), user, "another browser", "192.0.2.1", true); err != nil || a.Level() != risk.Low {
		t.Errorf("after a change of password: %s (%v)", a.Level(), err)
	}
}
