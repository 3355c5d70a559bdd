package webhook

import (
	"context"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"larder/internal/id"
)

// deliver sends the messages, each receiver's in their order. Where one does not
// answer at all, those behind it are left, and where the time of the round is
// over, those that are not sent yet.
func (c *Courier) deliver(ctx context.Context, family id.ID, messages []message) {
	queues := map[string]*queue{}
	var inOrder []*queue
	for i := range messages {
		host := receiver(messages[i].url)
		if queues[host] == nil {
			queues[host] = &queue{host: host}
			inOrder = append(inOrder, queues[host])
		}
		queues[host].waiting = append(queues[host].waiting, &messages[i])
	}
	var sending errgroup.Group
	sending.SetLimit(sendsAtOne)
	for _, q := range inOrder {
		for range min(sendsToOne, len(q.waiting)) {
			sending.Go(func() error {
				leave, mine := c.receivers.enter(ctx, q.host)
				if !mine { // others' messages are on their way there
					return nil
				}
				defer leave()
				for ctx.Err() == nil {
					m := q.next()
					if m == nil {
						break
					}
					c.send(ctx, family, m)
					if m.status == 0 {
						q.leave(m)
					}
				}
				return nil
			})
		}
	}
	_ = sending.Wait() // what went wrong stands in the messages
}

// receiver is who answers at an address.
func receiver(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Host
}

// queue is what one receiver is to hear of a family.
type queue struct {
	host string

	mu      sync.Mutex
	waiting []*message
}

func (q *queue) next() *message {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil
	}
	m := q.waiting[0]
	q.waiting = q.waiting[1:]
	return m
}

// leave leaves what waits behind a message that did not arrive.
func (q *queue) leave(behind *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.waiting {
		m.behind = behind
	}
	q.waiting = nil
}

// receivers bounds what is on its way to each.
type receivers struct {
	mu    sync.Mutex
	turns map[string]*turns
}

// turns are those of one receiver, as long as somebody wants one.
type turns struct {
	free   chan struct{}
	wanted int
}

// enter waits a moment for a turn at a receiver.
func (r *receivers) enter(ctx context.Context, host string) (leave func(), mine bool) {
	r.mu.Lock()
	t := r.turns[host]
	if t == nil {
		t = &turns{free: make(chan struct{}, sendsToOne)}
		r.turns[host] = t
	}
	t.wanted++
	r.mu.Unlock()
	done := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if t.wanted--; t.wanted == 0 {
			delete(r.turns, host)
		}
	}
	wait := time.NewTimer(turnWithin)
	defer wait.Stop()
	select {
	case t.free <- struct{}{}:
		return func() { <-t.free; done() }, true
	case <-wait.C:
	case <-ctx.Done():
	}
	done()
	return nil, false
}
