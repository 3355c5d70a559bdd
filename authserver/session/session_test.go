package session_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/authserver/session"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/pgtest"
	"larder/internal/sealed"
)

// bundle is a Sessions on a real Redis, with a clock to turn.
type bundle struct {
	*session.Sessions
	now   time.Time
	ended []string
}

func setup(t *testing.T, secure bool) *bundle {
	t.Helper()
	ring, err := sealed.NewKeyring(bytes.Repeat([]byte{1}, sealed.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{now: time.Now()}
	b.Sessions = &session.Sessions{
		Redis: pgtest.Redis(t), Keyring: func() *sealed.Keyring { return ring }, Secure: secure,
		Now:   func() time.Time { return b.now },
		Ended: func(_ context.Context, sid string) error { b.ended = append(b.ended, sid); return nil },
	}
	return b
}

func request(t *testing.T, cookies ...*http.Cookie) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// start signs subject in at the browser with these cookies and returns the new session cookie.
func (b *bundle) start(t *testing.T, subject id.ID, cookies ...*http.Cookie) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	if err := b.Start(t.Context(), w, request(t, cookies...), oidc.Login{Subject: subject, ACR: oidc.ACRPassword, AMR: []string{"pwd"}}); err != nil {
		t.Fatal(err)
	}
	return w.Result().Cookies()[0]
}

func (b *bundle) current(t *testing.T, cookies ...*http.Cookie) *oidc.Login {
	t.Helper()
	login, err := b.Current(request(t, cookies...))
	if err != nil {
		t.Fatal(err)
	}
	return login
}

func TestASessionIsWhatWasStarted(t *testing.T) {
	b := setup(t, true)
	subject := id.New()
	cookie := b.start(t, subject)
	login := b.current(t, cookie)
	if login == nil || login.SID == "" {
		t.Fatalf("login = %+v", login)
	}
	want := &oidc.Login{Subject: subject, SID: login.SID, AuthTime: b.now.UTC().Round(0), ACR: oidc.ACRPassword, AMR: []string{"pwd"}}
	if diff := cmp.Diff(want, login); diff != "" {
		t.Errorf("login (-want +got):\n%s", diff)
	}
}

func TestCookieAttributes(t *testing.T) {
	for _, c := range []struct {
		secure bool
		prefix string
	}{{true, "__Host-larder-"}, {false, "larder-"}} {
		b := setup(t, c.secure)
		cookie := b.start(t, id.New())
		w := httptest.NewRecorder()
		session.Devices{Secure: c.secure}.Ensure(w, request(t))
		device := w.Result().Cookies()[0]
		for name, got := range map[string]*http.Cookie{"session": cookie, "device": device} {
			if got.Name != c.prefix+name || got.Secure != c.secure || !got.HttpOnly || got.SameSite != http.SameSiteLaxMode || got.Path != "/" || got.Domain != "" {
				t.Errorf("secure %t: %s", c.secure, got.Raw)
			}
		}
		if cookie.MaxAge != int(session.AbsoluteLife.Seconds()) || len(cookie.Value) != 43 || device.MaxAge != 365*24*3600 || len(device.Value) != 22 {
			t.Errorf("secure %t: %s; %s", c.secure, cookie.Raw, device.Raw)
		}
	}
}

// A5: a cookie that was there before the sign-in is worth nothing after it.
func TestAPlantedCookieIsUseless(t *testing.T) {
	b := setup(t, false)
	planted := &http.Cookie{Name: "larder-session", Value: strings.Repeat("A", 43)}
	if b.current(t, planted) != nil {
		t.Fatal("an invented cookie is signed in")
	}
	cookie := b.start(t, id.New(), planted)
	if cookie.Value == planted.Value || b.current(t, planted) != nil {
		t.Error("the planted cookie was taken over")
	}

	// The attacker's own session, planted in the victim's browser, ends and never becomes the victim's.
	attacker, victim := id.New(), id.New()
	theirs := b.start(t, attacker)
	sid := b.current(t, theirs).SID
	mine := b.start(t, victim, theirs)
	if b.current(t, theirs) != nil {
		t.Error("the old session lives on")
	}
	if login := b.current(t, mine); login == nil || login.Subject != victim || login.SID == sid {
		t.Errorf("login = %+v", login)
	}
	if diff := cmp.Diff([]string{sid}, b.ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
}

func TestSigningInAgainChangesTheCookieAndKeepsTheSID(t *testing.T) {
	b := setup(t, false)
	subject := id.New()
	first := b.start(t, subject)
	sid := b.current(t, first).SID
	b.now = b.now.Add(time.Minute)
	second := b.start(t, subject, first)
	if second.Value == first.Value || b.current(t, first) != nil {
		t.Error("the old cookie still works")
	}
	if login := b.current(t, second); login == nil || login.SID != sid || !login.AuthTime.Equal(b.now) {
		t.Errorf("login = %+v, want sid %s", login, sid)
	}
	if len(b.ended) != 0 {
		t.Errorf("the sid was reported as ended: %v", b.ended)
	}
	if err := b.EndSID(t.Context(), sid); err != nil {
		t.Fatal(err)
	}
	if b.current(t, second) != nil {
		t.Error("the sid no longer reaches the session")
	}
}

func TestEnd(t *testing.T) {
	b := setup(t, false)
	cookie := b.start(t, id.New())
	sid := b.current(t, cookie).SID
	w := httptest.NewRecorder()
	if err := b.End(t.Context(), w, request(t, cookie)); err != nil {
		t.Fatal(err)
	}
	if gone := w.Result().Cookies()[0]; gone.MaxAge >= 0 || gone.Name != cookie.Name {
		t.Errorf("the cookie is not taken back: %s", gone.Raw)
	}
	if b.current(t, cookie) != nil {
		t.Error("the cookie works after the end")
	}
	if diff := cmp.Diff([]string{sid}, b.ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
	if err := b.End(t.Context(), httptest.NewRecorder(), request(t)); err != nil {
		t.Errorf("nobody signed in: %v", err)
	}
}

func TestEndUserEndsAllTheirSessionsAndNoOthers(t *testing.T) {
	b := setup(t, false)
	one, other := id.New(), id.New()
	a, c, d := b.start(t, one), b.start(t, one), b.start(t, other)
	n, err := b.EndUser(t.Context(), one)
	if err != nil || n != 2 {
		t.Fatalf("EndUser = %d, %v; want 2", n, err)
	}
	if b.current(t, a) != nil || b.current(t, c) != nil || b.current(t, d) == nil {
		t.Error("the wrong sessions ended")
	}
}

func TestASessionEndsWhenIdleAndInTheEnd(t *testing.T) {
	b := setup(t, false)
	idle := b.start(t, id.New())
	began := b.now
	b.now = began.Add(session.IdleLife - time.Second)
	busy := b.start(t, id.New())
	if b.current(t, idle) == nil {
		t.Error("over before its time")
	}
	b.now = b.now.Add(session.IdleLife)
	if b.current(t, busy) != nil {
		t.Error("not over after 14 days without use")
	}
	// The first was used a second before the 14 days were over, which carried it on.
	b.now = began.Add(2*session.IdleLife - 2*time.Second)
	if b.current(t, idle) == nil {
		t.Error("its use did not carry it on")
	}
	b.now = began.Add(session.AbsoluteLife)
	if b.current(t, idle) != nil {
		t.Error("not over after 30 days")
	}
}

func TestUseIsWrittenAtMostOncePerTenMinutes(t *testing.T) {
	b := setup(t, false)
	cookie := b.start(t, id.New())
	read := func() string {
		keys := b.Redis.Keys(t.Context(), "session:*").Val()
		if len(keys) != 1 {
			t.Fatalf("keys = %v", keys)
		}
		return b.Redis.Get(t.Context(), keys[0]).Val()
	}
	first := read()
	b.now = b.now.Add(9 * time.Minute)
	b.current(t, cookie)
	if read() != first {
		t.Error("written after 9 minutes")
	}
	b.now = b.now.Add(2 * time.Minute)
	b.current(t, cookie)
	if read() == first {
		t.Error("not written after 11 minutes")
	}
}

func TestRedisHoldsNoCookieAndNothingReadable(t *testing.T) {
	b := setup(t, false)
	subject := id.New()
	cookie := b.start(t, subject)
	keys := b.Redis.Keys(t.Context(), "*").Val()
	for _, key := range keys {
		if strings.Contains(key, cookie.Value) {
			t.Errorf("the cookie stands in key %s", key)
		}
		if !strings.HasPrefix(key, "session:") {
			continue
		}
		value := b.Redis.Get(t.Context(), key).Val()
		if strings.Contains(value, subject.String()) || strings.Contains(value, "pwd") {
			t.Errorf("the record is readable: %q", value)
		}
		if ttl := b.Redis.TTL(t.Context(), key).Val(); ttl <= 0 || ttl > session.IdleLife {
			t.Errorf("%s lives for %v", key, ttl)
		}
	}
	if len(keys) != 3 {
		t.Errorf("keys = %v, want the session and two indexes", keys)
	}
}

func TestARecordMovedToAnotherKeyDoesNotOpen(t *testing.T) {
	b := setup(t, false)
	admin, mine := b.start(t, id.New()), b.start(t, id.New())
	keys := b.Redis.Keys(t.Context(), "session:*").Val()
	first, second := b.Redis.Get(t.Context(), keys[0]).Val(), b.Redis.Get(t.Context(), keys[1]).Val()
	b.Redis.Set(t.Context(), keys[0], second, 0)
	b.Redis.Set(t.Context(), keys[1], first, 0)
	if b.current(t, admin) != nil || b.current(t, mine) != nil {
		t.Error("a swapped record opens")
	}
}

func TestAnEndedSessionIsNotBroughtBackByAUseInFlight(t *testing.T) {
	b := setup(t, false)
	cookie := b.start(t, id.New())
	keys := b.Redis.Keys(t.Context(), "session:*").Val()
	b.now = b.now.Add(time.Hour)
	// Current has read the record; the session ends before it writes.
	hook := &onceAfterGet{do: func() { b.Redis.Del(context.Background(), keys[0]) }}
	b.Redis.AddHook(hook)
	_, _ = b.Current(request(t, cookie))
	if !hook.done {
		t.Fatal("the race did not happen")
	}
	if n := b.Redis.Exists(t.Context(), keys[0]).Val(); n != 0 {
		t.Error("the session is back")
	}
}

// A17: who shows a second factor gets a new session in the place of the old one, and
// not one that outlives the end of the old one at that very moment.
func TestASessionThatEndsMeanwhileHasNoSuccessor(t *testing.T) {
	for name, end := range map[string]func(b *bundle, subject id.ID, sid string, cookie *http.Cookie) error{
		"at its browser": func(b *bundle, _ id.ID, _ string, cookie *http.Cookie) error {
			return b.End(t.Context(), httptest.NewRecorder(), request(t, cookie))
		},
		"by its sid": func(b *bundle, _ id.ID, sid string, _ *http.Cookie) error { return b.EndSID(t.Context(), sid) },
		"by its owner": func(b *bundle, subject id.ID, sid string, _ *http.Cookie) error {
			_, err := b.EndOwn(t.Context(), subject, func(own string) bool { return own == sid })
			return err
		},
		"with all": func(b *bundle, subject id.ID, _ string, _ *http.Cookie) error {
			_, err := b.EndUser(t.Context(), subject)
			return err
		},
	} {
		// The end comes before the browser is looked at again, before the successor, or
		// between it and the end of the old one.
		for _, when := range []string{"first", "before", "between"} {
			b := setup(t, false)
			subject := id.New()
			cookie := b.start(t, subject)
			raised := *b.current(t, cookie)
			raised.ACR = oidc.ACRMFA
			meanwhile := func() {
				if err := end(b, subject, raised.SID, cookie); err != nil {
					t.Error(err)
				}
			}
			switch when {
			case "first":
				meanwhile()
			case "before":
				b.Redis.AddHook(&onceAfterGet{do: meanwhile})
			case "between":
				b.Stands = func(context.Context, oidc.Login) (bool, error) { meanwhile(); return true, nil }
			}
			if err := b.Start(t.Context(), httptest.NewRecorder(), request(t, cookie), raised); !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s, %s: %v, want Forbidden", name, when, err)
			}
			if all, err := b.List(t.Context(), subject); err != nil || len(all) != 0 {
				t.Errorf("%s, %s: %d sessions, %v", name, when, len(all), err)
			}
		}
		// The successor stands when the end has read the old one, and before it writes.
		b := setup(t, false)
		subject := id.New()
		cookie := b.start(t, subject)
		raised := *b.current(t, cookie)
		b.Redis.AddHook(&onceAfterGet{do: func() {
			if err := b.Start(t.Context(), httptest.NewRecorder(), request(t, cookie), raised); err != nil {
				t.Error(err)
			}
		}})
		if err := end(b, subject, raised.SID, cookie); err != nil {
			t.Error(err)
		}
		if all, err := b.List(t.Context(), subject); err != nil || len(all) != 0 {
			t.Errorf("%s, after the successor: %d sessions, %v", name, len(all), err)
		}
	}
}

// A sign-in while all sessions end is one of them, or can be found by the next end.
func TestASignInWhileAllEndCanBeEnded(t *testing.T) {
	b := setup(t, false)
	subject := id.New()
	b.start(t, subject)
	var fresh *http.Cookie
	b.Redis.AddHook(&onceAfterGet{do: func() { fresh = b.start(t, subject) }})
	for range 2 {
		if _, err := b.EndUser(t.Context(), subject); err != nil {
			t.Fatal(err)
		}
	}
	if fresh == nil || b.current(t, fresh) != nil {
		t.Error("the new session cannot be ended")
	}
}

// A subcommand, which holds no keys and reads no session, ends also the one that
// takes the place of another meanwhile.
func TestWhoReadsNoSessionEndsSuccessorsToo(t *testing.T) {
	b := setup(t, false)
	subject := id.New()
	cookie := b.start(t, subject)
	raised := *b.current(t, cookie)
	other, err := sealed.NewKeyring(bytes.Repeat([]byte{2}, sealed.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	subcommand := &session.Sessions{Redis: b.Redis, Keyring: func() *sealed.Keyring { return other }, Now: b.Now}
	b.Redis.AddHook(&onceAfterGet{do: func() {
		if err := b.Start(t.Context(), httptest.NewRecorder(), request(t, cookie), raised); err != nil {
			t.Error(err)
		}
	}})
	if _, err := subcommand.EndUser(t.Context(), subject); err != nil {
		t.Error(err)
	}
	if all, err := b.List(t.Context(), subject); err != nil || len(all) != 0 {
		t.Errorf("%d sessions, %v", len(all), err)
	}
}

// onceAfterGet does something between the first GET and what follows it.
type onceAfterGet struct {
	do   func()
	done bool
}

func (h *onceAfterGet) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *onceAfterGet) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *onceAfterGet) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == "get" && !h.done {
			h.done = true
			h.do()
		}
		return err
	}
}

func TestSessionsOfOnePersonAreBounded(t *testing.T) {
	b := setup(t, false)
	subject := id.New()
	first := b.start(t, subject)
	for range 99 {
		b.now = b.now.Add(time.Second)
		b.start(t, subject)
	}
	// Who shows a second factor takes no more room, be it in the oldest of them all.
	raised := *b.current(t, first)
	w := httptest.NewRecorder()
	if err := b.Start(t.Context(), w, request(t, first), raised); err != nil {
		t.Fatal(err)
	}
	successor := w.Result().Cookies()[0]
	if got := b.current(t, successor); got == nil || got.SID != raised.SID || len(b.ended) != 0 {
		t.Fatalf("the successor of the oldest is %+v, ended were %v", got, b.ended)
	}
	for range 100 {
		b.now = b.now.Add(time.Second)
		b.start(t, subject)
	}
	first = successor
	if b.current(t, first) != nil {
		t.Error("the oldest of 101 still lives")
	}
	if n := len(b.Redis.Keys(t.Context(), "session:*").Val()); n != 100 {
		t.Errorf("%d sessions, want 100", n)
	}
}

func TestWithoutRedisNobodyIsTakenForSignedOut(t *testing.T) {
	b := setup(t, false)
	cookie := b.start(t, id.New())
	b.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: 200 * time.Millisecond})
	defer b.Redis.Close()
	if _, err := b.Current(request(t, cookie)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Current: %v, want Unavailable", err)
	}
	if err := b.End(t.Context(), httptest.NewRecorder(), request(t, cookie)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("End: %v, want Unavailable", err)
	}
	if err := b.Start(t.Context(), httptest.NewRecorder(), request(t), oidc.Login{Subject: id.New()}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Start: %v, want Unavailable", err)
	}
}

// What session management sees changes at each sign-in and sign-out, and only
// then; it cannot be turned back into the session.
func TestTheBrowserStateFollowsTheSession(t *testing.T) {
	for _, secure := range []bool{false, true} {
		b := setup(t, secure)
		b.Managed = true
		subject, seen := id.New(), map[string]bool{}
		cookies := func(change func(w http.ResponseWriter)) map[string]*http.Cookie {
			w, found := httptest.NewRecorder(), map[string]*http.Cookie{}
			change(w)
			for _, c := range w.Result().Cookies() {
				found[c.Name] = c
			}
			return found
		}
		name := b.BrowserStateCookie()
		var signedIn, state *http.Cookie
		for range 2 {
			set := cookies(func(w http.ResponseWriter) {
				var before []*http.Cookie
				if signedIn != nil {
					before = append(before, signedIn)
				}
				if err := b.Start(t.Context(), w, request(t, before...), oidc.Login{Subject: subject}); err != nil {
					t.Fatal(err)
				}
			})
			state = set[name]
			delete(set, name)
			for _, c := range set {
				signedIn = c
			}
			if state == nil || state.HttpOnly || state.Secure != secure || (state.SameSite == http.SameSiteNoneMode) != secure || seen[state.Value] || state.Value == signedIn.Value {
				t.Fatalf("secure %v: %+v", secure, state)
			}
			seen[state.Value] = true
		}
		if set := cookies(func(w http.ResponseWriter) {
			if got := b.BrowserState(w, request(t, signedIn, state)); got != state.Value {
				t.Errorf("state is %q, the cookie has %q", got, state.Value)
			}
		}); len(set) != 0 {
			t.Errorf("set again: %v", set)
		}
		if set := cookies(func(w http.ResponseWriter) { b.BrowserState(w, request(t, signedIn)) }); set[name] == nil || set[name].Value != state.Value {
			t.Errorf("a browser that lost it: %v", set)
		}
		set := cookies(func(w http.ResponseWriter) {
			if err := b.End(t.Context(), w, request(t, signedIn)); err != nil {
				t.Fatal(err)
			}
		})
		if set[name] == nil || set[name].MaxAge >= 0 {
			t.Errorf("after signing out: %v", set)
		}
	}
}

// A person's sessions end with a word to whoever tells the apps, even where the
// records cannot be read.
func TestTheEndOfEverySessionIsTold(t *testing.T) {
	b := setup(t, true)
	subject := id.New()
	b.start(t, subject)
	var told []id.ID
	b.EndedUser = func(_ context.Context, user id.ID) error {
		told = append(told, user)
		return fault.New(fault.Unavailable, "no")
	}
	if _, err := b.EndUser(t.Context(), subject); !fault.Is(err, fault.Unavailable) || len(told) != 1 || told[0] != subject {
		t.Errorf("told %v, %v", told, err)
	}
	if all, err := b.List(t.Context(), subject); err != nil || len(all) != 1 {
		t.Errorf("the session ended untold: %v, %v", all, err)
	}
}
