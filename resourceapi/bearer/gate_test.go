package bearer_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/revocation"
	"larder/internal/web"
	"larder/resourceapi/bearer"
	"larder/resourceapi/bearer/bearertest"
)

const signpost = `resource_metadata="http://api.test/.well-known/oauth-protected-resource"`

// router answers with the caller's subject, behind the gate.
func (b *bundle) router() *web.Router {
	rt := web.NewRouter(b.Problem)
	b.Mount(rt)
	rt.Handle(http.MethodGet, "/me", b.Handler(func(w http.ResponseWriter, r *http.Request) error {
		return web.JSON(w, http.StatusOK, bearer.From(r.Context()).Subject)
	}))
	rt.Handle(http.MethodPost, "/me", b.Handler(func(http.ResponseWriter, *http.Request) error {
		return bearer.InsufficientScope("lists:write")
	}))
	rt.Handle(http.MethodDelete, "/me", b.Handler(func(http.ResponseWriter, *http.Request) error {
		return bearer.StepUp([]string{"urn:larder:mfa"}, 5*time.Minute)
	}))
	rt.Handle(http.MethodPut, "/me", b.Handler(func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.Forbidden, "No.")
	}))
	return rt
}

func TestChallenges(t *testing.T) {
	b := setup(t)
	rt := b.router()
	good := "Bearer " + b.issuer.Token(bearertest.Claims{"sub": "ann"})
	for name, test := range map[string]struct {
		method    string
		target    string
		header    []string
		body      string
		status    int
		challenge string
	}{
		"good":                 {header: []string{good}, status: 200},
		"scheme in lower case": {header: []string{strings.Replace(good, "Bearer", "bearer", 1)}, status: 200},
		"two blanks":           {header: []string{strings.Replace(good, "Bearer ", "Bearer  ", 1)}, status: 200},
		"none":                 {status: 401, challenge: `Bearer ` + signpost},
		"other scheme":         {header: []string{"Basic YTpi"}, status: 401, challenge: `Bearer ` + signpost},
		"junk":                 {header: []string{"Bearer a.b.c"}, status: 401, challenge: `Bearer error="invalid_token", ` + signpost},
		"expired": {
			header: []string{"Bearer " + b.issuer.Token(bearertest.Claims{"exp": 1})}, status: 401,
			challenge: `Bearer error="invalid_token", ` + signpost,
		},
		"in the query":     {target: "?access_token=" + url.QueryEscape(good[7:]), status: 401, challenge: `Bearer ` + signpost},
		"in the body":      {method: http.MethodPost, body: "access_token=" + good[7:], status: 401, challenge: `Bearer ` + signpost},
		"two headers":      {header: []string{good, good}, status: 400, challenge: `Bearer error="invalid_request", ` + signpost},
		"two in one":       {header: []string{good + ", " + good}, status: 400, challenge: `Bearer error="invalid_request", ` + signpost},
		"nothing behind":   {header: []string{"Bearer"}, status: 400, challenge: `Bearer error="invalid_request", ` + signpost},
		"a blank behind":   {header: []string{"Bearer "}, status: 400, challenge: `Bearer error="invalid_request", ` + signpost},
		"a NUL":            {header: []string{"Bearer a\x00b"}, status: 400, challenge: `Bearer error="invalid_request", ` + signpost},
		"only padding":     {header: []string{"Bearer ===="}, status: 400, challenge: `Bearer error="invalid_request", ` + signpost},
		"over 8 KiB":       {header: []string{"Bearer " + strings.Repeat("a", 8<<10+1)}, status: 400, challenge: `Bearer error="invalid_request", ` + signpost},
		"too little scope": {method: http.MethodPost, header: []string{good}, status: 403, challenge: `Bearer error="insufficient_scope", scope="lists:write", ` + signpost},
		"step up": {
			method: http.MethodDelete, header: []string{good}, status: 401,
			challenge: `Bearer error="insufficient_user_authentication", acr_values="urn:larder:mfa", max_age="300", ` + signpost,
		},
		"forbidden": {method: http.MethodPut, header: []string{good}, status: 403},
		"not there": {target: "/nothing", header: []string{good}, status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			r := httptest.NewRequestWithContext(t.Context(), method, "/me"+test.target, strings.NewReader(test.body))
			if test.body != "" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			r.Header["Authorization"] = test.header
			w := httptest.NewRecorder()
			rt.ServeHTTP(w, r)
			if w.Code != test.status || w.Header().Get("WWW-Authenticate") != test.challenge {
				t.Errorf("%d, %q; want %d, %q\n%s", w.Code, w.Header().Get("WWW-Authenticate"), test.status, test.challenge, w.Body)
			}
			if test.status >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("Content-Type %q", w.Header().Get("Content-Type"))
			}
			if strings.Contains(w.Body.String(), good[7:]) {
				t.Error("the answer repeats the token")
			}
		})
	}
}

func TestUnavailableIsRetriedLater(t *testing.T) {
	b := setup(t)
	b.issuer.SetDown("", true)
	w := httptest.NewRecorder()
	r := request(t, b.issuer.Token(nil))
	r.URL.Path = "/me"
	b.router().ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestResourceMetadata(t *testing.T) {
	for _, test := range []struct{ resource, path string }{
		{resource, "/.well-known/oauth-protected-resource"},
		{"https://api.test/grocery", "/.well-known/oauth-protected-resource/grocery"},
	} {
		iss := bearertest.New(t, test.resource, time.Now)
		b := newBundle(t, iss, iss.Config(), &clock{})
		w := httptest.NewRecorder()
		b.router().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, http.NoBody))
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%s: %d %v", test.path, w.Code, err)
		}
		want := map[string]any{
			"resource": test.resource, "authorization_servers": []any{b.issuer.URL}, "scopes_supported": []any{"lists:read", "lists:write"},
			"bearer_methods_supported": []any{"header"}, "resource_name": "Larder grocery API",
			"dpop_bound_access_tokens_required": false, "tls_client_certificate_bound_access_tokens": false,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("document (-want +got):\n%s", diff)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	iss := bearertest.New(t, resource, time.Now)
	for name, spoil := range map[string]func(*bearer.Config){
		"no issuer":          func(c *bearer.Config) { c.Issuer = "" },
		"issuer with query":  func(c *bearer.Config) { c.Issuer += "?a=b" },
		"issuer of a file":   func(c *bearer.Config) { c.Issuer = "file:///etc/passwd" },
		"issuer with secret": func(c *bearer.Config) { c.Issuer = "https://a:b@issuer.test" },
		"no resource":        func(c *bearer.Config) { c.Resource = "" },
		"no client":          func(c *bearer.Config) { c.ClientID = "" },
		"no secret":          func(c *bearer.Config) { c.ClientSecret = "" },
	} {
		t.Run(name, func(t *testing.T) {
			config := iss.Config()
			spoil(&config)
			if _, err := bearer.New(config, time.Now, nil, nil); err == nil {
				t.Error("taken")
			}
		})
	}
}

func TestMetricsCountOutcomes(t *testing.T) {
	b := setup(t)
	b.accepts(t, b.issuer.Token(nil))
	b.refuses(t, "a.b.c", fault.Unauthenticated)
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var name strings.Builder
			name.WriteString(f.GetName())
			for _, l := range m.GetLabel() {
				name.WriteString(" " + l.GetValue())
			}
			got[name.String()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	if age := got["bearer_revocations_age_seconds"]; age < 0 || age > 60 {
		t.Errorf("the feed is %v seconds old", age)
	}
	delete(got, "bearer_revocations_age_seconds")
	want := map[string]float64{
		"bearer_authentications_total token ok": 1, "bearer_authentications_total token refused": 1,
		"bearer_jwks_fetches_total stale ok": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// Requests, rotations, withdrawals and revocations at once: for the race
// detector, and for a token that was revoked never to come back.
func TestManyThingsAtOnce(t *testing.T) {
	b := setup(t)
	b.run(t)
	eventually(t, "ready", func() bool { return b.Ping(t.Context()) == nil })
	key, keyID := b.issuer.APIKey(id.New(), "lists:read")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dead := false
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				_, err := b.Authenticate(request(t, key))
				if err == nil && dead {
					t.Error("a revoked key came back")
				}
				dead = dead || fault.Is(err, fault.Unauthenticated)
				if _, err := b.Authenticate(request(t, b.issuer.Token(bearertest.Claims{"sub": "ann"}))); fault.Is(err, fault.Internal) && err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		time.Sleep(100 * time.Millisecond)
		old, _ := b.issuer.Key()
		b.issuer.Rotate()
		b.issuer.Withdraw(old)
		b.clock.Advance(31 * time.Second)
	}
	b.issuer.Revoke(revocation.APIKey, keyID)
	eventually(t, "the key is dead", func() bool {
		_, err := b.Authenticate(request(t, key))
		return fault.Is(err, fault.Unauthenticated)
	})
	close(stop)
	wg.Wait()
}

func BenchmarkAuthenticate(b *testing.B) {
	bench := setup(b)
	b.Run("cached", func(b *testing.B) {
		r := request(b, bench.issuer.Token(nil))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bench.Authenticate(r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verified", func(b *testing.B) {
		requests := make([]*http.Request, 6000) // more than the cache holds
		for n := range requests {
			requests[n] = request(b, bench.issuer.Token(nil))
		}
		b.ReportAllocs()
		b.ResetTimer()
		for n := 0; b.Loop(); n++ {
			if _, err := bench.Authenticate(requests[n%len(requests)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
