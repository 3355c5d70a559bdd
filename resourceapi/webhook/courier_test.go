package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/id"
	"larder/internal/outbound"
	"larder/internal/pgtest"
	"larder/internal/sealed"
	"larder/resourceapi/tenant"
)

// hanging is a receiver that does not answer until it is told to.
type hanging struct {
	*httptest.Server

	mu         sync.Mutex
	here, peak int
}

func newHanging(t *testing.T, end <-chan struct{}) *hanging {
	t.Helper()
	h := &hanging{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		h.count(1)
		<-end
		h.count(-1)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hanging) count(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.here += n
	h.peak = max(h.peak, h.here)
}

func (h *hanging) counts() (here, peak int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.here, h.peak
}

// courierTest is a database, in which families wait to be told.
type courierTest struct {
	*pgtest.DB

	keys *sealed.Keyring
}

func newCourierTest(t *testing.T) *courierTest {
	t.Helper()
	keys, err := sealed.NewKeyring(make([]byte, sealed.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return &courierTest{pgtest.New(t), keys}
}

func (c *courierTest) courier(t *testing.T, sender Sender) *Courier {
	t.Helper()
	return NewCourier(&tenant.DB{Pool: c.Grocery, Now: time.Now}, c.keys, sender, slog.New(slog.NewTextHandler(t.Output(), nil)), prometheus.NewRegistry())
}

// waiting makes a family with messages that are due.
func (c *courierTest) waiting(t *testing.T, url string, order, messages int) (family id.ID) {
	t.Helper()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := c.Owner.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	family, hook := id.New(), id.New()
	exec(`INSERT INTO grocery.families (id, name, created_by) VALUES ($1, 'x', 'x')`, family)
	exec(`INSERT INTO grocery.webhooks (family_id, id, url, events, secret, created_by) VALUES ($1, $2, $3, '{}', $4, 'x')`,
		family, hook, url, c.keys.Seal(place(family, hook), []byte(newSecret())))
	exec(`INSERT INTO grocery.webhook_deliveries (family_id, id, webhook_id, event, payload)
	      SELECT $1, gen_random_uuid(), $2, 'x', '{}' FROM generate_series(1, $3)`, family, hook, messages)
	exec(`INSERT INTO grocery.webhook_rounds (family_id, due_at) VALUES ($1, now() - make_interval(mins => 60 - $2))`, family, order)
	return family
}

// lasting is a receiver that answers when the time of the round is over.
type lasting struct{ end context.CancelFunc }

func (l *lasting) Post(context.Context, string, http.Header, []byte) (int, error) {
	l.end()
	return http.StatusOK, nil
}

// What took all the time that a round has was told all the same, and is not told
// again; what was not sent is told in the next round.
func TestARoundThatLastedTooLongIsWrittenDown(t *testing.T) {
	t.Parallel()
	c := newCourierTest(t)
	family := c.waiting(t, "https://slow.example/hook", 0, sendsToOne+3)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	if err := c.courier(t, &lasting{end}).round(ctx, family); err != nil {
		t.Error(err)
	}
	var sent, waiting int
	if err := c.Owner.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE status = 'delivered'), count(*) FILTER (WHERE status = 'pending' AND attempts = 0) FROM grocery.webhook_deliveries`).Scan(&sent, &waiting); err != nil ||
		sent == 0 || sent > sendsToOne || sent+waiting != sendsToOne+3 {
		t.Errorf("%d are told and %d wait: %v", sent, waiting, err)
	}
}

// More families than were ever told at once have a receiver that hangs, some the
// same one; the family behind them hears of its changes while they all still hang.
func TestReceiversThatHangHoldNobodyUp(t *testing.T) {
	t.Parallel()
	c := newCourierTest(t)
	waiting := func(url string, order, messages int) { c.waiting(t, url, order, messages) }
	end := make(chan struct{})
	shared := newHanging(t, end)
	for n := range 4 {
		waiting(shared.URL, n, 5)
	}
	for n := range 8 {
		waiting(newHanging(t, end).URL, 10+n, 5)
	}
	heard := make(chan struct{}, 10)
	quick := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard <- struct{}{} }))
	t.Cleanup(quick.Close)
	waiting(quick.URL, 50, 3)

	courier := c.courier(t, outbound.New(outbound.Config{Timeout: 5 * time.Minute, MaxBody: 1 << 10, AllowLoopback: true}))
	var running sync.WaitGroup
	running.Go(func() { courier.Run(t.Context()) })
	t.Cleanup(running.Wait)
	t.Cleanup(func() { close(end) })
	for range 3 {
		select {
		case <-heard:
		case <-time.After(time.Minute):
			t.Fatal("the quick receiver heard nothing while others hung")
		}
	}
	for range 6000 {
		if here, _ := shared.counts(); here == sendsToOne {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if here, peak := shared.counts(); here != sendsToOne || peak != sendsToOne {
		t.Errorf("%d messages are on their way to one receiver, %d at most; want %d", here, peak, sendsToOne)
	}
}
