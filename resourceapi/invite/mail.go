package invite

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/mail"
	"larder/internal/sealed"
	"larder/internal/secret"
	"larder/resourceapi/tenant"
)

const (
	lookEvery   = 5 * time.Second
	atOnce      = 10
	maxAttempts = 8 // the last about nine hours after the first
	deliverIn   = 30 * time.Second

	mailsOfOne = 20 // that one principal has sent in a day
	mailsToOne = 3  // that an address gets in a day, whoever asks

	// claimMails puts off what it takes, so that no other replica takes it too.
	claimMails = `
UPDATE grocery.invitation_mails m SET attempts = attempts + 1, next_at = now() + make_interval(secs => least(60 * 4 ^ m.attempts, 14400))
  FROM (SELECT family_id, id FROM grocery.invitation_mails WHERE next_at <= now() ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED) due
 WHERE m.family_id = due.family_id AND m.id = due.id
RETURNING m.family_id, m.id, m.invitation_id, m.letter, m.attempts, m.created_at`

	deleteMail = `DELETE FROM grocery.invitation_mails WHERE family_id = $1 AND id = $2`
)

// Deliverer sends letters; mail.Postman does. It is told the number of a letter
// and when it was written, by which a repetition is known.
type Deliverer interface {
	Deliver(ctx context.Context, number int64, at time.Time, l mail.Letter) error
}

// Mails sends invitations to the addresses they are for. Make it with NewMails.
type Mails struct {
	DB       *tenant.DB
	Keys     *sealed.Keyring
	Leases   *limit.Leases
	Log      *slog.Logger
	Page     string    // of the front end; a token is put behind it as its fragment. "" for none
	Delivery Deliverer // nil where no mail is sent

	woken chan struct{}
	sent  *prometheus.CounterVec
}

// NewMails returns m, ready to be used.
func NewMails(m Mails) *Mails {
	m.woken = make(chan struct{}, 1)
	m.sent = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "invitation_mails_total", Help: "Attempts to mail an invitation, by outcome."}, []string{"outcome"})
	for _, outcome := range []string{"done", "failed", "given_up"} {
		m.sent.WithLabelValues(outcome) // what is missing alarms nobody
	}
	return &m
}

// Observe shows in metrics what becomes of the mails.
func (m *Mails) Observe(reg prometheus.Registerer) { reg.MustRegister(m.sent) }

// letter is what is sealed of a mail that waits.
type letter struct {
	To        string    `json:"to"`
	Language  string    `json:"language,omitempty"`
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

func place(family, invitation id.ID) string {
	return "invitation/" + family.String() + "/" + invitation.String()
}

// link is empty where no page of a front end is known. A fragment is sent to no
// server and stands in no log.
func (m *Mails) link(token secret.String) string {
	if m.Page == "" {
		return ""
	}
	return m.Page + "#invitation=" + token.Reveal()
}

// admit counts a mail, or says why it cannot be sent.
func (m *Mails) admit(ctx context.Context, principal, address string) error {
	if m.Delivery == nil || m.Page == "" {
		return fault.New(fault.Conflict, "This service sends no mail. Leave out the address, and hand the token on yourself.").WithCode("no_mail")
	}
	const day = 24 * time.Hour
	s := m.Leases.Take(ctx, "invitations_by:"+principal, limit.Quota{Limit: mailsOfOne, Window: day})
	if s.Wait <= 0 {
		to := hex.EncodeToString(secret.Sum(strings.ToLower(address)))
		s = m.Leases.Take(ctx, "invitations_to:"+to, limit.Quota{Limit: mailsToOne, Window: day})
	}
	if s.Wait > 0 {
		return limit.Exceeded(s.Wait).WithCode("quota_mail")
	}
	return nil
}

func (m *Mails) seal(family, invitation id.ID, token secret.String, d draft) ([]byte, error) {
	l := letter{To: *d.Email, Token: token.Reveal(), ExpiresAt: *d.ExpiresAt}
	if d.Language != nil {
		l.Language = *d.Language
	}
	plain, err := json.Marshal(l)
	return m.Keys.Seal(place(family, invitation), plain), err
}

func (m *Mails) wake() {
	select {
	case m.woken <- struct{}{}:
	default: // it is awake
	}
}

// Run sends what waits until ctx is done. Any number of processes may run it.
func (m *Mails) Run(ctx context.Context) {
	if m.Delivery == nil {
		return
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = m.round(ctx); err != nil && ctx.Err() == nil {
				m.Log.LogAttrs(ctx, slog.LevelWarn, "invitations not mailed", slog.String("error", err.Error()))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.woken:
		}
	}
}

// waiting is a mail that is due.
type waiting struct {
	family, invitation id.ID
	number             int64
	letter             []byte
	attempts           int
	at                 time.Time
}

func (w *waiting) scan(row pgx.Row) error {
	return row.Scan(&w.family, &w.number, &w.invitation, &w.letter, &w.attempts, &w.at)
}

// round sends what is due and reports whether there may be more.
func (m *Mails) round(ctx context.Context) (more bool, err error) {
	var due []waiting
	err = m.DB.Postman(ctx, func(tx *tenant.Tx) error {
		tenant.Rows(tx, &due, (*waiting).scan, claimMails, atOnce)
		return tx.Send(ctx)
	})
	if err != nil {
		return false, err
	}
	for i := range due {
		if err := ctx.Err(); err != nil {
			return false, err // what was claimed is tried again later
		}
		if err := m.send(context.WithoutCancel(ctx), &due[i]); err != nil {
			return false, err
		}
	}
	return len(due) == atOnce, nil
}

// send sends one mail. Its error is one of the database; a mail that could not
// be sent stays for later, a bounded number of times.
func (m *Mails) send(ctx context.Context, w *waiting) error {
	ctx, cancel := context.WithTimeout(ctx, deliverIn)
	defer cancel()
	outcome := "done"
	if err := m.deliver(ctx, w); err != nil {
		_, refused := errors.AsType[*mail.RefusedError](err)
		given := refused || w.attempts >= maxAttempts
		m.Log.LogAttrs(ctx, slog.LevelWarn, "an invitation was not mailed", slog.String("family_id", w.family.String()),
			slog.String("invitation_id", w.invitation.String()), slog.Bool("given_up", given), slog.String("error", err.Error()))
		if !given {
			m.sent.WithLabelValues("failed").Inc()
			return nil
		}
		outcome = "given_up"
	}
	m.sent.WithLabelValues(outcome).Inc()
	return m.DB.Postman(ctx, func(tx *tenant.Tx) error {
		tx.Queue(deleteMail, w.family, w.number)
		return tx.Send(ctx)
	})
}

func (m *Mails) deliver(ctx context.Context, w *waiting) error {
	var l letter
	plain, err := m.Keys.Open(place(w.family, w.invitation), w.letter)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, &l); err != nil {
		return err
	}
	if !l.ExpiresAt.After(m.DB.Now()) {
		return nil
	}
	return m.Delivery.Deliver(ctx, w.number, w.at, mail.Letter{
		Template: "invitation", To: l.To, Language: l.Language, Target: m.link(secret.String(l.Token)),
		Facts: map[string]string{"when": mail.When(l.ExpiresAt)},
	})
}
