package onetime

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/language"
	"larder/internal/mail"
	"larder/internal/postgres"
	"larder/internal/sms"
)

// Job delivers a code.
type Job struct {
	Code id.ID `json:"code"`
}

// Kind implements river.JobArgs.
func (Job) Kind() string { return "one_time_code" }

// Post sends mail.
type Post interface {
	Deliver(ctx context.Context, jobID int64, at time.Time, l mail.Letter) error
}

// Texts sends text messages.
type Texts interface {
	Send(ctx context.Context, m sms.Message) error
}

// Worker does the jobs that codes are.
type Worker struct {
	river.WorkerDefaults[Job]
	Codes  *Codes
	Issuer string
	Post   Post
	Texts  Texts // nil without a way to send them

	Languages *language.Catalogue
}

// Work implements river.Worker. The code is made here, for a row that is still
// in force: one that was replaced or is old is not worth sending.
func (w *Worker) Work(ctx context.Context, job *river.Job[Job]) error {
	var channel, target, name, locale string
	err := w.Codes.DB.QueryRow(ctx, selectCode, job.Args.Code, w.Codes.Now()).Scan(&channel, &target, &name, &locale)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return postgres.Translate(err)
	}
	keys := w.Codes.MACKeys()
	if len(keys) == 0 {
		return fault.New(fault.Unavailable, "The keys are not there yet.")
	}
	code := codeOf(keys[0], job.Args.Code)
	if channel == "email" {
		return w.Post.Deliver(ctx, job.ID, job.CreatedAt, mail.Letter{Template: "code", To: target, Name: name, Language: locale, Facts: map[string]string{"code": code}})
	}
	if w.Texts == nil {
		return errors.New("no way to send text messages is configured")
	}
	spoken, _ := w.Languages.Match(locale)
	err = w.Texts.Send(ctx, sms.Message{
		ID: fmt.Sprintf("%s-%d", job.CreatedAt.UTC().Format("20060102T150405.000000Z"), job.ID), To: target, Text: text(spoken, w.Issuer, code),
	})
	if refused, ok := errors.AsType[*sms.RefusedError](err); ok {
		return river.JobCancel(refused)
	}
	return err
}

// text ends with the line by which browsers fill a code in at our own origin
// only (WICG Origin-bound one-time codes delivered via SMS).
func text(l *language.Language, issuer, code string) string {
	host := issuer
	if u, err := url.Parse(issuer); err == nil {
		host = u.Hostname()
	}
	return l.Say(code+" is your Larder code. It is good for 10 minutes. Nobody from Larder will ever ask you for it.") + "\n\n@" + host + " #" + code
}
