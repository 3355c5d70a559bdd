package ciba

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/jobs"
	"larder/internal/mail"
	"larder/internal/postgres"
)

// pings are tried for six minutes: a request lives ten, usually, and a client
// that was not reached may ask by itself.
const pings = 5

// Letter tells a person that a request waits.
type Letter struct {
	Request id.ID `json:"request"`
}

// Kind implements river.JobArgs.
func (Letter) Kind() string { return "ciba_letter" }

// Post sends mail.
type Post interface {
	Deliver(ctx context.Context, jobID int64, at time.Time, l mail.Letter) error
}

// LetterWorker writes the letters.
type LetterWorker struct {
	river.WorkerDefaults[Letter]

	Requests *Requests
	Issuer   string
	Post     Post
}

// Work implements river.Worker. What was answered meanwhile, or is for nobody, is
// not worth a letter. Nothing in it comes from the client, or anybody with one
// could write to people under our name.
func (w *LetterWorker) Work(ctx context.Context, job *river.Job[Letter]) error {
	l := mail.Letter{Template: "request_waiting", Facts: map[string]string{"page": w.Issuer + pagePath}}
	err := w.Requests.DB.QueryRow(ctx, selectReader, job.Args.Request, w.Requests.Now()).Scan(&l.Name, &l.To, &l.Language)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return postgres.Translate(err)
	}
	return w.Post.Deliver(ctx, job.ID, job.CreatedAt, l)
}

// Ping tells a client that its request was answered.
type Ping struct {
	Request id.ID `json:"request"`
}

// Kind implements river.JobArgs.
func (Ping) Kind() string { return "ciba_ping" }

// InsertOpts keeps slow clients from holding up the mail.
func (Ping) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: jobs.Outbound, MaxAttempts: pings}
}

// Clients knows who asks; an unknown or disabled one is fault.NotFound.
type Clients interface {
	Client(ctx context.Context, clientID string) (*oidc.Client, error)
}

// Sender sends to addresses that clients chose; outbound.Client does.
type Sender interface {
	Post(ctx context.Context, address string, header http.Header, body []byte) (status int, err error)
}

// PingWorker pings.
type PingWorker struct {
	river.WorkerDefaults[Ping]

	Requests *Requests
	Clients  Clients
	Sender   Sender
}

// Work implements river.Worker. A client that is gone, or that has its tokens by
// now, is told nothing.
func (w *PingWorker) Work(ctx context.Context, job *river.Job[Ping]) error {
	s, requestID := w.Requests, job.Args.Request
	var clientID string
	var box []byte
	err := s.DB.QueryRow(ctx, selectNotification, requestID, s.Now()).Scan(&clientID, &box)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return postgres.Translate(err)
	}
	client, err := w.Clients.Client(ctx, clientID)
	if fault.Is(err, fault.NotFound) || err == nil && client.Metadata.BackchannelNotificationEndpoint == "" {
		return nil
	}
	if err == nil {
		err = w.ping(ctx, client, requestID, box)
	}
	if err != nil && job.Attempt >= job.MaxAttempts {
		return audit.Auth().Insert(ctx, s.DB, audit.Event{
			OccurredAt: s.Now(), Action: "ciba.not_pinged", Result: audit.Failure, Actor: audit.Actor{Kind: "system", ID: "ciba"},
			ClientID: clientID, Target: requestID.String(), Reason: err.Error(),
		})
	}
	return err
}

// ping is OpenID CIBA Core §10.2.
func (w *PingWorker) ping(ctx context.Context, client *oidc.Client, requestID id.ID, box []byte) error {
	plain, err := w.Requests.Keyring().Open(place(requestID), box)
	if err != nil {
		return err
	}
	var n notification
	if err := json.Unmarshal(plain, &n); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"auth_req_id": n.AuthReqID})
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + n.Token}}
	status, err := w.Sender.Post(ctx, client.Metadata.BackchannelNotificationEndpoint, header, body)
	if err != nil {
		return err
	}
	if status != http.StatusOK && status != http.StatusNoContent {
		return fmt.Errorf("client %s answers a ping with %d", client.ID, status)
	}
	return nil
}
