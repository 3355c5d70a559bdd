package account

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/link"
	"larder/internal/mail"
	"larder/internal/postgres"
)

const (
	emailPurpose = "email"
	emailLife    = 24 * time.Hour
	emailPath    = "/account/email"
)

// EmailChange is the job of a person who asked for another address. Whether
// that address has an account already is found out here, out of sight: the page
// answers the same.
type EmailChange struct {
	User    id.ID  `json:"user"`
	Address string `json:"address"`
	// Language is the tag of the one in which they asked.
	Language string `json:"language,omitempty"`
}

// Kind implements river.JobArgs.
func (EmailChange) Kind() string { return "email_change" }

// newEmail is what an email link says.
type newEmail struct {
	Address string `json:"address"`
}

// RequestEmail begins a change of address, which happens when somebody opens
// the link that is mailed to the new one, in their language or else in the one
// in which they ask. It fails with fault.Invalid on what is no address.
func (a *Accounts) RequestEmail(ctx context.Context, by audit.Actor, user id.ID, address, language string) error {
	if _, err := Canonical(address); err != nil {
		return err
	}
	return postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
		if err := a.Jobs.Insert(ctx, tx, EmailChange{User: user, Address: strings.TrimSpace(address), Language: language}); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{OccurredAt: a.Now(), Action: "email.change_requested", Result: audit.Success, Actor: by, Target: user.String()})
	})
}

// EmailChangeWorker does the jobs of RequestEmail.
type EmailChangeWorker struct {
	river.WorkerDefaults[EmailChange]
	Accounts *Accounts
}

// Work implements river.Worker.
func (w *EmailChangeWorker) Work(ctx context.Context, job *river.Job[EmailChange]) error {
	a := w.Accounts
	u, err := a.User(ctx, job.Args.User)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, err := a.ByEmail(ctx, job.Args.Address)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
		if owner != nil && owner.ID != u.ID {
			err = a.Jobs.Insert(ctx, tx, mail.Letter{Template: "email_taken", To: owner.Email, Name: owner.Name})
		} else {
			err = a.mailEmailLink(ctx, tx, u, job.Args)
		}
		if err != nil {
			return err
		}
		_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job) // a repetition sends nothing twice
		return err
	})
}

// mailEmailLink writes to the new address with the link, and to the old one
// with the news.
func (a *Accounts) mailEmailLink(ctx context.Context, tx pgx.Tx, u *oidc.User, to EmailChange) error {
	linkID, err := a.Links.Issue(ctx, tx, link.New{
		Purpose: emailPurpose, Subject: u.ID.String(), Data: newEmail{to.Address}, Life: emailLife,
	})
	if err != nil {
		return err
	}
	if u.EmailVerified && !sameAddress(u.Email, to.Address) {
		if err := a.tell(ctx, tx, u, "email_changing", map[string]string{"when": mail.When(a.Now()), "new": to.Address}); err != nil {
			return err
		}
	}
	return a.Jobs.Insert(ctx, tx, mail.Letter{
		Template: "email_confirm", To: to.Address, Language: cmp.Or(u.Locale(), to.Language), Link: &mail.Link{Purpose: emailPurpose, Path: emailPath, ID: linkID},
	})
}

// PendingEmail returns the address that an email link is about.
func (a *Accounts) PendingEmail(ctx context.Context, token string) (string, error) {
	found, err := a.Links.Look(ctx, emailPurpose, token)
	if err != nil {
		return "", err
	}
	var to newEmail
	return to.Address, found.Into(&to)
}

// ConfirmEmail spends the token of an email link: its address becomes the
// account's only one, and the account's other links die. The old address is
// told. It fails with fault.Conflict when the address was taken meanwhile.
func (a *Accounts) ConfirmEmail(ctx context.Context, token string) error {
	now := a.Now()
	return postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
		found, err := a.Links.Use(ctx, tx, emailPurpose, token)
		if err != nil {
			return err
		}
		var to newEmail
		if err := found.Into(&to); err != nil {
			return err
		}
		user, err := id.Parse(found.Subject)
		if err != nil {
			return err
		}
		u, err := oneUser(ctx, tx, selectUser, user)
		if err != nil {
			return err
		}
		if err := a.replaceEmail(ctx, tx, u, to.Address, now); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{OccurredAt: now, Action: "email.changed", Result: audit.Success, Actor: audit.Person(user), Target: user.String()})
	})
}

func (a *Accounts) replaceEmail(ctx context.Context, tx pgx.Tx, u *oidc.User, address string, now time.Time) error {
	canonical, err := Canonical(address)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, deleteEmails, u.ID); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, insertEmail, canonical, u.ID, address, now)
	if fault.Is(postgres.Translate(err), fault.Conflict) {
		return fault.Wrap(fault.Conflict, "This e-mail address has an account already.", err).WithCode("email_taken")
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, touchUser, u.ID, now); err != nil {
		return err
	}
	if err := link.DropAll(ctx, tx, u.ID.String()); err != nil {
		return err
	}
	if sameAddress(u.Email, address) {
		return nil
	}
	return a.tell(ctx, tx, u, "email_changed", map[string]string{"when": mail.When(now), "new": address})
}

func sameAddress(a, b string) bool {
	first, err := Canonical(a)
	if err != nil {
		return false
	}
	second, err := Canonical(b)
	return err == nil && first == second
}
