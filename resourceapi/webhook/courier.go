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

const (
	lookEvery    = time.Second
	roundsAtOne  = 4  // families looked at, at the same time
	sendsAtOne   = 10 // messages of one family
	maxDue       = 20
	maxWoken     = 1000
	roundTimeout = 100 * time.Second // less than a round is kept from others
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

	mu    sync.Mutex
	known map[id.ID]bool // families with webhooks, as far as this process has met them
	woken chan id.ID
}

// NewCourier returns a courier; Run has it work.
func NewCourier(db *tenant.DB, secrets *sealed.Keyring, sender Sender, log *slog.Logger, reg prometheus.Registerer) *Courier {
	c := &Courier{
		db: db, secrets: secrets, sender: sender, log: log, known: map[id.ID]bool{}, woken: make(chan id.ID, maxWoken),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "webhook_attempts_total", Help: "Attempts to deliver a message, by outcome."}, []string{"outcome"}),
	}
	reg.MustRegister(c.sent)
	return c
}

// Know tells the courier that a family has webhooks.
func (c *Courier) Know(family id.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[family] = true
}

// Changed wakes the courier for a family, if it has webhooks. It does not block;
// what it misses is found a minute later.
func (c *Courier) Changed(family id.ID) {
	c.mu.Lock()
	known := c.known[family]
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
	mine, err := c.claim(ctx, family)
	if err != nil {
		return err
	}
	if !mine { // somebody is at it, who may have looked before there was anything
		time.AfterFunc(lookEvery, func() { c.Changed(family) })
		return nil
	}
	soon, err := c.plan(ctx, family)
	if err != nil {
		return err
	}
	messages, err := c.due(ctx, family)
	if err != nil {
		return err
	}
	var sending errgroup.Group
	sending.SetLimit(sendsAtOne)
	for i := range messages {
		sending.Go(func() error {
			c.send(ctx, family, &messages[i])
			return nil
		})
	}
	_ = sending.Wait() // what went wrong stands in the messages
	if err := c.finish(ctx, family, messages, soon); err != nil {
		return err
	}
	if len(messages) == maxDue { // what piled up need not wait for the next look
		c.Changed(family)
	}
	return nil
}

// message is a delivery that is due.
type message struct {
	id, webhook       id.ID
	url, payload      string
	attempts          int
	secret, oldSecret []byte // sealed

	status  int
	failure string
}

func (c *Courier) send(ctx context.Context, family id.ID, m *message) {
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
