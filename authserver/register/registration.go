package register

import (
	"cmp"
	"context"
	"encoding/hex"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/link"
	"larder/internal/mail"
	"larder/internal/postgres"
	"larder/internal/secret"
)

const (
	purpose = "register"
	path    = "/register"
	life    = 24 * time.Hour
)

// Accounts makes and knows accounts.
type Accounts interface {
	CheckIdentity(name, address string) (canonical string, err error)
	Hash(ctx context.Context, newPassword secret.String, about ...string) (string, error)
	Register(ctx context.Context, tx pgx.Tx, name, address, hash, language string) (id.ID, error)
}

// Users knows who has an address.
type Users interface {
	ByEmail(ctx context.Context, address string) (*oidc.User, error)
}

// Jobs takes in what is to be done once a transaction has committed.
type Jobs interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// Registrations keeps what was registered and is not verified yet. It lies in
// the link that verifies it.
type Registrations struct {
	DB       *pgxpool.Pool
	Accounts Accounts
	Links    *link.Links
	Jobs     Jobs
}

// Registration is what somebody asked for.
type Registration struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Hash    string `json:"hash"`           // of the password
	Flow    string `json:"flow,omitempty"` // the authorization request that waits
	// Language is the tag of the one in which they registered, and in which the
	// account is spoken to.
	Language string `json:"language,omitempty"`
}

// MailJob sends the mail of a registration.
type MailJob struct {
	Link id.ID `json:"link"`
}

// Kind implements river.JobArgs.
func (MailJob) Kind() string { return "register_mail" }

// Begin notes a registration from a device and has its mail sent. The link that
// the device got before for this address dies. It fails with fault.Invalid on a
// name, address or password that is not acceptable.
func (s *Registrations) Begin(ctx context.Context, device string, r Registration, password secret.String) (id.ID, error) {
	canonical, err := s.Accounts.CheckIdentity(r.Name, r.Address)
	if err != nil {
		return id.ID{}, err
	}
	if r.Hash, err = s.Accounts.Hash(ctx, password, r.Address, r.Name); err != nil {
		return id.ID{}, err
	}
	var linkID id.ID
	err = postgres.InTx(ctx, s.DB, func(tx pgx.Tx) (err error) {
		// Two people who register with one address do not overwrite each other.
		subject := "registration:" + hex.EncodeToString(secret.Sum(canonical + "\n" + device)[:16])
		linkID, err = s.Links.Issue(ctx, tx, link.New{Purpose: purpose, Subject: subject, Data: r, Life: life})
		if err != nil {
			return err
		}
		return s.Jobs.Insert(ctx, tx, MailJob{Link: linkID})
	})
	return linkID, err
}

// Resend replaces the link of a registration and mails the new one. A
// registration that is not there any more is fault.NotFound.
func (s *Registrations) Resend(ctx context.Context, old id.ID) (fresh id.ID, err error) {
	err = postgres.InTx(ctx, s.DB, func(tx pgx.Tx) (err error) {
		if fresh, err = s.Links.Renew(ctx, tx, purpose, old, life); err != nil {
			return err
		}
		return s.Jobs.Insert(ctx, tx, MailJob{Link: fresh})
	})
	return fresh, err
}

// Waiting returns a registration whose link is in force, by the link's id.
func (s *Registrations) Waiting(ctx context.Context, linkID id.ID) (Registration, error) {
	found, err := s.Links.Find(ctx, purpose, linkID)
	if err != nil {
		return Registration{}, err
	}
	var r Registration
	return r, found.Into(&r)
}

// Look returns what a token is about.
func (s *Registrations) Look(ctx context.Context, token string) (Registration, error) {
	found, err := s.Links.Look(ctx, purpose, token)
	if err != nil {
		return Registration{}, err
	}
	var r Registration
	return r, found.Into(&r)
}

// Verify spends a token: the account comes into being, its address verified. It
// fails with fault.NotFound when the link is over, and with fault.Conflict when
// the address got an account meanwhile.
func (s *Registrations) Verify(ctx context.Context, token string) (Registration, error) {
	var r Registration
	err := postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		found, err := s.Links.Use(ctx, tx, purpose, token)
		if err != nil {
			return err
		}
		if err := found.Into(&r); err != nil {
			return err
		}
		_, err = s.Accounts.Register(ctx, tx, r.Name, r.Address, r.Hash, r.Language)
		return err
	})
	return r, err
}

// Post sends mail.
type Post interface {
	Deliver(ctx context.Context, jobID int64, at time.Time, l mail.Letter) error
}

// Worker does the jobs of registrations.
type Worker struct {
	river.WorkerDefaults[MailJob]
	Registrations *Registrations
	Users         Users
	Post          Post
}

// Work implements river.Worker. Nothing that the stranger typed is repeated to
// the owner of the address, not even the name.
func (w *Worker) Work(ctx context.Context, job *river.Job[MailJob]) error {
	r, err := w.Registrations.Waiting(ctx, job.Args.Link)
	if fault.Is(err, fault.NotFound) {
		return nil // used, replaced or old: its mail is of no use
	}
	if err != nil {
		return err
	}
	letter := mail.Letter{Template: "register", To: r.Address, Language: r.Language, Link: &mail.Link{Purpose: purpose, Path: path, ID: job.Args.Link}}
	owner, err := w.Users.ByEmail(ctx, r.Address)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if owner != nil {
		letter = mail.Letter{Template: "register_taken", To: owner.Email, Name: owner.Name, Language: cmp.Or(owner.Locale(), r.Language)}
	}
	return w.Post.Deliver(ctx, job.ID, job.CreatedAt, letter)
}
