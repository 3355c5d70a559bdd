package mail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/link"
)

// Letter is a mail that is to be written: the arguments of its job.
type Letter struct {
	Template string            `json:"template"` // a name in templates/mail
	To       string            `json:"to"`
	Name     string            `json:"name,omitempty"` // of the person, "" before the address is proven
	Facts    map[string]string `json:"facts,omitempty"`
	// Language is a tag (BCP 47); "" is what the account of the address prefers.
	Language string `json:"language,omitempty"`
	Link     *Link  `json:"link,omitempty"`
	// Target is where the mail leads without a Link: an address that needs no
	// looking after here.
	Target string `json:"target,omitempty"`
}

// When writes a time for the facts of a letter.
func When(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }

// Link is where the mail leads.
type Link struct {
	Purpose string `json:"purpose"`
	Path    string `json:"path"`
	ID      id.ID  `json:"id"`
}

// Kind implements river.JobArgs.
func (Letter) Kind() string { return "mail" }

// Message is a mail as it goes out.
type Message struct {
	ID       string // the left part of the Message-ID, the same at each attempt
	At       time.Time
	To       string
	Name     string
	Subject  string
	Language string // of both texts, a tag (BCP 47)
	Text     string
	HTML     string
}

// Sender sends mail. An error that no repetition will mend is a *RefusedError.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// RefusedError says that the mail server wants neither this mail nor its like.
type RefusedError struct{ cause error }

func (e *RefusedError) Error() string { return "the mail was refused: " + e.cause.Error() }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *RefusedError) Unwrap() error { return e.cause }

// Links makes the addresses that letters name by id.
type Links interface {
	URL(path, purpose string, linkID id.ID) (string, error)
	Find(ctx context.Context, purpose string, linkID id.ID) (*link.Link, error)
}

// Postman delivers letters.
type Postman struct {
	Composer *Composer
	// Prefers, if not nil, knows the language of whoever has an address, "" if
	// nobody chose one.
	Prefers func(ctx context.Context, address string) (string, error)
	Links   Links
	Sender  Sender
}

// Deliver sends a letter for a job. One whose link is over by now is not worth
// sending.
func (p *Postman) Deliver(ctx context.Context, jobID int64, at time.Time, l Letter) error {
	target := l.Target
	if l.Link != nil {
		_, err := p.Links.Find(ctx, l.Link.Purpose, l.Link.ID)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if target, err = p.Links.URL(l.Link.Path, l.Link.Purpose, l.Link.ID); err != nil {
			return err
		}
	}
	if l.Language == "" && p.Prefers != nil {
		var err error
		if l.Language, err = p.Prefers(ctx, l.To); err != nil {
			return err
		}
	}
	m, err := p.Composer.compose(l, target)
	if err != nil {
		return river.JobCancel(err)
	}
	m.ID, m.At = fmt.Sprintf("%s-%d", at.UTC().Format("20060102T150405.000000Z"), jobID), at
	err = p.Sender.Send(ctx, m)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return river.JobCancel(refused)
	}
	return err
}

// Worker does the jobs that letters are.
type Worker struct {
	river.WorkerDefaults[Letter]
	Postman *Postman
}

// Work implements river.Worker.
func (w *Worker) Work(ctx context.Context, job *river.Job[Letter]) error {
	return w.Postman.Deliver(ctx, job.ID, job.CreatedAt, job.Args)
}
