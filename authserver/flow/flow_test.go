package flow_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"larder/authserver/flow"
	"larder/authserver/oidc"
	"larder/authserver/session"
	"larder/internal/fault"
	"larder/internal/pgtest"
)

func setup(t *testing.T) *flow.Flows {
	t.Helper()
	return &flow.Flows{Redis: pgtest.Redis(t), Devices: session.Devices{}}
}

// browser keeps cookies as a browser does.
type browser struct{ jar http.CookieJar }

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{jar}
}

func origin() *url.URL { return &url.URL{Scheme: "http", Host: "localhost:9000", Path: "/"} }

func (b *browser) request(t *testing.T) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for _, c := range b.jar.Cookies(origin()) {
		r.AddCookie(c)
	}
	return r
}

func authRequest() oidc.AuthRequest {
	age := 5 * time.Minute
	return oidc.AuthRequest{
		ClientID: "web", Form: url.Values{"client_id": {"web"}, "state": {"s<\"&"}, "resource": {"a", "b"}}, Scopes: []string{"openid"},
		Resources: []string{"a", "b"}, Prompt: []string{"consent"}, MaxAge: &age, LoginHint: "ada@example.com", RequestedAt: time.Now().UTC().Round(0),
	}
}

func begin(t *testing.T, f *flow.Flows, b *browser, req oidc.AuthRequest) string {
	t.Helper()
	w := httptest.NewRecorder()
	flowID, err := f.Begin(t.Context(), w, b.request(t), req)
	if err != nil {
		t.Fatal(err)
	}
	b.jar.SetCookies(origin(), w.Result().Cookies())
	return flowID
}

func TestAFlowGivesBackItsRequest(t *testing.T) {
	f, b := setup(t), newBrowser(t)
	want := authRequest()
	flowID := begin(t, f, b, want)
	got, sid, denied, err := f.Resume(t.Context(), b.request(t), flowID)
	if err != nil || sid != "" || denied {
		t.Fatalf("Resume = %q, %t, %v", sid, denied, err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestAFlowIsOfNoUseInAnotherBrowser(t *testing.T) {
	f, b, other := setup(t), newBrowser(t), newBrowser(t)
	flowID := begin(t, f, b, authRequest())
	begin(t, f, other, authRequest())
	for name, r := range map[string]*http.Request{"another": other.request(t), "one without cookies": newBrowser(t).request(t)} {
		if _, _, _, err := f.Resume(t.Context(), r, flowID); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v, want NotFound", name, err)
		}
	}
	for _, unknown := range []string{"", "x", strings.Repeat("A", 43), flowID + "A", strings.ToLower(flowID) + "?"} {
		if _, _, _, err := f.Resume(t.Context(), b.request(t), unknown); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v, want NotFound", unknown, err)
		}
	}
}

func approve(t *testing.T, f *flow.Flows, flowID string) error {
	t.Helper()
	settle, err := f.Approve(t.Context(), flowID, "sid")
	if err != nil {
		return err
	}
	return settle(t.Context())
}

func TestTabsHaveAFlowEach(t *testing.T) {
	f, b := setup(t), newBrowser(t)
	one, two := begin(t, f, b, authRequest()), begin(t, f, b, authRequest())
	if err := approve(t, f, one); err != nil {
		t.Fatal(err)
	}
	if _, sid, _, err := f.Resume(t.Context(), b.request(t), two); err != nil || sid != "" {
		t.Errorf("the other tab: approved by %q, %v", sid, err)
	}
	if first, err := f.Finish(t.Context(), one); !first || err != nil {
		t.Fatalf("Finish = %t, %v", first, err)
	}
	if _, _, _, err := f.Resume(t.Context(), b.request(t), two); err != nil {
		t.Errorf("the other tab ended too: %v", err)
	}
	if _, _, _, err := f.Resume(t.Context(), b.request(t), one); !fault.Is(err, fault.NotFound) {
		t.Errorf("the finished one: %v, want NotFound", err)
	}
}

// A browser that opens tabs at once on its first visit gets a device cookie from each, of which one stays.
func TestTabsOpenedAtOnceOnTheFirstVisitAllWork(t *testing.T) {
	f, b := setup(t), newBrowser(t)
	var ids []string
	var answers [][]*http.Cookie
	for range 3 {
		w := httptest.NewRecorder()
		flowID, err := f.Begin(t.Context(), w, newBrowser(t).request(t), authRequest())
		if err != nil {
			t.Fatal(err)
		}
		ids, answers = append(ids, flowID), append(answers, w.Result().Cookies())
	}
	for _, cookies := range answers {
		b.jar.SetCookies(origin(), cookies)
	}
	for i, flowID := range ids {
		if _, _, _, err := f.Resume(t.Context(), b.request(t), flowID); err != nil {
			t.Errorf("tab %d: %v", i+1, err)
		}
	}
}

func TestTheLastAnswerCounts(t *testing.T) {
	f, b := setup(t), newBrowser(t)
	flowID := begin(t, f, b, authRequest())
	if err := f.Deny(t.Context(), flowID); err != nil {
		t.Fatal(err)
	}
	if _, sid, denied, err := f.Resume(t.Context(), b.request(t), flowID); err != nil || sid != "" || !denied {
		t.Errorf("after Deny: %q, %t, %v", sid, denied, err)
	}
	settle, err := f.Approve(t.Context(), flowID, "sid")
	if err != nil {
		t.Fatal(err)
	}
	if _, sid, denied, err := f.Resume(t.Context(), b.request(t), flowID); err != nil || sid != "" || denied {
		t.Errorf("before it counts: %q, %t, %v", sid, denied, err)
	}
	if err := settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, sid, denied, err := f.Resume(t.Context(), b.request(t), flowID); err != nil || sid != "sid" || denied {
		t.Errorf("after Approve: %q, %t, %v", sid, denied, err)
	}
}

func TestAnAnswerDoesNotBringAFinishedFlowBack(t *testing.T) {
	f, b := setup(t), newBrowser(t)
	flowID := begin(t, f, b, authRequest())
	if _, err := f.Finish(t.Context(), flowID); err != nil {
		t.Fatal(err)
	}
	if err := approve(t, f, flowID); !fault.Is(err, fault.NotFound) {
		t.Errorf("Approve: %v, want NotFound", err)
	}
	if err := f.Deny(t.Context(), flowID); !fault.Is(err, fault.NotFound) {
		t.Errorf("Deny: %v, want NotFound", err)
	}
	if keys := f.Redis.Keys(t.Context(), "flow:*").Val(); len(keys) != 0 {
		t.Errorf("keys = %v", keys)
	}
}

func TestOneOfManyFinishes(t *testing.T) {
	f, b := setup(t), newBrowser(t)
	for range 20 {
		flowID := begin(t, f, b, authRequest())
		var wg sync.WaitGroup
		var firsts atomic.Int32
		for range 32 {
			wg.Go(func() {
				if first, err := f.Finish(t.Context(), flowID); err == nil && first {
					firsts.Add(1)
				}
			})
		}
		wg.Wait()
		if firsts.Load() != 1 {
			t.Fatalf("%d were first, want 1", firsts.Load())
		}
	}
}

func TestRedisHoldsNoCredentialNoIDAndForgets(t *testing.T) {
	f, b := setup(t), newBrowser(t)
	req := authRequest()
	for _, name := range []string{"client_secret", "client_assertion", "code_verifier", "password"} {
		req.Form.Set(name, "PLANTED")
	}
	flowID := begin(t, f, b, req)
	if req.Form.Get("client_secret") != "PLANTED" {
		t.Error("the caller's form was changed")
	}
	keys := f.Redis.Keys(t.Context(), "*").Val()
	if len(keys) != 1 || strings.Contains(keys[0], flowID) {
		t.Fatalf("keys = %v", keys)
	}
	for field, value := range f.Redis.HGetAll(t.Context(), keys[0]).Val() {
		if strings.Contains(value, "PLANTED") {
			t.Errorf("field %s holds a credential: %s", field, value)
		}
	}
	if ttl := f.Redis.TTL(t.Context(), keys[0]).Val(); ttl <= 0 || ttl > flow.Lifetime {
		t.Errorf("it lives for %v", ttl)
	}
}

func TestAnOversizedRequestIsNotParked(t *testing.T) {
	f := setup(t)
	req := authRequest()
	req.Form.Set("state", strings.Repeat("s", 40<<10))
	if _, err := f.Begin(t.Context(), httptest.NewRecorder(), newBrowser(t).request(t), req); !fault.Is(err, fault.TooLarge) {
		t.Errorf("Begin: %v, want TooLarge", err)
	}
	f.Admit = func(*http.Request) error { return fault.New(fault.RateLimited, "later") }
	if _, err := f.Begin(t.Context(), httptest.NewRecorder(), newBrowser(t).request(t), authRequest()); !fault.Is(err, fault.RateLimited) {
		t.Errorf("Begin of one too many: %v, want RateLimited", err)
	}
	if keys := f.Redis.Keys(t.Context(), "*").Val(); len(keys) != 0 {
		t.Errorf("keys = %v", keys)
	}
}

func TestWithoutRedisAFlowIsUnavailableNotUnknown(t *testing.T) {
	f, b := setup(t), newBrowser(t)
	flowID := begin(t, f, b, authRequest())
	f.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: 200 * time.Millisecond})
	defer f.Redis.Close()
	if _, _, _, err := f.Resume(t.Context(), b.request(t), flowID); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Resume: %v, want Unavailable", err)
	}
	if _, err := f.Finish(t.Context(), flowID); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Finish: %v, want Unavailable", err)
	}
}
