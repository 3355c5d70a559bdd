package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/sync/errgroup"

	"larder/internal/id"
	"larder/internal/sealed"
	"larder/resourceapi/tenant"
)

// A receiver that does not answer holds what is its own: two messages, of one
// family's at most four, in one of the rounds that there are; and it is left
// alone until the next attempt. Nobody's transaction waits for it.
const (
	lookEvery   = time.Second
	roundsAtOne = 32 // families that are told, at the same time
	readsAtOne  = 4  // of them in the database, so that requests find connections
	sendsAtOne  = 4  // messages of one family
	sendsToOne  = 2  // messages to one receiver, of all families
	turnWithin  = time.Second
	maxDue      = 20
	maxWoken    = 1000
	maxKnown    = 100_000

	// Together less than a round is kept from others.
	roundTimeout  = 100 * time.Second
	finishTimeout = 10 * time.Second
)

// Sender sends to addresses that families chose; outbound.Client does.
type Sender interface {
	Post(ctx context.Context, address string, header http.Header, body []byte) (status int, err error)
}

// Courier delivers. Any number of processes may run one.
type Courier struct {
	db      *tenant.DB
	secrets *sealed.Keyring
	sender  Sender
	log     *slog.Logger
	sent    *prometheus.CounterVec
	found   prometheus.Gauge

	mu    sync.Mutex
	known map[id.ID]struct{} // families with webhooks, as far as this process has met them
	woken chan id.ID

	reads     chan struct{}
	receivers receivers
}

// NewCourier returns a courier; Run has it work.
func NewCourier(db *tenant.DB, secrets *sealed.Keyring, sender Sender, log *slog.Logger, reg prometheus.Registerer) *Courier {
	c := &Courier{
		db: db, secrets: secrets, sender: sender, log: log, known: map[id.ID]struct{}{}, woken: make(chan id.ID, maxWoken),
		reads: make(chan struct{}, readsAtOne), receivers: receivers{turns: map[string]*turns{}},
		sent:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "webhook_attempts_total", Help: "Attempts to deliver a message, by outcome."}, []string{"outcome"}),
		found: prometheus.NewGauge(prometheus.GaugeOpts{Name: "webhook_families_due", Help: "Families that the last look found with messages due; it takes 20 at most."}),
	}
	reg.MustRegister(c.sent, c.found)
	return c
}

// Know tells the courier that a family has webhooks. Those that it has no room
// for are told within a minute all the same.
func (c *Courier) Know(family id.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) < maxKnown {
		c.known[family] = struct{}{}
	}
}

func (c *Courier) forget(family id.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, family)
}

// Changed wakes the courier for a family, if it has webhooks. It does not block;
// what it misses is found a minute later.
func (c *Courier) Changed(family id.ID) {
	c.mu.Lock()
	_, known := c.known[family]
	c.mu.Unlock()
	if !known {
		return
	}
	select {
	case c.woken <- family:
	default:
	}
}

// Run delivers until ctx is done, and lets what is being sent arrive.
func (c *Courier) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var rounds errgroup.Group
	rounds.SetLimit(roundsAtOne)
	defer func() { _ = rounds.Wait() }() // rounds log their own errors
	for ctx.Err() == nil {
		var due []id.ID
		select {
		case <-ctx.Done():
			return
		case family := <-c.woken:
			due = append(due, family)
		case <-tick.C:
			var err error
			if due, err = c.db.CourierDue(ctx, maxDue); err != nil && ctx.Err() == nil {
				c.log.LogAttrs(ctx, slog.LevelWarn, "webhooks not looked at", slog.String("error", err.Error()))
			}
			c.found.Set(float64(len(due)))
		}
		for _, family := range due {
			c.Know(family)
			rounds.Go(func() error {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), roundTimeout)
				defer cancel()
				if err := c.round(ctx, family); err != nil {
					c.log.LogAttrs(ctx, slog.LevelWarn, "webhooks of a family not delivered", slog.String("family_id", family.String()), slog.String("error", err.Error()))
				}
				return nil
			})
		}
	}
}

// round writes down what is new for the family's webhooks, sends what is due,
// and says when to look again.
func (c *Courier) round(ctx context.Context, family id.ID) error {
	messages, mine, soon, err := c.begin(ctx, family)
	if err != nil || !mine {
		return err
	}
	c.deliver(ctx, family, messages)
	// What was sent is written down though the time of the round may be over: it would be sent again and again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	c.reads <- struct{}{}
	defer func() { <-c.reads }()
	if err := c.finish(ctx, family, messages, soon); err != nil {
		return err
	}
	if len(messages) == maxDue { // what piled up need not wait for the next look
		c.Changed(family)
	}
	return nil
}

// begin takes the family, if it is to be had, and returns what is due there.
// soon says that there is more, or will be in a moment.
func (c *Courier) begin(ctx context.Context, family id.ID) (messages []message, mine, soon bool, err error) {
	c.reads <- struct{}{}
	defer func() { <-c.reads }()
	switch got, err := c.claim(ctx, family); {
	case err != nil:
		return nil, false, false, err
	case got == noRound:
		c.forget(family)
		return nil, false, false, nil
	case got == othersRound: // who may have looked before there was anything
		time.AfterFunc(lookEvery, func() { c.Changed(family) })
		return nil, false, false, nil
	}
	if soon, err = c.plan(ctx, family); err != nil {
		return nil, false, false, err
	}
	messages, err = c.due(ctx, family)
	return messages, true, soon, err
}

// message is a delivery that is due.
type message struct {
	id, webhook       id.ID
	url, payload      string
	attempts          int
	secret, oldSecret []byte // sealed

	tried   bool
	behind  *message // did not reach the receiver, for which this one was left
	status  int
	failure string
}

func (c *Courier) send(ctx context.Context, family id.ID, m *message) {
	m.tried = true
	header, err := c.sign(family, m)
	if err == nil {
		m.status, err = c.sender.Post(ctx, m.url, header, []byte(m.payload))
	}
	switch {
	case err != nil:
		m.failure = clip(err.Error())
	case !m.delivered():
		m.failure = "The receiver answered " + strconv.Itoa(m.status) + "."
	}
	outcome := "failed"
	if m.delivered() {
		outcome = "delivered"
	}
	c.sent.WithLabelValues(outcome).Inc()
}

func (m *message) delivered() bool {
	return m.status >= http.StatusOK && m.status < http.StatusMultipleChoices
}

// sign makes the headers of Standard Webhooks; in a rotation each secret signs.
func (c *Courier) sign(family id.ID, m *message) (http.Header, error) {
	name, now := "msg_"+m.id.String(), c.db.Now()
	var signatures []string
	for _, box := range [][]byte{m.secret, m.oldSecret} {
		if box == nil {
			continue
		}
		secret, err := c.secrets.Open(place(family, m.webhook), box)
		if err != nil {
			return nil, err
		}
		hook, err := standardwebhooks.NewWebhook(string(secret))
		if err != nil {
			return nil, err
		}
		signature, err := hook.Sign(name, now, []byte(m.payload))
		if err != nil {
			return nil, err
		}
		signatures = append(signatures, signature)
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "Larder-Webhooks/1")
	header.Set(standardwebhooks.HeaderWebhookID, name)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return header, nil
}

func clip(s string) string {
	const most = 300
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}
