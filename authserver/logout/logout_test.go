package logout_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"larder/authserver/logout"
	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/jobs"
	"larder/internal/pgtest"
	"larder/internal/postgres"
)

// bundle is Notices on a real database. The clients' servers, the keys and the
// register of clients are stand-ins; a whole server tells a real relying party
// in tests/rp.
type bundle struct {
	db      *pgtest.DB
	notices *logout.Notices
	worker  *logout.Worker
	now     time.Time

	mu      sync.Mutex
	clients map[string]oidc.Metadata
	answers []int // of the next requests; 200 when there are no more
	sent    []sent
}

type sent struct{ address, contentType, token string }

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{db: pgtest.New(t), now: time.Now(), clients: map[string]oidc.Metadata{}}
	queue, err := jobs.NewQueue(b.db.Auth, "auth", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.notices = &logout.Notices{DB: b.db.Auth, Jobs: queue}
	b.worker = &logout.Worker{Clients: b, Tokens: b, Sender: b, Audit: b.db.Auth, Now: func() time.Time { return b.now }}
	return b
}

func (b *bundle) Client(_ context.Context, clientID string) (*oidc.Client, error) {
	m, ok := b.clients[clientID]
	if !ok {
		return nil, fault.New(fault.NotFound, "no such client")
	}
	return &oidc.Client{ID: clientID, Metadata: m}, nil
}

func (b *bundle) LogoutToken(_ context.Context, client *oidc.Client, person id.ID, sid string) (string, error) {
	return rand.Text() + " " + client.ID + " " + person.String() + " " + sid, nil
}

func (b *bundle) Post(_ context.Context, address string, header http.Header, body []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form) != 1 {
		return 0, errors.New("not a form with logout_token alone")
	}
	b.sent = append(b.sent, sent{address, header.Get("Content-Type"), form.Get("logout_token")})
	if len(b.answers) == 0 {
		return http.StatusOK, nil
	}
	status := b.answers[0]
	b.answers = b.answers[1:]
	return status, nil
}

func (b *bundle) told() []sent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sent)
}

// takePart has a client take part in a session.
func (b *bundle) takePart(t *testing.T, sid string, user id.ID, clientID string, m oidc.Metadata) {
	t.Helper()
	b.clients[clientID] = m
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO auth.clients (id, metadata) VALUES ($1, '{}') ON CONFLICT DO NOTHING`, []any{clientID}},
		{`INSERT INTO auth.session_clients (sid, client_id, user_id, expires_at) VALUES ($1, $2, $3, now() + interval '1 day')`, []any{sid, clientID, user}},
	} {
		if _, err := b.db.Owner.Exec(t.Context(), statement.sql, statement.args...); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bundle) end(t *testing.T, sid string) (clients []string) {
	t.Helper()
	err := postgres.InTx(t.Context(), b.db.Auth, func(tx pgx.Tx) (err error) {
		clients, err = b.notices.SessionEnded(t.Context(), tx, sid)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(clients)
	return clients
}

func (b *bundle) queued(t *testing.T) (n int) {
	t.Helper()
	if err := b.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.river_job WHERE kind = 'backchannel_logout'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A job outlives the process that made it, and what failed is tried again.
func TestTheClientsOfASessionAreToldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	user := id.New()
	b.takePart(t, "sid-1", user, "web", oidc.Metadata{BackchannelLogoutURI: "https://web.test/bye"})
	b.takePart(t, "sid-1", user, "rsa", oidc.Metadata{BackchannelLogoutURI: "https://rsa.test/bye"})
	b.takePart(t, "sid-1", user, "front", oidc.Metadata{FrontchannelLogoutURI: "https://front.test/bye"})
	b.takePart(t, "sid-2", user, "web", oidc.Metadata{BackchannelLogoutURI: "https://web.test/bye"})
	if got := b.end(t, "sid-1"); !slices.Equal(got, []string{"front", "rsa", "web"}) {
		t.Fatalf("told: %v", got)
	}
	if got := b.end(t, "sid-1"); len(got) != 0 || b.queued(t) != 3 {
		t.Fatalf("told a second time: %v, %d jobs", got, b.queued(t))
	}
	refused := errors.New("no")
	err := postgres.InTx(t.Context(), b.db.Auth, func(tx pgx.Tx) error {
		_, err := b.notices.SessionEnded(t.Context(), tx, "sid-2")
		return errors.Join(err, refused)
	})
	if !errors.Is(err, refused) || b.queued(t) != 3 {
		t.Fatalf("a change that was taken back left %d jobs: %v", b.queued(t), err)
	}

	b.answers = []int{http.StatusInternalServerError}
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, b.worker); err != nil {
		t.Fatal(err)
	}
	crew, err := jobs.NewCrew(b.db.Auth, "auth", workers, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { crew.Run(ctx) })
	defer running.Wait()
	defer stop()
	for deadline := time.Now().Add(2 * time.Minute); len(b.told()) < 3; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("sent: %v", b.told())
		}
	}
	tokens, to := map[string]bool{}, map[string]bool{}
	for _, s := range b.told() {
		nonce, says, _ := strings.Cut(s.token, " ")
		tokens[nonce], to[s.address+" "+says] = true, true
		if s.contentType != "application/x-www-form-urlencoded" {
			t.Errorf("sent as %s", s.contentType)
		}
	}
	if len(tokens) != 3 || len(to) != 2 || !to["https://web.test/bye web "+user.String()+" sid-1"] || !to["https://rsa.test/bye rsa "+user.String()+" sid-1"] {
		t.Errorf("each attempt a token of its own: %v; to %v", tokens, to)
	}
}

func TestEverySessionOfAPersonEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	user, other := id.New(), id.New()
	m := oidc.Metadata{BackchannelLogoutURI: "https://web.test/bye"}
	b.takePart(t, "sid-1", user, "web", m)
	b.takePart(t, "sid-2", user, "web", m)
	b.takePart(t, "sid-3", other, "web", m)
	if err := b.notices.UserEnded(t.Context(), user); err != nil || b.queued(t) != 2 {
		t.Errorf("%d jobs, %v", b.queued(t), err)
	}
	if got := b.end(t, "sid-3"); len(got) != 1 {
		t.Errorf("somebody else's session: %v", got)
	}
}

func TestAClientThatIsNotReachedIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clients["web"] = oidc.Metadata{BackchannelLogoutURI: "https://web.test/bye"}
	b.clients["quiet"] = oidc.Metadata{}
	work := func(clientID string, attempt, answer int) error {
		b.answers = []int{answer}
		return b.worker.Work(t.Context(), &river.Job[logout.Args]{
			JobRow: &rivertype.JobRow{Attempt: attempt, MaxAttempts: 8}, Args: logout.Args{ClientID: clientID, SID: "sid-1", Subject: id.New()},
		})
	}
	for name, c := range map[string]struct {
		client          string
		attempt, answer int
		again           bool
	}{
		"refused":              {"web", 1, http.StatusBadRequest, true},
		"a redirect":           {"web", 7, http.StatusFound, true},
		"no content":           {"web", 1, http.StatusNoContent, false},
		"the last time":        {"web", 8, http.StatusBadGateway, false},
		"a client that left":   {"gone", 1, http.StatusBadGateway, false},
		"a client without URI": {"quiet", 1, http.StatusBadGateway, false},
	} {
		if err := work(c.client, c.attempt, c.answer); (err != nil) != c.again {
			t.Errorf("%s: %v", name, err)
		}
	}
	var clients []string
	if err := b.db.Owner.QueryRow(t.Context(), `SELECT array_agg(client_id) FROM auth.audit_events WHERE action = 'logout.undelivered' AND target = 'sid-1'`).
		Scan(&clients); err != nil || !slices.Equal(clients, []string{"web"}) {
		t.Errorf("audited for %v, %v", clients, err)
	}
}
