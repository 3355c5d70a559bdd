package consent_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/authserver/consent"
	"larder/authserver/flow"
	"larder/authserver/oidc"
	"larder/authserver/page"
	"larder/authserver/session"
	"larder/internal/audit"
	"larder/internal/brand"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/pgtest"
	"larder/internal/sealed"
	"larder/internal/web"
)

// people and clients stand for the registries of other features.
type people map[id.ID]string

func (p people) User(_ context.Context, subject id.ID) (*oidc.User, error) {
	name, ok := p[subject]
	if !ok {
		return nil, fault.New(fault.NotFound, "no such user")
	}
	return &oidc.User{ID: subject, Name: name, Email: strings.ToLower(name) + "@example.com"}, nil
}

type clients map[string]oidc.Metadata

func (c clients) Client(_ context.Context, clientID string) (*oidc.Client, error) {
	m, ok := c[clientID]
	if !ok {
		return nil, fault.New(fault.NotFound, "no such client")
	}
	return &oidc.Client{ID: clientID, Metadata: m}, nil
}

type events struct {
	mu  sync.Mutex
	all []audit.Event
}

func (e *events) Put(ev audit.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// place is a server with the consent page on real stores.
type place struct {
	consents *consent.Consents
	flows    *flow.Flows
	db       *pgxpool.Pool
	events   *events
	url      string
	ada, bob id.ID
}

func setup(t *testing.T) *place {
	t.Helper()
	db, rdb := pgtest.New(t), pgtest.Redis(t)
	ring, err := sealed.NewKeyring(bytes.Repeat([]byte{1}, sealed.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := page.New("http://localhost:9000", brand.Larder())
	if err != nil {
		t.Fatal(err)
	}
	p := &place{db: db.Auth, events: &events{}, ada: id.New(), bob: id.New()}
	for user, name := range map[id.ID]string{p.ada: "Ada", p.bob: "Bob"} {
		if _, err := p.db.Exec(t.Context(), `INSERT INTO auth.users (id, name) VALUES ($1, $2)`, user, name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.db.Exec(t.Context(), `INSERT INTO auth.clients (id, metadata) VALUES ('planner', '{}'), ('other', '{}')`); err != nil {
		t.Fatal(err)
	}
	sessions := &session.Sessions{Redis: rdb, Keyring: func() *sealed.Keyring { return ring }, Now: time.Now}
	p.flows = &flow.Flows{Redis: rdb, Devices: session.Devices{}}
	p.consents = &consent.Consents{DB: p.db, Now: time.Now}
	h := &consent.Handler{
		Consents: p.consents, Sessions: sessions, Flows: p.flows, Users: people{p.ada: "Ada", p.bob: "Bob"}, Names: nameless{}, Pages: pages, Audit: p.events, Now: time.Now,
		Clients: clients{"planner": {ClientName: "Meal <i>Planner</i>", LogoURI: "https://planner.example/logo.png", PolicyURI: "javascript:alert(1)"}},
	}
	rt := web.NewRouter(pages.Error)
	h.Mount(rt)
	rt.Handle(http.MethodGet, "/begin", func(w http.ResponseWriter, r *http.Request) error {
		flowID, err := p.flows.Begin(r.Context(), w, r, oidc.AuthRequest{
			ClientID: "planner", Form: url.Values{"redirect_uri": {"https://planner.example/cb"}},
			Scopes: []string{"openid", "lists:write", "<script>"}, Resources: []string{"http://localhost:9100"},
		})
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, flowID)
	})
	rt.Handle(http.MethodGet, "/as/{name}", func(w http.ResponseWriter, r *http.Request) error {
		subject := p.ada
		if web.Var(r, "name") == "bob" {
			subject = p.bob
		}
		return sessions.Start(r.Context(), w, r, oidc.Login{Subject: subject})
	})
	rt.Handle(http.MethodGet, "/sid", func(w http.ResponseWriter, r *http.Request) error {
		login, err := sessions.Current(r)
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, login.SID)
	})
	rt.Handle(http.MethodGet, "/state/{flow}", func(w http.ResponseWriter, r *http.Request) error {
		_, sid, denied, err := p.flows.Resume(r.Context(), r, web.Var(r, "flow"))
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, map[string]any{"sid": sid, "denied": denied})
	})
	srv := httptest.NewServer(rt)
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

// browser keeps cookies and follows no redirect.
type browser struct {
	t    *testing.T
	base string
	http.Client
}

func (p *place) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: p.url, Client: http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

type answer struct {
	status         int
	location, body string
	header         http.Header
}

func (b *browser) do(method, path string, form url.Values, header ...string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header.Get("Location"), string(raw), res.Header}
}

func (b *browser) get(path string) answer { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

func (b *browser) word(path string) string {
	b.t.Helper()
	return strings.Trim(b.get(path).body, `"`)
}

func (b *browser) press(action, flowID, sid string, header ...string) answer {
	b.t.Helper()
	return b.do(http.MethodPost, "/consent", url.Values{"flow": {flowID}, "session": {sid}, "action": {action}}, header...)
}

func TestThePageSaysWhoAsksForWhatAndOfWhom(t *testing.T) {
	p := setup(t)
	b := p.browser(t)
	flowID := b.word("/begin")
	if got := b.get("/consent?flow=" + flowID); got.status != http.StatusSeeOther || got.location != "/authorize/continue?flow="+flowID {
		t.Fatalf("nobody signed in: %d %s", got.status, got.location)
	}
	b.get("/as/ada")
	got := b.get("/consent?flow=" + flowID)
	for _, want := range []string{
		"Meal &lt;i&gt;Planner", `src="https://planner.example/logo.png"`, "ada@example.com", "Change your shopping lists", "&lt;script&gt;", "planner.example",
		`name="action" value="allow"`, `name="action" value="deny"`,
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(got.body, "javascript:") || strings.Contains(got.body, "<script") || strings.Contains(got.body, "<i>") || got.status != http.StatusOK {
		t.Errorf("%d\n%s", got.status, got.body)
	}
	if !strings.Contains(got.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("the page can be framed: %v", got.header)
	}
}

func TestAllowIsRememberedAndApprovesThisRequestOnly(t *testing.T) {
	p := setup(t)
	b := p.browser(t)
	flowID, other := b.word("/begin"), b.word("/begin")
	b.get("/as/ada")
	sid := b.word("/sid")
	if got := b.press("allow", flowID, sid); got.status != http.StatusSeeOther || got.location != "/authorize/continue?flow="+flowID {
		t.Fatalf("allow: %d %s\n%s", got.status, got.location, got.body)
	}
	if got, want := b.get("/state/"+flowID).body, `{"denied":false,"sid":"`+sid+`"}`; got != want {
		t.Errorf("state = %s, want %s", got, want)
	}
	if got, want := b.get("/state/"+other).body, `{"denied":false,"sid":""}`; got != want {
		t.Errorf("state of the other request = %s, want %s", got, want)
	}
	for _, c := range []struct {
		user      id.ID
		client    string
		scopes    []string
		resources []string
		want      bool
	}{
		{p.ada, "planner", []string{"lists:write", "openid"}, []string{"http://localhost:9100"}, true},
		{p.ada, "planner", []string{"openid"}, nil, true},
		{p.ada, "planner", nil, nil, true},
		{p.ada, "planner", []string{"openid", "family:read"}, nil, false},
		{p.ada, "planner", []string{"openid"}, []string{"http://localhost:9200"}, false},
		{p.ada, "other", []string{"openid"}, nil, false},
		{p.bob, "planner", []string{"openid"}, nil, false},
	} {
		if got, err := p.consents.Covered(t.Context(), c.user, c.client, c.scopes, c.resources); err != nil || got != c.want {
			t.Errorf("Covered(%v, %s, %v, %v) = %t, %v; want %t", c.user, c.client, c.scopes, c.resources, got, err, c.want)
		}
	}
}

func TestDenyStoresNoConsent(t *testing.T) {
	p := setup(t)
	b := p.browser(t)
	flowID := b.word("/begin")
	b.get("/as/ada")
	if got := b.press("deny", flowID, b.word("/sid")); got.location != "/authorize/continue?flow="+flowID {
		t.Fatalf("deny: %d %s", got.status, got.location)
	}
	if got, want := b.get("/state/"+flowID).body, `{"denied":true,"sid":""}`; got != want {
		t.Errorf("state = %s, want %s", got, want)
	}
	if all, err := p.consents.List(t.Context(), p.ada); err != nil || len(all) != 0 {
		t.Errorf("consents = %v, %v", all, err)
	}
	if len(p.events.all) != 1 || p.events.all[0].Action != "consent.denied" {
		t.Errorf("events = %+v", p.events.all)
	}
}

// O11: nobody but the person who was asked, in the session in which they were asked, approves a request.
func TestAnApprovalBelongsToPersonSessionAndRequest(t *testing.T) {
	p := setup(t)
	b, stranger := p.browser(t), p.browser(t)
	flowID := b.word("/begin")
	b.get("/as/ada")
	adas := b.word("/sid")

	stranger.get("/as/bob")
	stranger.word("/begin")
	if got := stranger.get("/consent?flow=" + flowID); got.status != http.StatusNotFound {
		t.Errorf("a stranger sees the request: %d", got.status)
	}
	for _, sid := range []string{adas, stranger.word("/sid")} {
		if got := stranger.press("allow", flowID, sid); got.status != http.StatusNotFound {
			t.Errorf("a stranger answers it: %d %s", got.status, got.location)
		}
	}

	b.get("/as/bob") // in another tab, after Ada saw the page
	if got := b.press("allow", flowID, adas); got.location != "/authorize/continue?flow="+flowID {
		t.Errorf("the page of the session before: %d %s", got.status, got.location)
	}
	for name, header := range map[string][]string{
		"cross-site": {"Sec-Fetch-Site", "cross-site"}, "foreign origin": {"Origin", "https://evil.example"}, "null origin": {"Origin", "null"},
	} {
		if got := b.press("allow", flowID, b.word("/sid"), header...); got.status != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", name, got.status)
		}
	}
	if got := b.press("maybe", flowID, b.word("/sid")); got.status != http.StatusBadRequest {
		t.Errorf("no button: %d, want 400", got.status)
	}
	if got, want := b.get("/state/"+flowID).body, `{"denied":false,"sid":""}`; got != want {
		t.Errorf("state = %s, want %s", got, want)
	}
	for _, user := range []id.ID{p.ada, p.bob} {
		if all, err := p.consents.List(t.Context(), user); err != nil || len(all) != 0 {
			t.Errorf("consents = %v, %v", all, err)
		}
	}
}

func TestAFinishedRequestEndsInAPage(t *testing.T) {
	p := setup(t)
	b := p.browser(t)
	flowID := b.word("/begin")
	b.get("/as/ada")
	sid := b.word("/sid")
	if _, err := p.flows.Finish(t.Context(), flowID); err != nil {
		t.Fatal(err)
	}
	for _, got := range []answer{b.get("/consent?flow=" + flowID), b.press("allow", flowID, sid)} {
		if got.status != http.StatusNotFound || !strings.Contains(got.body, "This sign-in is finished already") || !strings.Contains(got.body, "start again") {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}

func TestConsentGrowsAndGoesWithItsGrants(t *testing.T) {
	p := setup(t)
	for _, scopes := range [][]string{{"openid", "lists:read"}, {"lists:read", "lists:write"}} {
		agreed := oidc.Agreement{Login: &oidc.Login{Subject: p.ada, SID: "s"}, Seen: time.Now(), ClientID: "planner", Scopes: scopes}
		if err := p.consents.Grant(t.Context(), agreed, func(context.Context, pgx.Tx) (func(context.Context) error, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
	}
	all, err := p.consents.List(t.Context(), p.ada)
	if err != nil || len(all) != 1 {
		t.Fatalf("consents = %v, %v", all, err)
	}
	if diff := cmp.Diff([]string{"lists:read", "lists:write", "openid"}, all[0].Scopes); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
	mine, older, others := id.New(), id.New(), id.New()
	for grant, user := range map[id.ID]id.ID{mine: p.ada, older: p.ada, others: p.bob} {
		if _, err := p.db.Exec(t.Context(), `INSERT INTO auth.grants (id, client_id, user_id, sid, scopes, resources, session, idle_expires_at, expires_at)
			VALUES ($1, 'planner', $2, 's', '{}', '{}', '{}', now() + interval '1 day', now() + interval '1 day')`, grant, user); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.consents.Withdraw(t.Context(), p.ada, "planner"); err != nil {
		t.Fatal(err)
	}
	if covered, err := p.consents.Covered(t.Context(), p.ada, "planner", []string{"openid"}, nil); err != nil || covered {
		t.Errorf("still covered: %t, %v", covered, err)
	}
	var revoked, feed []string
	err = p.db.QueryRow(t.Context(), `SELECT ARRAY(SELECT id::text FROM auth.grants WHERE revoked_at IS NOT NULL ORDER BY id),
		ARRAY(SELECT value FROM auth.revocations WHERE kind = 'grant_id' ORDER BY value)`).Scan(&revoked, &feed)
	if want := []string{mine.String(), older.String()}; err != nil || !cmp.Equal(revoked, want) || !cmp.Equal(feed, want) {
		t.Errorf("revoked %v, feed %v, %v; want %v", revoked, feed, err, want)
	}
}

// A17: who signs out has signed out of what they were about to allow, and a consent
// stays only with the answer that it is for.
func TestAConsentStandsWithItsAnswerAndItsSession(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	consents := &consent.Consents{DB: db.Auth, Now: time.Now}
	exec := func(tx interface {
		Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	}, sql string, args ...any,
	) {
		t.Helper()
		if _, err := tx.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(db.Owner, `INSERT INTO auth.clients (id, metadata) VALUES ('planner', '{}')`)
	const revoke = `INSERT INTO auth.revocations (kind, value, revoked_at, expires_at) VALUES ($1, $2, $3, now() + interval '1 hour')`
	seen, late := time.Now(), fault.New(fault.NotFound, "too late")
	for name, c := range map[string]struct {
		meanwhile func(tx pgx.Tx, user id.ID)
		answer    error
		want      fault.Kind // 0 for none
	}{
		"nothing happens":             {},
		"the answer comes too late":   {answer: late, want: fault.NotFound},
		"the session ends":            {meanwhile: func(tx pgx.Tx, user id.ID) { exec(tx, revoke, "sid", user.String(), seen) }, want: fault.Unauthenticated},
		"another session ends":        {meanwhile: func(tx pgx.Tx, _ id.ID) { exec(tx, revoke, "sid", id.New().String(), seen) }},
		"all sessions end":            {meanwhile: func(tx pgx.Tx, user id.ID) { exec(tx, revoke, "sub", user.String(), seen.Add(time.Second)) }, want: fault.Unauthenticated},
		"they had ended before":       {meanwhile: func(tx pgx.Tx, user id.ID) { exec(tx, revoke, "sub", user.String(), seen.Add(-time.Second)) }},
		"the account is shut":         {meanwhile: func(tx pgx.Tx, user id.ID) { exec(tx, `UPDATE auth.users SET disabled_at = now() WHERE id = $1`, user) }, want: fault.Unauthenticated},
		"the answer and session fail": {meanwhile: func(tx pgx.Tx, user id.ID) { exec(tx, revoke, "sid", user.String(), seen) }, answer: late, want: fault.Unauthenticated},
	} {
		user := id.New()
		exec(db.Owner, `INSERT INTO auth.users (id, name) VALUES ($1, 'Ada')`, user)
		// Whoever ends the session holds both locks, and the consent waits for it.
		hold, err := db.Owner.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		exec(hold, `SELECT pg_advisory_xact_lock(hashtextextended('session ' || $1, 0))`, user.String())
		exec(hold, `SELECT FROM auth.users WHERE id = $1 FOR UPDATE`, user)
		if c.meanwhile != nil {
			c.meanwhile(hold, user)
		}
		done, settled := make(chan error, 1), false
		go func() {
			agreed := oidc.Agreement{Login: &oidc.Login{Subject: user, SID: user.String()}, Seen: seen, ClientID: "planner", Scopes: []string{"openid"}}
			done <- consents.Grant(t.Context(), agreed, func(context.Context, pgx.Tx) (func(context.Context) error, error) {
				return func(context.Context) error { settled = true; return nil }, c.answer
			})
		}()
		db.Waits(t, 1)
		if err := hold.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; c.want == 0 && err != nil || c.want != 0 && !fault.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if settled != (c.want == 0) {
			t.Errorf("%s: the answer counts is %t", name, settled)
		}
		if all, err := consents.List(t.Context(), user); err != nil || (len(all) == 1) != (c.want == 0) {
			t.Errorf("%s: consents %v, %v", name, all, err)
		}
	}
}

// nameless is an API that cannot be asked.
type nameless struct{}

func (nameless) Of(context.Context, id.ID, []string, []oidc.AuthorizationDetail) oidc.DetailNames {
	return nil
}
