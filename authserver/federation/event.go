package federation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	oidcclient "github.com/coreos/go-oidc/v3/oidc"
	"github.com/jackc/pgx/v5"

	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	// eventLife is how long after it was made an event is taken. That it was
	// acted on is remembered for longer, see the sweep.
	eventLife = 7 * 24 * time.Hour
	eventSkew = 5 * time.Minute // how far a provider's clock may be ahead
	maxEvents = 10              // in one token
)

// Effects of an event on an identity and on whoever signs in with it.
type effect int

const (
	effectNone     effect = iota // for the record only
	effectSignOut                // whatever the person is signed in to ends
	effectSuspend                // that, and the identity signs nobody in
	effectResume                 // it does so again
	effectDrop                   // signed out, and the identity goes
	effectRelayOff               // the forwarding address forwards nothing
	effectRelayOn
)

// effectOf is what an event does, by provider and the last part of its type.
func effectOf(provider, event string) effect {
	switch provider + " " + event {
	case "google sessions-revoked", "google tokens-revoked":
		return effectSignOut
	case "google account-disabled":
		return effectSuspend
	case "google account-enabled":
		return effectResume
	case "google account-purged", "apple consent-revoked", "apple account-delete", "apple account-deleted":
		return effectDrop
	case "apple email-disabled":
		return effectRelayOff
	case "apple email-enabled":
		return effectRelayOn
	}
	return effectNone
}

// event is one thing that a provider tells us of one of its accounts.
type event struct {
	id      string // of the token that it came in
	kind    string
	subject string // "" when it is about nobody
	reason  string
}

// claim is the mark of the delivery that acts on the event.
func (e event) claim() string { return e.id + " " + e.kind }

// errEvent says that an event is not to be believed. Its text may be told.
var errEvent = errors.New("the token is not one for us")

// believe verifies a token that carries events: signature, alg, iss, aud and
// age. Such tokens do not expire (RFC 8417 §2.2).
func (p *Provider) believe(ctx context.Context, raw string, now time.Time) (*oidcclient.IDToken, error) {
	verifier := oidcclient.NewVerifier(p.issuer, p.keys, &oidcclient.Config{
		ClientID: p.clientID, SupportedSigningAlgs: []string{oidcclient.RS256}, SkipIssuerCheck: true, SkipExpiryCheck: true, Now: p.now,
	})
	token, err := verifier.Verify(ctx, raw)
	switch {
	case fault.Is(err, fault.Unavailable):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errEvent, err)
	case !slices.Contains(p.issuers, token.Issuer):
		return nil, fmt.Errorf("%w: another issuer", errEvent)
	case token.IssuedAt.Before(now.Add(-eventLife)) || token.IssuedAt.After(now.Add(eventSkew)):
		return nil, fmt.Errorf("%w: too old, or not made yet", errEvent)
	}
	return token, nil
}

// securityEvents reads a security event token of Google's (RISC profile, RFC 8417).
func (p *Provider) securityEvents(ctx context.Context, raw string, now time.Time) ([]event, error) {
	token, err := p.believe(ctx, raw, now)
	if err != nil {
		return nil, err
	}
	var c struct {
		ID     string `json:"jti"`
		Events map[string]struct {
			Reason  string `json:"reason"`
			Subject struct {
				Issuer  string `json:"iss"`
				Subject string `json:"sub"`
			} `json:"subject"`
		} `json:"events"`
	}
	if err := token.Claims(&c); err != nil || c.ID == "" || len(c.ID) > maxSubject || len(c.Events) == 0 || len(c.Events) > maxEvents {
		return nil, fmt.Errorf("%w: no events, or no jti", errEvent)
	}
	var all []event
	for kind, said := range c.Events {
		e := event{id: c.ID, kind: lastPart(kind), subject: said.Subject.Subject, reason: said.Reason}
		if said.Subject.Issuer != "" && !slices.Contains(p.issuers, said.Subject.Issuer) {
			return nil, fmt.Errorf("%w: a subject of another issuer", errEvent)
		}
		all = append(all, e)
	}
	return all, nil
}

// notification reads what Apple's server sends ("Processing changes for Sign in
// with Apple accounts"): the event is JSON as text within the JSON.
func (p *Provider) notification(ctx context.Context, raw string, now time.Time) ([]event, error) {
	token, err := p.believe(ctx, raw, now)
	if err != nil {
		return nil, err
	}
	var c struct {
		ID     string `json:"jti"`
		Events string `json:"events"`
	}
	var said struct {
		Type    string `json:"type"`
		Subject string `json:"sub"`
	}
	if err := token.Claims(&c); err != nil || c.ID == "" || len(c.ID) > maxSubject {
		return nil, fmt.Errorf("%w: no events, or no jti", errEvent)
	}
	if err := json.Unmarshal([]byte(c.Events), &said); err != nil || said.Type == "" {
		return nil, fmt.Errorf("%w: no event", errEvent)
	}
	return []event{{id: c.ID, kind: said.Type, subject: said.Subject}}, nil
}

func lastPart(kind string) string {
	for i := len(kind) - 1; i >= 0; i-- {
		if kind[i] == '/' {
			return kind[i+1:]
		}
	}
	return kind
}

const selectSeen = `SELECT EXISTS (SELECT 1 FROM auth.federation_events WHERE issuer = $1 AND jti = $2)`

// act does what the events of one token say. That all of it was done is noted
// last: a provider that got no answer sends the token again. Of deliveries that
// overlap one changes the identity, audits and writes to the person; all sign out.
func (s *Identities) act(ctx context.Context, p *Provider, events []event) error {
	var seen bool
	if err := s.DB.QueryRow(ctx, selectSeen, p.issuer, events[0].id).Scan(&seen); err != nil {
		return postgres.Translate(err)
	}
	if seen {
		return nil
	}
	for _, e := range events {
		if err := s.actOn(ctx, p, e); err != nil {
			return err
		}
	}
	_, err := s.DB.Exec(ctx, insertEvent, p.issuer, events[0].id, s.Now(), nil)
	return postgres.Translate(err)
}

func (s *Identities) actOn(ctx context.Context, p *Provider, e event) error {
	if e.subject == "" {
		return nil
	}
	known, err := s.find(ctx, p.issuer, e.subject)
	if fault.Is(err, fault.NotFound) {
		return s.finish(ctx, p, e)
	}
	if err != nil {
		return err
	}
	what := effectOf(p.Name, e.kind)
	change := func(tx pgx.Tx) error { return s.apply(ctx, tx, p, e, what, known) }
	switch what {
	case effectSignOut, effectSuspend, effectDrop:
		err = s.Accounts.SignOut(ctx, known.UserID, "provider_"+e.kind, change)
	default:
		err = postgres.InTx(ctx, s.DB, change)
	}
	if fault.Is(err, fault.NotFound) {
		return nil // the account went meanwhile
	}
	return err
}

// finish signs out whom an earlier delivery of an event unlinked: the sessions
// end after the transaction, and may have stayed. Of somebody who is not here
// nothing was begun.
func (s *Identities) finish(ctx context.Context, p *Provider, e event) error {
	var user id.ID
	err := s.DB.QueryRow(ctx, selectBegun, p.issuer, e.claim()).Scan(&user)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return postgres.Translate(err)
	}
	return s.Accounts.SignOut(ctx, user, "provider_"+e.kind, func(pgx.Tx) error { return nil })
}

func (s *Identities) apply(ctx context.Context, tx pgx.Tx, p *Provider, e event, what effect, known *Identity) error {
	var hasPassword bool
	if err := tx.QueryRow(ctx, lockUser, known.UserID).Scan(&hasPassword); err != nil {
		return err
	}
	by, now := audit.Actor{Kind: "system", ID: p.Name}, s.Now()
	claimed, err := tx.Exec(ctx, insertEvent, p.issuer, e.claim(), now, known.UserID)
	if err != nil || claimed.RowsAffected() == 0 {
		return err // another delivery did it, and whoever is signed out may be signed out again
	}
	err = audit.Auth().Insert(ctx, tx, audit.Event{
		OccurredAt: now, Action: "identity.event", Result: audit.Success, Actor: by, Target: known.UserID.String(), Reason: e.kind,
		Details: map[string]any{"provider": p.Name, "identity": known.ID.String(), "because": bounded(e.reason)},
	})
	if err != nil {
		return err
	}
	switch what {
	case effectSignOut:
		return s.tell(ctx, tx, known.UserID, "You were signed out of Larder",
			p.Title+" told us that your sign-ins there were ended, so we signed you out of Larder everywhere too.")
	case effectSuspend:
		if _, err := tx.Exec(ctx, updateSuspended, known.ID, now); err != nil {
			return err
		}
		return s.tell(ctx, tx, known.UserID, "You cannot sign in with "+p.Title+" at present",
			p.Title+" told us that your account "+known.Email+" was disabled there. It does not sign in to Larder until "+p.Title+" enables it, and you are signed out everywhere.")
	case effectResume:
		_, err = tx.Exec(ctx, updateSuspended, known.ID, nil)
	case effectDrop:
		known.refreshToken = nil // the provider has ended it already
		return s.drop(ctx, tx, by, known, p.Title+" told us that your account "+known.Email+
			" there is not to sign in to Larder any more, so it was unlinked and you are signed out everywhere. "+wayIn(hasPassword))
	case effectRelayOff:
		_, err = tx.Exec(ctx, updateRelayOff, known.ID, now)
	case effectRelayOn:
		_, err = tx.Exec(ctx, updateRelayOff, known.ID, nil)
	case effectNone:
	}
	return err
}

func wayIn(hasPassword bool) string {
	if hasPassword {
		return "You can still sign in with your password."
	}
	return "To get in again, set a password: choose “Forgot your password?” on the sign-in page."
}
