package account

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/secret"
)

// Recogniser knows at which browsers whoever has an address signed in before.
type Recogniser interface {
	Recognised(ctx context.Context, canonical, device string) (bool, error)
	Recognise(ctx context.Context, tx pgx.Tx, user id.ID, device, source string) error
}

// Throttle slows down guessing. Each attempt counts before its password is
// looked at, and a success takes its count back, so that only failures add up.
//
//	a device that signed in to this account before   device + account
//	any other                                        source + account,
//	                                                 account from anywhere,
//	                                                 source for any account
//
// When many sources fail at one account, or one source at many accounts, the door
// closes to devices that are not known, for minutes: see failed.
//
// A known device has a bucket to itself: strangers who hammer an account slow
// down each other and new devices, never the owner's own (ASVS 6.1.1).
// Accounts that do not exist are counted like the others.
type Throttle struct {
	Redis   redis.Cmdable // counts who takes part in an attack
	Limiter *limit.Limiter
	Devices Recogniser
}

// bucket is one count that an attempt adds to. Whole ones are forgotten on
// success; of a shared one only the attempt's own count is given back.
type bucket struct {
	name   string
	rates  []limit.Rate
	shared bool
}

// attempt is one try at one account's password.
type attempt struct {
	throttle *Throttle
	account  string
	source   string
	known    bool
	buckets  []bucket
	counted  int
}

// perAccount makes the wait grow: ten tries at once, then one every 6 seconds,
// from the thirtieth one every two minutes, from the sixtieth one every half
// hour. That stays below the 100 failures of SP 800-63B-4 §3.2.2 in a day.
func perAccount() []limit.Rate {
	return []limit.Rate{
		{Burst: 10, Every: 6 * time.Second},
		{Burst: 30, Every: 2 * time.Minute},
		{Burst: 60, Every: 30 * time.Minute},
	}
}

func anySource() []limit.Rate { return []limit.Rate{{Burst: 100, Every: time.Minute}} }

func anyAccount() []limit.Rate { return []limit.Rate{{Burst: 300, Every: 3 * time.Second}} }

// open prepares an attempt from a source with a device ("" for none) and turns
// it away with fault.RateLimited if it comes too soon.
func (t *Throttle) open(ctx context.Context, email, source, device string) (*attempt, error) {
	canonical, err := Canonical(email)
	a := &attempt{throttle: t, account: digest(canonical)}
	if err != nil {
		a.account = digest("invalid", email)
	}
	known, err := t.Devices.Recognised(ctx, canonical, device)
	if err != nil {
		return nil, err
	}
	a.known, a.source = known, digest(source)
	if known {
		a.buckets = []bucket{{name: "login:device:" + digest(device, a.account), rates: perAccount()}}
	} else {
		a.buckets = []bucket{
			{name: "login:source-account:" + digest(source, a.account), rates: perAccount()},
			{name: "login:account:" + a.account, rates: anySource(), shared: true},
			{name: "login:source:" + digest(source), rates: anyAccount(), shared: true},
		}
	}
	if !known { // doors that an attack has closed
		if err := t.Limiter.Peek(ctx, a.accountDoor(), closedAccount()); err != nil {
			return nil, err
		}
		if err := t.Limiter.Peek(ctx, a.sourceDoor(), closedSource()); err != nil {
			return nil, err
		}
	}
	for _, b := range a.buckets {
		if err := t.Limiter.Peek(ctx, b.name, b.rates...); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// count counts the attempt in each bucket, up to the first that is full.
func (a *attempt) count(ctx context.Context) error {
	for i, b := range a.buckets {
		if err := a.throttle.Limiter.Take(ctx, b.name, b.rates...); err != nil {
			return err
		}
		a.counted = i + 1
	}
	return nil
}

// succeeded takes the count back.
func (a *attempt) succeeded(ctx context.Context) error {
	for _, b := range a.buckets[:a.counted] {
		var err error
		if b.shared {
			err = a.throttle.Limiter.Refund(ctx, b.name, b.rates...)
		} else {
			err = a.throttle.Limiter.Reset(ctx, b.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// digest keeps addresses, networks and cookies out of Redis. Each part goes in
// with its length, so that no two lists of parts are the same text.
func digest(parts ...string) string {
	var all strings.Builder
	for _, p := range parts {
		all.WriteString(strconv.Itoa(len(p)))
		all.WriteByte(':')
		all.WriteString(p)
	}
	return hex.EncodeToString(secret.Sum(all.String())[:16])
}
