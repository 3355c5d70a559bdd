package feed

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"larder/internal/id"
)

const (
	channel     = "grocery_changes"
	gatherFor   = 100 * time.Millisecond
	listenAgain = time.Second
	// maxNotice families fit into one NOTIFY, whose payload has 8000 bytes.
	maxNotice = 200
	// maxWaiting families may be told of; with more, everybody is.
	maxWaiting = 10_000
	everybody  = "*"

	// notify does not wait for the disk: nothing is lost but a wake-up. A
	// transaction that notifies commits one after the other with all others that
	// do, and so it is never the one that makes the change.
	notify = `SELECT set_config('synchronous_commit', 'off', true), pg_notify('` + channel + `', $1)`
)

// notices gathers the families to tell other replicas of.
type notices struct {
	mu       sync.Mutex
	families map[id.ID]struct{}
	some     chan struct{}
}

func newNotices() *notices {
	return &notices{families: map[id.ID]struct{}{}, some: make(chan struct{}, 1)}
}

func (n *notices) add(family id.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.families) <= maxWaiting {
		n.families[family] = struct{}{}
	}
	select {
	case n.some <- struct{}{}:
	default:
	}
}

// take returns the payloads of what was gathered.
func (n *notices) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer clear(n.families)
	if len(n.families) > maxWaiting {
		return []string{everybody}
	}
	var payloads, batch []string
	for family := range n.families {
		if batch = append(batch, family.String()); len(batch) == maxNotice {
			payloads, batch = append(payloads, strings.Join(batch, ",")), nil
		}
	}
	if len(batch) > 0 {
		payloads = append(payloads, strings.Join(batch, ","))
	}
	return payloads
}

// announce tells the other replicas, until ctx is done.
func (h *Hub) announce(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.notices.some:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gatherFor):
		}
		for _, payload := range h.notices.take() {
			if _, err := h.pool.Exec(ctx, notify, payload); err != nil && ctx.Err() == nil {
				// Nobody can read the feed either then; streams look again by themselves.
				h.log.LogAttrs(ctx, slog.LevelWarn, "other replicas not told of changes", slog.String("error", err.Error()))
			}
		}
	}
}

// listen hears of other replicas' changes, until ctx is done. Its connection is
// its own.
func (h *Hub) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := h.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		h.log.LogAttrs(ctx, slog.LevelWarn, "not listening for changes", slog.String("error", err.Error()))
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

func (h *Hub) hear(ctx context.Context) error {
	pooled, err := h.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	h.every(func(s *stream) { s.signal(changed) }) // for what was said while nobody listened
	for {
		notice, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if notice.Payload == everybody {
			h.every(func(s *stream) { s.signal(changed) })
			continue
		}
		for name := range strings.SplitSeq(notice.Payload, ",") {
			if family, err := id.Parse(name); err == nil {
				h.wake(family)
				h.Heard(family)
			}
		}
	}
}
