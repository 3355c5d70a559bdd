package onetime

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/postgres"
	"larder/internal/secret"
	"larder/internal/sms"
)

const (
	codeLife = 10 * time.Minute // SP 800-63B-4 §3.1.3.2
	maxTries = 5
	digits   = 6
	million  = 1_000_000

	email    = "email"
	signIn   = "sign_in"
	newPhone = "phone"
)

// Jobs takes in what is to be done once a transaction has committed.
type Jobs interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// Teller writes to a person about their factors.
type Teller interface {
	Tell(ctx context.Context, tx pgx.Tx, user id.ID, subject, what string) error
}

// Limiter slows down.
type Limiter interface {
	Take(ctx context.Context, bucket string, rates ...limit.Rate) error
}

// Codes keeps ways to reach people, and the codes that are under way, in schema
// auth.
type Codes struct {
	DB      *pgxpool.Pool
	MACKeys func() [][]byte // make codes, the first one new ones; asked at each use
	Jobs    Jobs
	Teller  Teller
	Limits  Limiter
	SMS     bool // there is a way to send text messages
	Now     func() time.Time
}

// Ways are those by which a person gets codes, with what to show of the address.
func (c *Codes) Ways(ctx context.Context, user id.ID) ([]oidc.MessageWay, error) {
	rows, err := c.DB.Query(ctx, selectWays, user)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w oidc.MessageWay, err error) {
		err = row.Scan(&w.Channel, &w.Target, &w.Since)
		w.Target = mask(w.Target)
		return w, err
	})
	return all, postgres.Translate(err)
}

// Mailbox is the way to the primary address if it is verified, whether or not
// the person chose it.
func (c *Codes) Mailbox(ctx context.Context, user id.ID) ([]oidc.MessageWay, error) {
	var address string
	err := c.DB.QueryRow(ctx, selectMailbox, user).Scan(&address)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return []oidc.MessageWay{{Channel: email, Target: mask(address)}}, postgres.Translate(err)
}

// mask leaves of an address what its owner needs to tell it from others: whoever
// sees it knows a password only.
func mask(target string) string {
	name, host, mail := strings.Cut(target, "@")
	switch {
	case mail && name != "":
		return string([]rune(name)[:1]) + "…@" + host
	case len(target) > 2:
		return "…" + target[len(target)-2:]
	}
	return ""
}

// Sending is limited for each person, each address and each network: messages
// cost money and patience.
func sendRates() []limit.Rate {
	return []limit.Rate{{Burst: 3, Every: time.Minute}, {Burst: 10, Every: 30 * time.Minute}}
}

func sourceRates() []limit.Rate { return []limit.Rate{{Burst: 30, Every: time.Minute}} }

// Send sends a code for a sign-in at a device, by one of the person's ways or to
// the mailbox. The
// code before is worth nothing from now on. Too many are fault.RateLimited.
func (c *Codes) Send(ctx context.Context, user id.ID, device, source, channel string) error {
	target, err := c.target(ctx, user, channel)
	if err != nil {
		return err
	}
	return c.send(ctx, user, device, source, signIn, channel, target)
}

func (c *Codes) target(ctx context.Context, user id.ID, channel string) (target string, err error) {
	err = c.DB.QueryRow(ctx, selectTarget, user, channel).Scan(&target)
	if errors.Is(err, pgx.ErrNoRows) && channel == email {
		err = c.DB.QueryRow(ctx, selectMailbox, user).Scan(&target)
	}
	if errors.Is(err, pgx.ErrNoRows) || err == nil && target == "" {
		return "", fault.New(fault.Invalid, "No code can be sent that way.")
	}
	return target, postgres.Translate(err)
}

func (c *Codes) send(ctx context.Context, user id.ID, device, source, purpose, channel, target string) error {
	for _, of := range []struct {
		bucket string
		rates  []limit.Rate
	}{
		{"code-user:" + user.String(), sendRates()},
		{"code-target:" + hex.EncodeToString(secret.Sum(target)[:16]), sendRates()},
		{"code-source:" + source, sourceRates()},
	} {
		if err := c.Limits.Take(ctx, of.bucket, of.rates...); err != nil {
			return err
		}
	}
	code, now := id.New(), c.Now()
	return postgres.InTx(ctx, c.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, upsertCode, user, purpose, code, channel, target, secret.Sum(device), now.Add(codeLife)); err != nil {
			return err
		}
		if err := c.Jobs.Insert(ctx, tx, Job{Code: code}); err != nil {
			return err
		}
		e := event(now, "code.sent", user)
		e.Details = map[string]any{"channel": channel, "purpose": purpose}
		return audit.Auth().Insert(ctx, tx, e)
	})
}

// Check spends a code at the device that asked for it, and returns the methods
// that it proves beside the password (RFC 8176 §2): a second channel, and not a
// second factor. One that is wrong, spent or old is fault.Unauthenticated.
func (c *Codes) Check(ctx context.Context, user id.ID, device, code string) (amr []string, err error) {
	channel, _, err := c.spend(ctx, user, signIn, device, code)
	if err != nil {
		return nil, err
	}
	if channel == "sms" {
		return []string{oidc.AMRSMS, oidc.AMRChannels}, nil
	}
	return []string{oidc.AMRChannels}, nil
}

func (c *Codes) spend(ctx context.Context, user id.ID, purpose, device, code string) (channel, target string, err error) {
	wrong := fault.New(fault.Unauthenticated, "This code is not right, or not any more. Look at the newest message, or have another one sent.")
	var row id.ID
	err = c.DB.QueryRow(ctx, takeTry, user, purpose, secret.Sum(device), c.Now(), maxTries).Scan(&row, &channel, &target)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", wrong
	}
	if err != nil {
		return "", "", postgres.Translate(err)
	}
	code = strings.Join(strings.Fields(code), "")
	right := 0
	for _, key := range c.MACKeys() {
		right |= subtle.ConstantTimeCompare([]byte(codeOf(key, row)), []byte(code))
	}
	if right == 0 {
		return "", "", wrong
	}
	tag, err := c.DB.Exec(ctx, spendCode, row)
	if err != nil {
		return "", "", postgres.Translate(err)
	}
	if tag.RowsAffected() == 0 {
		return "", "", wrong
	}
	return channel, target, nil
}

// codeOf is the code of a row. 2⁶⁴ is so much more than a million that all codes
// are equally likely.
func codeOf(key []byte, row id.ID) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("one-time code\x00" + row.String()))
	return fmt.Sprintf("%0*d", digits, binary.BigEndian.Uint64(mac.Sum(nil))%million)
}

// EnableMail has codes sent to the primary address, which must be verified.
// With a stronger factor it is fault.Conflict.
func (c *Codes) EnableMail(ctx context.Context, user id.ID) error {
	var address string
	err := c.DB.QueryRow(ctx, selectMailbox, user).Scan(&address)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.Conflict, "Confirm your email address first, on the page of your profile.")
	}
	if err != nil {
		return postgres.Translate(err)
	}
	return c.enable(ctx, user, email, nil, "Codes by email were turned on", "Signing in to your Larder account asks for a code that we send to this address from now on.")
}

// Propose sends a code to a telephone number that is to get codes.
func (c *Codes) Propose(ctx context.Context, user id.ID, device, source, number string) error {
	if !c.SMS {
		return fault.New(fault.Conflict, "This service sends no text messages.")
	}
	number, ok := sms.Number(number)
	if !ok {
		return fault.New(fault.Invalid, "This is not a telephone number with its country code, such as +49 151 12345678.")
	}
	return c.send(ctx, user, device, source, newPhone, "sms", number)
}

// Confirm has codes sent to the proposed number, once one came there.
func (c *Codes) Confirm(ctx context.Context, user id.ID, device, code string) error {
	_, target, err := c.spend(ctx, user, newPhone, device, code)
	if err != nil {
		return err
	}
	return c.enable(ctx, user, "sms", &target, "Codes by text message were turned on", "Signing in to your Larder account asks for a code that we send to the number "+mask(target)+" from now on.")
}

func (c *Codes) enable(ctx context.Context, user id.ID, channel string, phone *string, subject, what string) error {
	now := c.Now()
	return postgres.InTx(ctx, c.DB, func(tx pgx.Tx) error {
		var stronger bool
		if err := tx.QueryRow(ctx, hasStronger, user).Scan(&stronger); err != nil {
			return err
		}
		if stronger {
			return fault.New(fault.Conflict, "You have a stronger second step already. Codes by message would only weaken it.")
		}
		if _, err := tx.Exec(ctx, upsertWay, user, channel, phone, now); err != nil {
			return err
		}
		if err := c.Teller.Tell(ctx, tx, user, subject, what); err != nil {
			return err
		}
		e := event(now, "message_factor.enabled", user)
		e.Details = map[string]any{"channel": channel}
		return audit.Auth().Insert(ctx, tx, e)
	})
}

// Disable ends a way. That it is over already is fine.
func (c *Codes) Disable(ctx context.Context, user id.ID, channel string) error {
	now := c.Now()
	return postgres.InTx(ctx, c.DB, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, deleteWay, user, channel)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := c.Teller.Tell(ctx, tx, user, "Codes by message were turned off", "Signing in to your Larder account sends no codes by "+named(channel)+" any more."); err != nil {
			return err
		}
		e := event(now, "message_factor.disabled", user)
		e.Details = map[string]any{"channel": channel}
		return audit.Auth().Insert(ctx, tx, e)
	})
}

// Export returns the ways by which a person gets codes.
func (c *Codes) Export(ctx context.Context, user id.ID) (any, error) {
	type way struct {
		Channel string    `json:"channel"`
		Target  string    `json:"target"`
		Since   time.Time `json:"since"`
	}
	rows, err := c.DB.Query(ctx, selectWays, user)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w way, err error) {
		return w, row.Scan(&w.Channel, &w.Target, &w.Since)
	})
	return all, postgres.Translate(err)
}

func named(channel string) string {
	if channel == "sms" {
		return "text message"
	}
	return "email"
}

func event(now time.Time, action string, user id.ID) audit.Event {
	return audit.Event{
		OccurredAt: now, Action: action, Result: audit.Success, Actor: audit.Person(user), Target: user.String(),
	}
}
