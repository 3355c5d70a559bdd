package forgot

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/link"
	"larder/internal/mail"
	"larder/internal/postgres"
)

const path = "/forgot"

// Request is the job of somebody who says that they forgot a password.
type Request struct {
	Address string `json:"address"` // canonical
	Flow    string `json:"flow,omitempty"`
	// Language is the tag of the one in which somebody asked.
	Language string `json:"language,omitempty"`
}

// Kind implements river.JobArgs.
func (Request) Kind() string { return "forgot" }

// Waiting is what a reset link remembers: the authorization request that waits.
type Waiting struct {
	Flow string `json:"flow,omitempty"`
}

// Users knows who has an address.
type Users interface {
	ByEmail(ctx context.Context, address string) (*oidc.User, error)
}

// Jobs takes in what is to be done once a transaction has committed.
type Jobs interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// Worker does the jobs of requests.
type Worker struct {
	river.WorkerDefaults[Request]
	DB    *pgxpool.Pool
	Links *link.Links
	Users Users
	Jobs  Jobs
	Reset Reset
}

// Work implements river.Worker. The link, its mail and the end of the job are
// one transaction, so that a repetition sends nothing twice.
func (w *Worker) Work(ctx context.Context, job *river.Job[Request]) error {
	u, err := w.Users.ByEmail(ctx, job.Args.Address)
	if fault.Is(err, fault.NotFound) || err == nil && u.Disabled {
		return nil
	}
	if err != nil {
		return err
	}
	return postgres.InTx(ctx, w.DB, func(tx pgx.Tx) error {
		linkID, err := w.Links.Issue(ctx, tx, link.New{
			Purpose: w.Reset.Purpose, Subject: u.ID.String(), Data: Waiting{job.Args.Flow}, Life: w.Reset.Life,
		})
		if err != nil {
			return err
		}
		letter := mail.Letter{Template: "reset", To: u.Email, Name: u.Name, Language: cmp.Or(u.Locale(), job.Args.Language), Link: &mail.Link{Purpose: w.Reset.Purpose, Path: path, ID: linkID}}
		if err := w.Jobs.Insert(ctx, tx, letter); err != nil {
			return err
		}
		_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
}
