package feed

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/bearer"
)

const (
	tickEvery    = time.Second
	maxStreams   = 10_000 // of this process
	maxOfOne     = 16     // of one caller
	readersAtOne = 4      // streams that read at the same time
)

// Credentials says whether a caller's credential still holds; bearer.Gate does.
type Credentials interface {
	Still(c *bearer.Caller) error
}

// Hub knows the open streams of this process, wakes them and ends them.
type Hub struct {
	// Heard is told of each family that changed, in whichever replica. It is set
	// before Run and does not block.
	Heard func(family id.ID)

	credentials Credentials
	pool        *pgxpool.Pool
	now         func() time.Time
	log         *slog.Logger
	turns       chan struct{}
	notices     *notices

	mu      sync.Mutex
	streams map[id.ID]map[*stream]struct{}
	ofOne   map[string]int
	open    int
	closed  bool
	empty   chan struct{} // closed when the last stream has left a hub that is closed
}

// NewHub returns a hub. Run does its background work; until then streams are
// woken by changes of this process only.
func NewHub(credentials Credentials, pool *pgxpool.Pool, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) *Hub {
	h := &Hub{
		Heard:       func(id.ID) {},
		credentials: credentials, pool: pool, now: now, log: log,
		turns: make(chan struct{}, readersAtOne), notices: newNotices(),
		streams: map[id.ID]map[*stream]struct{}{}, ofOne: map[string]int{}, empty: make(chan struct{}),
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "feed_streams", Help: "Open event streams.",
	}, func() float64 {
		h.mu.Lock()
		defer h.mu.Unlock()
		return float64(h.open)
	}))
	return h
}

// Changed wakes the family's streams, here and in other replicas. It does not
// block.
func (h *Hub) Changed(family id.ID) {
	h.wake(family)
	h.notices.add(family)
}

// Run wakes, checks and ends streams until ctx is done; then it ends them all,
// and returns when they are over.
func (h *Hub) Run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { h.listen(ctx) })
	group.Go(func() { h.announce(ctx) })
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			h.look()
		case <-ctx.Done():
		}
	}
	h.close()
	select {
	case <-h.empty: // each has written its end; the server does not wait for connections that were taken
	case <-time.After(writeTimeout):
	}
	group.Wait()
}

func principal(c *bearer.Caller) string { return string(c.Kind) + ":" + c.Subject }

// join adds a stream, and returns what takes it out again.
func (h *Hub) join(s *stream) (leave func(), err error) {
	who := principal(s.caller)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed || h.open >= maxStreams:
		return nil, fault.New(fault.Unavailable, "No more streams can be opened right now. Please try again.")
	case h.ofOne[who] >= maxOfOne:
		return nil, fault.New(fault.RateLimited, "You have too many streams open. Close some first.").WithCode("too_many_streams")
	}
	if h.streams[s.family] == nil {
		h.streams[s.family] = map[*stream]struct{}{}
	}
	s.beatAt = h.now().Add(beatEvery)
	s.lookAgain(h.now(), time.Time{})
	h.streams[s.family][s] = struct{}{}
	h.ofOne[who]++
	h.open++
	return func() { h.leave(s, who) }, nil
}

func (h *Hub) leave(s *stream, who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open--; h.open == 0 && h.closed {
		close(h.empty)
	}
	if h.ofOne[who]--; h.ofOne[who] == 0 {
		delete(h.ofOne, who)
	}
	if delete(h.streams[s.family], s); len(h.streams[s.family]) == 0 {
		delete(h.streams, s.family)
	}
}

// turn waits until this stream may read: of ten thousand that wake at once
// only a few may take connections to the database.
func (h *Hub) turn(ctx context.Context) (release func(), err error) {
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns }, nil
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, "The feed could not be read in time.", ctx.Err())
	}
}

func (h *Hub) wake(family id.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams[family] {
		s.signal(changed)
	}
}

func (h *Hub) every(f func(s *stream)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, streams := range h.streams {
		for s := range streams {
			f(s)
		}
	}
}

// look gives every stream what time has brought it.
func (h *Hub) look() {
	now := h.now()
	h.every(func(s *stream) {
		switch err := h.credentials.Still(s.caller); {
		case fault.Is(err, fault.Unavailable):
			s.signal(unsure)
		case err != nil && !s.caller.ExpiresAt.IsZero() && !now.Before(s.caller.ExpiresAt):
			s.signal(expired)
		case err != nil:
			s.signal(revoked)
		case !now.Before(s.beatAt):
			s.beatAt = now.Add(beatEvery)
			s.signal(beat)
		}
		if now.UnixNano() >= s.lookAt.Load() {
			s.lookAgain(now, time.Time{})
			s.signal(changed)
		}
	})
}

func (h *Hub) close() {
	h.mu.Lock()
	if !h.closed && h.open == 0 {
		close(h.empty)
	}
	h.closed = true
	h.mu.Unlock()
	h.every(func(s *stream) { s.signal(closing) })
}
