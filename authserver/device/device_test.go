package device_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"larder/authserver/consent"
	"larder/authserver/device"
	"larder/authserver/flow"
	"larder/authserver/oidc"
	"larder/authserver/page"
	"larder/authserver/session"
	"larder/internal/audit"
	"larder/internal/brand"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/pgtest"
	"larder/internal/sealed"
	"larder/internal/web"
)

// people and clients stand for the registries of other features.
type people map[id.ID]string

func (p people) User(_ context.Context, subject id.ID) (*oidc.User, error) {
	return &oidc.User{ID: subject, Name: p[subject], Email: strings.ToLower(p[subject]) + "@example.com"}, nil
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

func (e *events) count(action string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		if ev.Action == action {
			n++
		}
	}
	return n
}

// place is a server with the device page on real stores.
type place struct {
	t        *testing.T
	codes    *device.Authorizations
	consents *consent.Consents
	db       *pgxpool.Pool
	owner    *pgxpool.Pool
	events   *events
	url      string
	ada, bob id.ID
	ahead    atomic.Int64
	cut      atomic.Bool // PostgreSQL goes before a consent is committed
}

func (p *place) now() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }

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
	p := &place{t: t, db: db.Auth, owner: db.Owner, events: &events{}, ada: id.New(), bob: id.New()}
	for user, name := range map[id.ID]string{p.ada: "Ada", p.bob: "Bob"} {
		if _, err := p.db.Exec(t.Context(), `INSERT INTO auth.users (id, name) VALUES ($1, $2)`, user, name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.db.Exec(t.Context(), `INSERT INTO auth.clients (id, metadata) VALUES ('fridge', '{}')`); err != nil {
		t.Fatal(err)
	}
	sessions := &session.Sessions{Redis: rdb, Keyring: func() *sealed.Keyring { return ring }, Now: time.Now}
	p.codes = &device.Authorizations{Redis: rdb, Now: p.now}
	p.consents = &consent.Consents{DB: p.db, Now: time.Now}
	h := &device.Handler{
		Authorizations: p.codes, Sessions: sessions, Flows: &flow.Flows{Redis: rdb, Devices: session.Devices{}},
		Clients: clients{"fridge": {ClientName: "Smart <b>Fridge</b>"}}, Users: people{p.ada: "Ada", p.bob: "Bob"}, Consents: &breaking{p.consents, p},
		Limiter: &limit.Limiter{Redis: rdb}, Names: nameless{}, Pages: pages, Audit: p.events,
		Source: func(r *http.Request) string { return "network " + r.Header.Get("From-Network") }, Now: p.now,
	}
	rt := web.NewRouter(pages.Error)
	h.Mount(rt)
	rt.Handle(http.MethodGet, "/in", func(w http.ResponseWriter, r *http.Request) error {
		user, err := id.Parse(r.URL.Query().Get("as"))
		if err != nil {
			return err
		}
		return sessions.Start(r.Context(), w, r, oidc.Login{Subject: user, AuthTime: time.Now(), ACR: oidc.ACRPassword, AMR: []string{"pwd"}})
	})
	server := httptest.NewServer(rt)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// begin is a device that asks.
func (p *place) begin(details ...oidc.AuthorizationDetail) (deviceCode, userCode string) {
	p.t.Helper()
	deviceCode, userCode, err := p.codes.Begin(p.t.Context(), oidc.DecoupledRequest{
		ClientID: "fridge", Scopes: []string{"openid", "lists:read"}, Resources: []string{"http://localhost:9100"}, AskedAt: p.now(), AskedFrom: "198.51.100.7",
		Details: details,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return deviceCode, userCode
}

type browser struct {
	p *place
	c *http.Client
}

func (p *place) browser(as id.ID) *browser {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	b := &browser{p: p, c: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if !as.IsZero() {
		b.get("/in?as=" + as.String())
	}
	return b
}

type response struct {
	status         int
	body, location string
}

func (b *browser) do(method, path string, form url.Values, header ...string) response {
	b.p.t.Helper()
	r, err := http.NewRequestWithContext(b.p.t.Context(), method, b.p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.p.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := b.c.Do(r)
	if err != nil {
		b.p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.p.t.Fatal(err)
	}
	return response{resp.StatusCode, string(body), resp.Header.Get("Location")}
}

func (b *browser) get(path string) response { b.p.t.Helper(); return b.do(http.MethodGet, path, nil) }

func (b *browser) enter(code string, header ...string) response {
	b.p.t.Helper()
	return b.do(http.MethodPost, "/device", url.Values{"action": {"verify"}, "code": {code}}, header...)
}

// flow types a code and returns the flow that it leads into.
func (b *browser) flow(code string) string {
	b.p.t.Helper()
	r := b.enter(code)
	flowID, ok := strings.CutPrefix(r.location, "/authorize/continue?flow=")
	if r.status != http.StatusSeeOther || !ok {
		b.p.t.Fatalf("%d to %q: %s", r.status, r.location, r.body)
	}
	return flowID
}

// sidOn is the session that a page asks.
func sidOn(t *testing.T, body string) string {
	t.Helper()
	m := regexp.MustCompile(`name="session" value="([^"]*)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no session in %s", body)
	}
	return m[1]
}

func (p *place) poll(deviceCode string) oidc.DecoupledAnswer {
	p.t.Helper()
	answer, err := p.codes.Poll(p.t.Context(), deviceCode, "fridge")
	if err != nil {
		p.t.Fatal(err)
	}
	return answer
}

// approve is Ada's yes.
func (p *place) approve(userCode string) error {
	settle, err := p.codes.Approve(p.t.Context(), userCode, oidc.Login{Subject: p.ada})
	if err != nil {
		return err
	}
	return settle(p.t.Context())
}

func TestAPersonConnectsADevice(t *testing.T) {
	t.Parallel()
	p := setup(t)
	deviceCode, userCode := p.begin()
	ada := p.browser(p.ada)
	flowID := ada.flow(strings.ToLower(strings.ReplaceAll(userCode, "-", " ")))
	asked := ada.get("/device?flow=" + flowID)
	for _, want := range []string{
		"Smart &lt;b&gt;Fridge&lt;/b&gt;", "Ada", "ada@example.com", userCode, "See your shopping lists", "198.51.100.7",
		`value="allow"`, `value="deny"`, "Is the device in front of you",
	} {
		if !strings.Contains(asked.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if p.poll(deviceCode).State != oidc.DecoupledPending {
		t.Fatal("looking at the page answered for the person")
	}
	done := ada.do(http.MethodPost, "/device", url.Values{
		"action": {"allow"}, "flow": {flowID}, "session": {sidOn(t, asked.body)},
	})
	if done.status != http.StatusOK || !strings.Contains(done.body, "Your device is connected") {
		t.Fatalf("%d %s", done.status, done.body)
	}
	answer := p.poll(deviceCode)
	if answer.State != oidc.DecoupledApproved || answer.Login.Subject != p.ada || answer.Request.ClientID != "fridge" || answer.Login.SID == "" {
		t.Fatalf("%+v", answer)
	}
	covered, err := p.consents.Covered(t.Context(), p.ada, "fridge", []string{"openid", "lists:read"}, []string{"http://localhost:9100"})
	if err != nil || !covered {
		t.Errorf("the consent was not remembered: %v", err)
	}
	if p.events.count("device.approved") != 1 {
		t.Error("no audit event")
	}
	// Both codes and the flow are over.
	if p.poll(deviceCode).State != oidc.DecoupledUnknown {
		t.Error("the device code is good twice")
	}
	if r := ada.enter(userCode); r.status != http.StatusNotFound || !strings.Contains(r.body, `role="alert"`) {
		t.Errorf("the user code again: %d", r.status)
	}
	if r := ada.get("/device?flow=" + flowID); r.status != http.StatusNotFound {
		t.Errorf("the flow again: %d", r.status)
	}
}

func TestAPersonRefusesADevice(t *testing.T) {
	t.Parallel()
	p := setup(t)
	list := id.New()
	deviceCode, userCode := p.begin(oidc.AuthorizationDetail{Type: oidc.ListDetailType, FamilyID: id.New(), ListIDs: []id.ID{list}, Actions: []string{"check"}})
	ada := p.browser(p.ada)
	flowID := ada.flow(userCode)
	asked := ada.get("/device?flow=" + flowID)
	if !strings.Contains(asked.body, list.String()) || !strings.Contains(asked.body, "check items off") || strings.Contains(asked.body, "See your shopping lists") {
		t.Errorf("authorization details are not shown in place of their scopes: %s", asked.body)
	}
	done := ada.do(http.MethodPost, "/device", url.Values{"action": {"deny"}, "flow": {flowID}, "session": {sidOn(t, asked.body)}})
	if done.status != http.StatusOK || !strings.Contains(done.body, "was not connected") {
		t.Fatalf("%d %s", done.status, done.body)
	}
	if state := p.poll(deviceCode).State; state != oidc.DecoupledDenied {
		t.Errorf("state %s", state)
	}
	if p.events.count("device.denied") != 1 {
		t.Error("no audit event")
	}
}

// The page never acts by itself: not on a link that carries the code (O28,
// Keycloak CVE-2023-2585, Storm-2372), not for another browser, another session
// or another site.
func TestNothingIsApprovedUnasked(t *testing.T) {
	t.Parallel()
	p := setup(t)
	deviceCode, userCode := p.begin()
	ada, bob := p.browser(p.ada), p.browser(p.bob)

	filled := ada.get("/device?user_code=" + userCode)
	if filled.status != http.StatusOK || !strings.Contains(filled.body, `value="`+userCode+`"`) || strings.Contains(filled.body, "<script") {
		t.Errorf("%d %s", filled.status, filled.body)
	}
	if inert := ada.get("/device?user_code=" + url.QueryEscape(`"><script>alert(1)</script>`)); strings.Contains(inert.body, "script>") {
		t.Error("the page repeats what is no code")
	}
	flowID := ada.flow(userCode)
	sid := sidOn(t, ada.get("/device?flow="+flowID).body)
	allow := url.Values{"action": {"allow"}, "flow": {flowID}, "session": {sid}}

	if r := bob.get("/device?flow=" + flowID); r.status != http.StatusNotFound {
		t.Errorf("another browser sees the flow: %d", r.status)
	}
	if r := bob.do(http.MethodPost, "/device", allow); r.status != http.StatusNotFound {
		t.Errorf("another browser answers: %d", r.status)
	}
	if r := ada.do(http.MethodPost, "/device", allow, "Sec-Fetch-Site", "cross-site"); r.status != http.StatusForbidden {
		t.Errorf("another site answers: %d", r.status)
	}
	ada.get("/in?as=" + p.bob.String()) // somebody else signs in at this browser meanwhile
	if r := ada.do(http.MethodPost, "/device", allow); r.status != http.StatusSeeOther {
		t.Errorf("another session answers: %d", r.status)
	}
	if r := p.browser(id.ID{}).flow(userCode); r == "" {
		t.Error("nobody may type a code before signing in")
	}
	if state := p.poll(deviceCode).State; state != oidc.DecoupledPending {
		t.Errorf("state %s", state)
	}
}

func TestGuessesAreLimitedPerNetworkAndAccount(t *testing.T) {
	t.Parallel()
	p := setup(t)
	_, userCode := p.begin()
	ada := p.browser(p.ada)
	for i := range 10 {
		if r := ada.enter("BBBB-BBBB", "From-Network", "a"); r.status != http.StatusNotFound {
			t.Fatalf("guess %d: %d", i, r.status)
		}
	}
	if r := ada.enter(userCode, "From-Network", "a"); r.status != http.StatusTooManyRequests || !strings.Contains(r.body, `role="alert"`) {
		t.Errorf("the network: %d", r.status)
	}
	if r := ada.enter(userCode, "From-Network", "b"); r.status != http.StatusTooManyRequests {
		t.Errorf("the account: %d", r.status)
	}
	bob := p.browser(p.bob)
	for range 20 { // who is right costs no guess, and what cannot be a code neither
		if r := bob.enter(userCode, "From-Network", "c"); r.status != http.StatusSeeOther {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if r := bob.enter("no code", "From-Network", "c"); r.status != http.StatusBadRequest {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
}

func TestCodesDieAfterTenMinutes(t *testing.T) {
	t.Parallel()
	p := setup(t)
	deviceCode, userCode := p.begin()
	ada := p.browser(p.ada)
	flowID := ada.flow(userCode)
	p.ahead.Store(int64(device.Lifetime))
	if r := ada.enter(userCode); r.status != http.StatusNotFound {
		t.Errorf("typed late: %d", r.status)
	}
	if r := ada.get("/device?flow=" + flowID); r.status != http.StatusNotFound {
		t.Errorf("asked late: %d", r.status)
	}
	if state := p.poll(deviceCode).State; state != oidc.DecoupledExpired {
		t.Errorf("state %s", state)
	}
}

// Of two windows that answer at once one does.
func TestOneAnswerCounts(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for range 8 {
		deviceCode, userCode := p.begin()
		code := strings.ReplaceAll(userCode, "-", "")
		var yes, no error
		var both sync.WaitGroup
		both.Go(func() { yes = p.approve(code) })
		both.Go(func() { no = p.codes.Deny(t.Context(), code) })
		both.Wait()
		want := oidc.DecoupledApproved
		if yes != nil {
			want = oidc.DecoupledDenied
		}
		if (yes == nil) == (no == nil) || p.poll(deviceCode).State != want {
			t.Errorf("yes: %v, no: %v", yes, no)
		}
	}
}

func TestUserCodesAreWellSpread(t *testing.T) {
	t.Parallel()
	p := setup(t)
	seen := map[rune]int{}
	const codes = 200
	for range codes {
		_, userCode := p.begin()
		if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(userCode) {
			t.Fatalf("code %q", userCode)
		}
		for _, r := range userCode {
			seen[r]++
		}
	}
	for _, r := range "BCDFGHJKLMNPQRSTVWXZ" { // 80 of each are to be expected; fewer than 30 come once in a billion runs
		if seen[r] < 30 {
			t.Errorf("%c came %d times of %d", r, seen[r], codes*8)
		}
	}
}

// An approval whose tokens could not be written is good again, and no other.
func TestRestore(t *testing.T) {
	t.Parallel()
	p := setup(t)
	deviceCode, userCode := p.begin()
	restore := func() {
		t.Helper()
		if err := p.codes.Restore(t.Context(), deviceCode); err != nil {
			t.Fatal(err)
		}
	}
	restore()
	if state := p.poll(deviceCode).State; state != oidc.DecoupledPending {
		t.Fatalf("state %s", state)
	}
	if err := p.approve(strings.ReplaceAll(userCode, "-", "")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if state := p.poll(deviceCode).State; state != oidc.DecoupledApproved {
			t.Fatalf("state %s", state)
		}
		if state := p.poll(deviceCode).State; state != oidc.DecoupledUnknown {
			t.Fatalf("state %s", state)
		}
		restore()
	}
}

// What a person has approved is in the copy of what we hold, and nobody else's.
func TestApprovalsAreInTheDownload(t *testing.T) {
	t.Parallel()
	p := setup(t)
	held := func(person id.ID) string {
		t.Helper()
		got, err := p.codes.Export(t.Context(), person)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	deviceCode, userCode := p.begin()
	_, refused := p.begin()
	bare := func(code string) string { return strings.ReplaceAll(code, "-", "") }
	if err := errors.Join(p.codes.Deny(t.Context(), bare(refused)), p.approve(bare(userCode))); err != nil {
		t.Fatal(err)
	}
	if got := held(p.ada); strings.Count(got, "client_id") != 1 || !strings.Contains(got, `"client_id":"fridge"`) || !strings.Contains(got, `"state":"approved"`) {
		t.Error(got)
	}
	p.poll(deviceCode)
	if got := held(p.ada); !strings.Contains(got, `"state":"used"`) || strings.Contains(got, deviceCode) {
		t.Error(got)
	}
	if got := held(p.bob); got != "[]" {
		t.Error(got)
	}
}

// nameless is an API that cannot be asked.
type nameless struct{}

func (nameless) Of(context.Context, id.ID, []string, []oidc.AuthorizationDetail) oidc.DetailNames {
	return nil
}

// away loses the answers of scripts while it is on.
type away struct{ on atomic.Bool }

func (*away) DialHook(next redis.DialHook) redis.DialHook { return next }
func (*away) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a *away) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if a.on.Load() && strings.HasPrefix(cmd.Name(), "eval") {
			return errors.New("the connection broke")
		}
		return next(ctx, cmd)
	}
}

// breaking loses the connection to PostgreSQL before a commit while p.cut is set.
type breaking struct {
	*consent.Consents
	p *place
}

func (b *breaking) Grant(ctx context.Context, a oidc.Agreement, approve oidc.Approve) error {
	return b.Consents.Grant(ctx, a, func(ctx context.Context, tx pgx.Tx) (func(context.Context) error, error) {
		settle, err := approve(ctx, tx)
		if b.p.cut.Load() {
			_, cut := b.p.owner.Exec(ctx, `SELECT pg_terminate_backend($1)`, tx.Conn().PgConn().PID())
			err = errors.Join(err, cut)
		}
		return settle, err
	})
}

// An answer counts whole or not at all: neither a fault on the way nor a sign-out
// just before it leaves a consent, or takes the code away.
func TestAnAnswerThatFailsLeavesTheCode(t *testing.T) {
	t.Parallel()
	p := setup(t)
	deviceCode, userCode := p.begin()
	ada := p.browser(p.ada)
	flowID := ada.flow(userCode)
	sid := sidOn(t, ada.get("/device?flow="+flowID).body)
	allow := func() response {
		t.Helper()
		return ada.do(http.MethodPost, "/device", url.Values{"action": {"allow"}, "flow": {flowID}, "session": {sid}})
	}
	unanswered := func(name string) {
		t.Helper()
		if all, err := p.consents.List(t.Context(), p.ada); err != nil || len(all) != 0 {
			t.Errorf("%s: consents %v, %v", name, all, err)
		}
		if _, err := p.codes.Find(t.Context(), strings.ReplaceAll(userCode, "-", "")); err != nil {
			t.Errorf("%s: the code: %v", name, err)
		}
		if state := p.poll(deviceCode).State; state == oidc.DecoupledApproved {
			t.Errorf("%s: the device has its answer", name)
		}
		if held, err := p.codes.Export(t.Context(), p.ada); err != nil || len(fmt.Sprint(held)) != len("[]") {
			t.Errorf("%s: the download has %v, %v", name, held, err)
		}
	}

	broken := &away{}
	broken.on.Store(true)
	p.codes.Redis.AddHook(broken)
	if got := allow(); got.status != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %d %s", got.status, got.location)
	}
	broken.on.Store(false)
	unanswered("a fault")

	p.cut.Store(true)
	if got := allow(); got.status != http.StatusServiceUnavailable {
		t.Errorf("without PostgreSQL: %d %s", got.status, got.location)
	}
	p.cut.Store(false)
	unanswered("a fault of PostgreSQL")

	exec := func(sql string) {
		t.Helper()
		if _, err := p.db.Exec(t.Context(), sql, sid); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO auth.revocations (kind, value, expires_at) VALUES ('sid', $1, now() + interval '1 hour')`)
	if got := allow(); got.status != http.StatusSeeOther || got.location != "/authorize/continue?flow="+flowID {
		t.Errorf("signed out: %d %s", got.status, got.location)
	}
	unanswered("a sign-out")
	exec(`DELETE FROM auth.revocations WHERE kind = 'sid' AND value = $1`)

	if got := allow(); got.status != http.StatusOK || p.poll(deviceCode).State != oidc.DecoupledApproved {
		t.Errorf("after the fault: %d %s", got.status, got.body)
	}
}
