package bearer_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/fault"
	"larder/resourceapi/bearer"
	"larder/resourceapi/bearer/bearertest"
)

const resource = "http://api.test"

// clock is a time that stands still until a test moves it, or lets it run.
type clock struct {
	offset  atomic.Int64
	started atomic.Int64 // when it was let run, in Unix nanoseconds; 0 for not yet
}

func (c *clock) Now() time.Time {
	now := time.Unix(1_800_000_000, c.offset.Load())
	if started := c.started.Load(); started != 0 {
		now = now.Add(time.Since(time.Unix(0, started)))
	}
	return now
}

func (c *clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// bundle is a gate that follows an issuer on demand; run makes it do so by
// itself.
type bundle struct {
	*bearer.Gate
	clock    *clock
	issuer   *bearertest.Issuer
	registry *prometheus.Registry
}

func setup(t testing.TB) *bundle {
	t.Helper()
	c := &clock{}
	iss := bearertest.New(t, resource, c.Now)
	return newBundle(t, iss, iss.Config(), c)
}

func newBundle(t testing.TB, iss *bearertest.Issuer, config bearer.Config, c *clock) *bundle {
	t.Helper()
	reg := prometheus.NewRegistry()
	gate, err := bearer.New(config, c.Now, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	return &bundle{Gate: gate, clock: c, issuer: iss, registry: reg}
}

func (b *bundle) run(t *testing.T) {
	t.Helper()
	b.clock.started.Store(time.Now().UnixNano())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(t.Context())
	}()
	t.Cleanup(func() { <-done })
}

func request(t testing.TB, credential string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/families", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+credential)
	return r
}

func (b *bundle) ask(t testing.TB, credential string) (*bearer.Caller, error) {
	t.Helper()
	return b.Authenticate(request(t, credential))
}

func (b *bundle) accepts(t testing.TB, credential string) *bearer.Caller {
	t.Helper()
	c, err := b.ask(t, credential)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return c
}

// refuses asserts the kind of refusal, and that nobody came with it.
func (b *bundle) refuses(t testing.TB, credential string, kind fault.Kind) {
	t.Helper()
	c, err := b.ask(t, credential)
	if err == nil || c != nil {
		t.Fatalf("accepted as %+v", c)
	}
	if got := fault.KindOf(err); got != kind {
		t.Fatalf("refused with kind %d (%v), want %d", got, err, kind)
	}
}

// eventually waits for what happens in the background, on a machine that may be
// busy.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("it did not come about: %s", what)
}
