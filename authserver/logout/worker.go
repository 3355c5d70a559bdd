package logout

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/riverqueue/river"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/jobs"
)

// attempts are spread over about an hour and a half, see package jobs.
const attempts = 8

// Args are a client that is to be told, of which session of whom.
type Args struct {
	ClientID string `json:"client_id"`
	SID      string `json:"sid"`
	Subject  id.ID  `json:"sub"`
}

// Kind names the job.
func (Args) Kind() string { return "backchannel_logout" }

// InsertOpts keeps slow clients from holding up the mail.
func (Args) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: jobs.Outbound, MaxAttempts: attempts}
}

// Clients finds registered clients; an unknown or disabled one is
// fault.NotFound.
type Clients interface {
	Client(ctx context.Context, clientID string) (*oidc.Client, error)
}

// Tokens makes logout tokens.
type Tokens interface {
	LogoutToken(ctx context.Context, client *oidc.Client, person id.ID, sid string) (string, error)
}

// Sender sends to addresses that clients chose; outbound.Client does.
type Sender interface {
	Post(ctx context.Context, address string, header http.Header, body []byte) (status int, err error)
}

// Worker sends logout tokens.
type Worker struct {
	river.WorkerDefaults[Args]

	Clients Clients
	Tokens  Tokens
	Sender  Sender
	Audit   audit.Execer
	Now     func() time.Time
}

// Work tells one client. One that is gone by now, or does not want to hear of
// it any more, is not told.
func (w *Worker) Work(ctx context.Context, job *river.Job[Args]) error {
	client, err := w.Clients.Client(ctx, job.Args.ClientID)
	if fault.Is(err, fault.NotFound) || err == nil && client.Metadata.BackchannelLogoutURI == "" {
		return nil
	}
	if err == nil {
		err = w.tell(ctx, client, job.Args)
	}
	if err != nil && job.Attempt >= job.MaxAttempts {
		return w.giveUp(ctx, job.Args, err)
	}
	return err
}

func (w *Worker) tell(ctx context.Context, client *oidc.Client, args Args) error {
	token, err := w.Tokens.LogoutToken(ctx, client, args.Subject, args.SID)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"*/*"}}
	status, err := w.Sender.Post(ctx, client.Metadata.BackchannelLogoutURI, header, []byte(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return err
	}
	// §2.8 has 200 for success; frameworks also answer 204.
	if status < http.StatusOK || status >= http.StatusMultipleChoices {
		return fmt.Errorf("client %s answers a logout token with %d", client.ID, status)
	}
	return nil
}

// giveUp leaves the failure where operators look; the job is over with it.
func (w *Worker) giveUp(ctx context.Context, args Args, cause error) error {
	return audit.Auth().Insert(ctx, w.Audit, audit.Event{
		OccurredAt: w.Now(), Action: "logout.undelivered", Result: audit.Failure, Actor: audit.Actor{Kind: "system", ID: "logout"},
		ClientID: args.ClientID, Target: args.SID, Reason: cause.Error(), Details: map[string]any{"user": args.Subject.String()},
	})
}
