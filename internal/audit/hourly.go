package audit

import (
	"container/list"
	"context"
	"sync"
	"time"

	"larder/internal/id"
)

const (
	hourlyLimit = 8192 // different events remembered; past it the oldest hour ends early
	settleEvery = time.Minute
)

// Hourly makes few events of those that repeat themselves: the first is told at
// once, and when its hour is over one more says how many there were since. Put
// never blocks, nothing is lost that Queue does not lose, and an end by force
// costs no more than counts.
type Hourly struct {
	Queue *Queue // its own, so that no flood of reads crowds out a denial
	Now   func() time.Time

	mu    sync.Mutex
	known map[sight]*list.Element
	hours list.List // of *hour, the oldest first
}

// sight is what makes two events the same within an hour.
type sight struct {
	actor                    Actor
	clientID, action, target string
	apiKey                   string // of a person, in whose name it reads
	family                   id.ID
}

// hour is the first of equal events, and how many there were since.
type hour struct {
	first Event
	more  int
	last  time.Time
}

// Put tells of e, or counts it where it was told of in the last hour.
func (h *Hourly) Put(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := sightOf(e)
	if at, ok := h.known[key]; ok {
		known, _ := at.Value.(*hour)
		if e.OccurredAt.Sub(known.first.OccurredAt) < time.Hour {
			known.more++
			known.last = e.OccurredAt
			return
		}
		h.settle(at)
	}
	if h.hours.Len() >= hourlyLimit {
		h.settle(h.hours.Front())
	}
	if h.known == nil {
		h.known = make(map[sight]*list.Element)
	}
	h.known[key] = h.hours.PushBack(&hour{first: e})
	h.Queue.Put(e)
}

// Known is how many events are remembered.
func (h *Hourly) Known() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hours.Len()
}

// Run writes what is queued, and has hours end, until ctx is done; then all do.
func (h *Hourly) Run(ctx context.Context) {
	queue, end := context.WithCancel(context.WithoutCancel(ctx))
	var writing sync.WaitGroup
	writing.Go(func() { h.Queue.Run(queue) })
	defer writing.Wait()
	defer end()
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			h.settleBefore(h.Now().Add(-time.Hour))
		case <-ctx.Done():
			h.settleBefore(h.Now().Add(time.Hour)) // those that just began, too
			return
		}
	}
}

// settleBefore ends the hours that began before then.
func (h *Hourly) settleBefore(then time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := h.hours.Front(); at != nil; at = h.hours.Front() {
		if known, _ := at.Value.(*hour); !known.first.OccurredAt.Before(then) {
			return
		}
		h.settle(at)
	}
}

// settle ends an hour and tells how many more there were.
func (h *Hourly) settle(at *list.Element) {
	over, _ := h.hours.Remove(at).(*hour)
	e := over.first
	delete(h.known, sightOf(e))
	if over.more > 0 {
		e.OccurredAt, e.Count = over.last, over.more
		h.Queue.Put(e)
	}
}

func sightOf(e Event) sight {
	apiKey, _ := e.Details["api_key_id"].(string)
	return sight{e.Actor, e.ClientID, e.Action, e.Target, apiKey, e.FamilyID}
}
