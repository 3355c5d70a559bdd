package account

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/link"
	"larder/internal/mail"
	"larder/internal/secret"
)

// Jobs takes in what is to be done once a transaction has committed.
type Jobs interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// changeRow runs an update that must find its row, and audits it.
func (a *Accounts) changeRow(ctx context.Context, tx pgx.Tx, e audit.Event, update string, args ...any) error {
	tag, err := tx.Exec(ctx, update, args...)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return pgx.ErrNoRows
	}
	return audit.Auth().Insert(ctx, tx, e)
}

// tell writes to a person in the transaction of what they should know. Without
// jobs or an address nobody is told.
func (a *Accounts) tell(ctx context.Context, tx pgx.Tx, u *oidc.User, template string, facts map[string]string) error {
	if a.Jobs == nil || u.Email == "" {
		return nil
	}
	return a.Jobs.Insert(ctx, tx, mail.Letter{Template: template, To: u.Email, Name: u.Name, Facts: facts, Language: u.Locale()})
}

// Reset links.
const (
	ResetPurpose = "reset"
	ResetLife    = time.Hour
)

// Reset spends the token of a reset link on a new password. It also proves the
// address that the link was sent to, and ends whatever the old password let in:
// sessions, grants, access tokens and every other link of the account.
func (a *Accounts) Reset(ctx context.Context, token string, newPassword secret.String) error {
	found, err := a.Links.Look(ctx, ResetPurpose, token)
	if err != nil {
		return err
	}
	user, err := id.Parse(found.Subject)
	if err != nil {
		return err
	}
	_, err = a.setPassword(ctx, audit.Person(user), user, newPassword, func(tx pgx.Tx) error {
		if _, err := a.Links.Use(ctx, tx, ResetPurpose, token); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, verifyPrimary, user, a.Now())
		return err
	})
	return err
}

// setPassword changes the password after first has agreed in the same
// transaction, and returns when it was set.
func (a *Accounts) setPassword(ctx context.Context, by audit.Actor, user id.ID, newPassword secret.String, first func(pgx.Tx) error) (set time.Time, err error) {
	u, err := a.User(ctx, user)
	if err != nil {
		return set, err
	}
	hash, err := a.Hash(ctx, newPassword, u.Email, u.Name)
	if err != nil {
		return set, err
	}
	now := a.Now()
	return now, a.SignOut(ctx, user, "password_changed", func(tx pgx.Tx) error {
		if err := first(tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, upsertPassword, user, hash, now); err != nil {
			return err
		}
		if err := link.DropAll(ctx, tx, user.String()); err != nil {
			return err
		}
		if err := a.tell(ctx, tx, u, "password_changed", map[string]string{"when": mail.When(now)}); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{OccurredAt: now, Action: "password.changed", Result: audit.Success, Actor: by, Target: user.String()})
	})
}

// Hash checks a new password against every rule and hashes it. about is what
// the person is called. It fails with fault.Invalid and a message for them.
func (a *Accounts) Hash(ctx context.Context, newPassword secret.String, about ...string) (string, error) {
	for i, word := range about {
		if canonical, err := Canonical(word); err == nil && strings.Contains(word, "@") {
			about[i] = canonical
		}
	}
	if err := a.Policy.Check(ctx, newPassword.Reveal(), about...); err != nil {
		return "", err
	}
	return a.Hasher.Hash(ctx, newPassword.Reveal())
}

// CheckIdentity reports, as fault.Invalid, whether a name and an address could
// be an account's, and returns the address by which identity is decided.
func (*Accounts) CheckIdentity(name, address string) (canonical string, err error) {
	if _, err := cleanName(name); err != nil {
		return "", err
	}
	return Canonical(address)
}

// Register makes the account of somebody who has proven the address, in the
// transaction that spends the proof, with a password that Hash has seen.
// language is the tag of the one in which they registered.
func (a *Accounts) Register(ctx context.Context, tx pgx.Tx, name, address, hash, language string) (id.ID, error) {
	n := NewUser{Name: name, Email: address, EmailVerified: true, Profile: map[string]any{}}
	if language != "" {
		n.Profile["locale"] = language
	}
	return a.CreateIn(ctx, tx, audit.Actor{Kind: "anonymous", ID: "registration"}, n, hash)
}
