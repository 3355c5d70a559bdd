package dpop_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
	"larder/internal/fault"
	"larder/internal/pgtest"
)

const (
	base  = "https://api.example.com"
	path  = "/v1/families"
	token = "an.access.token"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func verifier(t testing.TB, c *clock) *dpop.Verifier {
	t.Helper()
	return &dpop.Verifier{Base: base, Redis: pgtest.Redis(t), Now: c.Now}
}

// request is one to path with these proofs.
func request(t testing.TB, proofs ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://somewhere.internal"+path, nil)
	for _, proof := range proofs {
		r.Header.Add("DPoP", proof)
	}
	return r
}

// good is what a good proof for request is made for.
func good(c *clock) dpoptest.Request {
	return dpoptest.Request{Method: http.MethodGet, URL: base + path, At: c.Now(), AccessToken: token}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Invalid || e.Code != code {
		t.Errorf("got %v, want fault.Invalid with code %s", err, code)
	}
}
