package holder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"larder/internal/id"
	"larder/internal/jobs"
	"larder/internal/postgres"
)

const (
	scopeErase = "people:erase" // no client has it

	// attempts, the last of them an hour apart, are about six weeks. What is not
	// confirmed by then waits in the journal for an operator.
	attempts     = 1000
	longestPause = time.Hour
)

// Args are a person whom an API is to forget.
type Args struct {
	UserID   id.ID  `json:"user_id"`
	Resource string `json:"resource"`
}

// Kind names the job.
func (Args) Kind() string { return "erase_person" }

// InsertOpts keeps an API that is away from holding up the mail.
func (Args) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: jobs.Outbound, MaxAttempts: attempts}
}

// Sender posts to addresses that the operator set; outbound.Client does.
type Sender interface {
	Post(ctx context.Context, address string, header http.Header, body []byte) (status int, err error)
}

// Worker has the holders forget people.
type Worker struct {
	river.WorkerDefaults[Args]

	Journal *Journal
	Sender  Sender
	// Sign makes a short access token of our own for a resource.
	Sign func(ctx context.Context, resource, scope string) (string, error)
}

// NextRetry implements river.Worker: soon at first, hourly in the end.
func (w *Worker) NextRetry(job *river.Job[Args]) time.Time {
	n := time.Duration(min(job.Attempt, 60))
	return w.Journal.Now().Add(min(n*n*time.Second, longestPause))
}

// Work asks one API to forget one person, and notes that it did.
func (w *Worker) Work(ctx context.Context, job *river.Job[Args]) error {
	n := slices.IndexFunc(w.Journal.Holders, func(h Holder) bool { return h.Resource == job.Args.Resource })
	if n < 0 {
		return river.JobCancel(errors.New("the API is not configured any more"))
	}
	token, err := w.Sign(ctx, job.Args.Resource, scopeErase)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"user_id": job.Args.UserID.String()})
	if err != nil {
		return err
	}
	header := http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
	status, err := w.Sender.Post(ctx, w.Journal.Holders[n].Address+"/v1/erasures", header, body)
	if err != nil {
		return err
	}
	if status < http.StatusOK || status >= http.StatusMultipleChoices {
		return fmt.Errorf("%s answers an erasure with %d", job.Args.Resource, status)
	}
	_, err = w.Journal.DB.Exec(ctx, acknowledge, job.Args.UserID, job.Args.Resource)
	return postgres.Translate(err)
}
