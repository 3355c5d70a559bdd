package ciba

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/postgres"
	"larder/internal/sealed"
	"larder/internal/secret"
)

// maxPending is how many requests may wait for one person.
const maxPending = 3

// personRate bounds how often one person is asked, whoever asks.
func personRate() limit.Rate { return limit.Rate{Burst: 10, Every: 6 * time.Minute} }

// Users knows people.
type Users interface {
	User(ctx context.Context, subject id.ID) (*oidc.User, error)
	ByEmail(ctx context.Context, address string) (*oidc.User, error)
}

// Jobs takes in what is to be done once a transaction has committed.
type Jobs interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// Limiter counts.
type Limiter interface {
	Take(ctx context.Context, bucket string, rates ...limit.Rate) error
}

// Requests keeps what clients ask. Fill in the exported fields.
type Requests struct {
	DB    *pgxpool.Pool
	Users Users
	Jobs  Jobs
	Limit Limiter
	// Canonical is the form of an address by which people are known.
	Canonical func(address string) (string, error)
	// Keyring seals what pings need.
	Keyring func() *sealed.Keyring
	Now     func() time.Time
}

// notification is what a ping needs, sealed.
type notification struct {
	AuthReqID string `json:"auth_req_id"`
	Token     string `json:"token"`
}

// waiting is a request as its person is asked.
type waiting struct {
	ID             id.ID
	Request        oidc.DecoupledRequest
	BindingMessage string
	Factor         bool
	ExpiresAt      time.Time
}

// Begin takes a request down, with a mail to the person, and returns the code by
// which the client asks for its tokens. Of somebody who is not here nobody hears,
// and the client does not learn it. It is fault.Invalid when the hint is no
// address, and fault.RateLimited when the person is asked too much already.
func (s *Requests) Begin(ctx context.Context, req oidc.BackchannelRequest) (authReqID string, err error) {
	user, person, err := s.find(ctx, req)
	if err != nil {
		return "", err
	}
	if err := s.Limit.Take(ctx, "ciba:person:"+fmt.Sprintf("%x", person), personRate()); err != nil {
		return "", err
	}
	requestID := id.New()
	authReqID = secret.New().Reveal()
	body, err := json.Marshal(&req.DecoupledRequest)
	if err != nil {
		return "", err
	}
	var box []byte
	if req.NotificationToken != "" {
		plain, err := json.Marshal(&notification{AuthReqID: authReqID, Token: req.NotificationToken.Reveal()})
		if err != nil {
			return "", err
		}
		box = s.Keyring().Seal(place(requestID), plain)
	}
	err = postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockPerson, person); err != nil {
			return err
		}
		var pending int
		if err := tx.QueryRow(ctx, countPending, person, req.AskedAt).Scan(&pending); err != nil {
			return err
		}
		if pending >= maxPending {
			return limit.Exceeded(time.Minute)
		}
		_, err := tx.Exec(ctx, insertRequest, requestID, secret.Sum(authReqID), req.ClientID, user, person, body,
			req.BindingMessage, req.Factor, box, oidc.PollInterval, req.AskedAt.Add(req.Lifetime))
		if err != nil {
			return err
		}
		return s.Jobs.Insert(ctx, tx, Letter{Request: requestID}) // for nobody, too: it takes as long
	})
	return authReqID, err
}

func place(requestID id.ID) string { return "auth.ciba_requests/notification/" + requestID.String() }

// find returns whom a request is for, nil if it is nobody who could answer, and
// by what that person's requests are counted. An address that is not proven
// belongs to nobody.
func (s *Requests) find(ctx context.Context, req oidc.BackchannelRequest) (user *id.ID, person []byte, err error) {
	var known *oidc.User
	counted := "user:" + req.Person.String()
	if req.LoginHint != "" {
		address, err := s.Canonical(req.LoginHint)
		if err != nil {
			return nil, nil, err
		}
		counted = "address:" + address
		known, err = s.Users.ByEmail(ctx, address)
		if err == nil && !known.EmailVerified {
			known = nil
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, nil, err
		}
	} else if known, err = s.Users.User(ctx, req.Person); err != nil && !fault.Is(err, fault.NotFound) {
		return nil, nil, err
	}
	if known == nil || known.Disabled {
		return nil, secret.Sum(counted), nil
	}
	return &known.ID, secret.Sum("user:" + known.ID.String()), nil
}

// pending lists what waits for a person's answer, the newest first.
func (s *Requests) pending(ctx context.Context, user id.ID) ([]waiting, error) {
	rows, err := s.DB.Query(ctx, selectPending, user, s.Now())
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (one waiting, err error) {
		return one, row.Scan(&one.ID, &one.Request, &one.BindingMessage, &one.Factor, &one.ExpiresAt)
	})
	return all, postgres.Translate(err)
}

// Approve lets the client have what it asked for once tx has committed, in the name
// of the person who is signed in as login. What it gets is a session of its own: it does not end
// when that browser signs out. A request that is not waiting for this person is
// fault.NotFound.
func (s *Requests) Approve(ctx context.Context, tx pgx.Tx, requestID id.ID, login oidc.Login) error {
	person := login.Subject
	login.SID = rand.Text()
	return s.answer(ctx, tx, requestID, person, oidc.DecoupledApproved, &login)
}

// Deny refuses the client.
func (s *Requests) Deny(ctx context.Context, requestID, person id.ID) error {
	return postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		return s.answer(ctx, tx, requestID, person, oidc.DecoupledDenied, nil)
	})
}

// answer records the one answer that there may be, and has a client that wants
// it pinged, whatever it is (OpenID CIBA Core §10.2).
func (s *Requests) answer(ctx context.Context, tx pgx.Tx, requestID, person id.ID, state oidc.DecoupledState, login *oidc.Login) error {
	var ping bool
	err := tx.QueryRow(ctx, answerRequest, requestID, person, s.Now(), string(state), login).Scan(&ping)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.NotFound, "That request was answered already, or took too long.")
	}
	if err != nil || !ping {
		return err
	}
	return s.Jobs.Insert(ctx, tx, Ping{Request: requestID})
}

// Poll tells a client how far it is. DecoupledApproved comes once. Who polls
// before the interval is over has to wait five seconds longer from then on.
func (s *Requests) Poll(ctx context.Context, authReqID, clientID string) (answer oidc.DecoupledAnswer, err error) {
	now := s.Now()
	err = postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		var requestID id.ID
		var state oidc.DecoupledState
		var login *oidc.Login
		var answered, polled *time.Time
		var interval time.Duration
		err := tx.QueryRow(ctx, lockRequest, secret.Sum(authReqID), clientID).
			Scan(&requestID, &state, &answer.Request, &login, &answered, &polled, &interval, &answer.ExpiresAt)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && state == "used" {
			answer = oidc.DecoupledAnswer{State: oidc.DecoupledUnknown}
			return nil
		}
		if err != nil {
			return err
		}
		answer.State = state
		switch {
		case !now.Before(answer.ExpiresAt):
			answer.State = oidc.DecoupledExpired
			return nil
		case state == oidc.DecoupledApproved:
			answer.Login, answer.ApprovedAt = *login, *answered
			_, err = tx.Exec(ctx, spendRequest, requestID)
			return err
		case state != oidc.DecoupledPending:
			return nil
		case polled != nil && now.Sub(*polled) < interval-oidc.PollForgiven:
			answer.State, interval = oidc.DecoupledTooFast, min(interval+oidc.PollInterval, oidc.LongestPollInterval)
		}
		_, err = tx.Exec(ctx, notePoll, requestID, now, interval)
		return err
	})
	return answer, err
}

// Restore makes an approval good again whose tokens could not be given out.
func (s *Requests) Restore(ctx context.Context, authReqID string) error {
	_, err := s.DB.Exec(ctx, restoreRequest, secret.Sum(authReqID))
	return postgres.Translate(err)
}
