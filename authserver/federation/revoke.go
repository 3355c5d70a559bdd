package federation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"larder/internal/id"
)

// RevokeJob takes a refresh token back that lies sealed in it: the row it comes
// from is gone by then.
type RevokeJob struct {
	Provider string `json:"provider"`
	Identity id.ID  `json:"identity"`
	Token    []byte `json:"token"`
}

// Kind implements river.JobArgs.
func (RevokeJob) Kind() string { return "federation_revoke" }

func (s *Identities) leaveRevocation(ctx context.Context, tx pgx.Tx, gone *Identity) error {
	if len(gone.refreshToken) == 0 || s.Jobs == nil {
		return nil
	}
	return s.Jobs.Insert(ctx, tx, RevokeJob{Provider: gone.Provider, Identity: gone.ID, Token: gone.refreshToken})
}

// Leaving is told of an account that is about to be deleted, in the transaction
// that deletes it. Apple wants to hear of it (its note TN3194).
func (s *Identities) Leaving(ctx context.Context, tx pgx.Tx, user id.ID) error {
	all, err := list(ctx, tx, user)
	if err != nil {
		return err
	}
	for i := range all {
		if err := s.leaveRevocation(ctx, tx, &all[i]); err != nil {
			return err
		}
	}
	return nil
}

// RevokeWorker does the jobs.
type RevokeWorker struct {
	river.WorkerDefaults[RevokeJob]
	Identities *Identities
}

// Work implements river.Worker.
func (w *RevokeWorker) Work(ctx context.Context, job *river.Job[RevokeJob]) error {
	p := w.Identities.provider(job.Args.Provider)
	if p == nil || p.revokeURL == "" {
		return river.JobCancel(errors.New("the provider is not configured any more"))
	}
	token, err := w.Identities.Keyring().Open(tokenPlace(job.Args.Identity), job.Args.Token)
	if err != nil {
		return err
	}
	clientSecret, err := p.secret()
	if err != nil {
		return err
	}
	form := url.Values{
		"client_id": {p.clientID}, "client_secret": {clientSecret.Reveal()}, "token": {string(token)}, "token_type_hint": {"refresh_token"},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.revokeURL, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := p.client.Do(r)
	if err != nil {
		return withoutURL(err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusBadRequest: // the token is gone already, or not Apple's
		return river.JobCancel(fmt.Errorf("%s refused to take a token back: %s", p.Title, answer.Status))
	}
	return fmt.Errorf("%s: %s", p.Title, answer.Status)
}
