package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
)

const (
	queueLimit  = 1024 // distinct events waiting; past it equal ones are counted together
	batchLimit  = 256
	flushEvery  = 200 * time.Millisecond
	flushWithin = 5 * time.Second
)

// Sender is a pool or a connection; for grocery one whose tenant policy lets
// the audit role append.
type Sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Queue takes events off the request's path. Put never blocks.
type Queue struct {
	Log    Log
	DB     Sender
	Logger *slog.Logger
	// Prepare, if not nil, is queued before the event's own insert; row-level
	// security of the family tables needs its setting there.
	Prepare func(b *pgx.Batch, e Event)

	mu       sync.Mutex
	waiting  []Event
	counted  map[burst]*Event
	lost     int // and not told of yet
	lostEver int
}

// burst is what makes two events of an overflow equal.
type burst struct {
	action, actor, reason string
	family                id.ID
}

// Put queues e. When queueLimit events wait already, e is counted into one
// event with those of the same action, actor, family and reason; past twice as
// many of those, what resembles none of them is lost, and the log says how many.
func (q *Queue) Put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.Count = max(e.Count, 1)
	if len(q.waiting) < queueLimit {
		q.waiting = append(q.waiting, e)
		return
	}
	if q.counted == nil {
		q.counted = make(map[burst]*Event)
	}
	k := burst{e.Action, e.Actor.ID, e.Reason, e.FamilyID}
	if len(q.counted) >= queueLimit {
		k.actor = "" // a flood of invented actors must not grow memory: count them together
	}
	if first, ok := q.counted[k]; ok {
		first.Count += e.Count
		return
	}
	if len(q.counted) >= 2*queueLimit { // nor one of invented families
		q.lost += e.Count
		q.lostEver += e.Count
		return
	}
	q.counted[k] = &e
}

// Run writes what is queued until ctx is done, and once more after.
func (q *Queue) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			q.flush(ctx)
		case <-ctx.Done():
			q.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

func (q *Queue) flush(ctx context.Context) {
	q.mu.Lock()
	lost := q.lost
	q.lost = 0
	q.mu.Unlock()
	if lost > 0 {
		q.Logger.LogAttrs(ctx, slog.LevelError, "audit events were lost: there were too many different ones", slog.Int("events", lost))
	}
	for {
		events := q.take()
		if len(events) == 0 {
			return
		}
		if err := q.send(ctx, events); err != nil {
			q.Logger.LogAttrs(ctx, slog.LevelError, "audit events wait for the database",
				slog.Int("events", len(events)), slog.String("error", err.Error()))
			q.putBack(events)
			return
		}
	}
}

func (q *Queue) send(ctx context.Context, events []Event) error {
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	b := &pgx.Batch{}
	for _, e := range events {
		if q.Prepare != nil {
			q.Prepare(b, e)
		}
		q.Log.Batch(b, e)
	}
	return q.DB.SendBatch(ctx, b).Close()
}

func (q *Queue) take() []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), batchLimit)
	events := append([]Event(nil), q.waiting[:n]...)
	q.waiting = append(q.waiting[:0], q.waiting[n:]...)
	if n == 0 {
		for _, e := range q.counted {
			events = append(events, *e)
		}
		q.counted = nil
	}
	return events
}

func (q *Queue) putBack(events []Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(events, q.waiting...)
}
