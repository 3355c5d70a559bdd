package passkey_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/riverqueue/river"

	"larder/authserver/account"
	"larder/authserver/flow"
	"larder/authserver/mfa"
	"larder/authserver/oidc"
	"larder/authserver/onetime"
	"larder/authserver/page"
	"larder/authserver/passkey"
	"larder/authserver/session"
	"larder/internal/audit"
	"larder/internal/brand"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/mail"
	"larder/internal/password"
	"larder/internal/pgtest"
	"larder/internal/risk"
	"larder/internal/sealed"
	"larder/internal/web"
)

const issuer = "http://localhost:9000"

// place is an installation with two replicas.
type place struct {
	replicas [2]string // their addresses
	accounts *account.Accounts
	factors  *mfa.Factors
	passkeys *passkey.Passkeys
	db       *pgtest.DB
	mu       sync.Mutex
	ahead    time.Duration
	events   []audit.Event
	subjects []string // of the letters
	// meanwhile, if not nil, happens between an answer that was good and the session.
	meanwhile func(ctx context.Context, user id.ID) error
}

// Assess implements passkey.Risks.
func (p *place) Assess(ctx context.Context, user id.ID, _, _ string, _ bool) (*risk.Assessment, error) {
	if p.meanwhile == nil {
		return nil, nil //nolint:nilnil // nothing was found
	}
	return nil, p.meanwhile(ctx, user)
}

func (p *place) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.ahead)
}

func (p *place) advance(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ahead += d
}

// Put keeps an audit event.
func (p *place) Put(e audit.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
}

func (p *place) count(action, reason string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Action == action && e.Reason == reason {
			n++
		}
	}
	return n
}

// Insert keeps the subject of a letter.
func (p *place) Insert(_ context.Context, _ pgx.Tx, args river.JobArgs) error {
	letter, ok := args.(mail.Letter)
	if !ok {
		return errors.New("not a letter")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subjects = append(p.subjects, letter.Facts["subject"])
	return nil
}

// Client implements the registry of mfa.
func (*place) Client(_ context.Context, clientID string) (*oidc.Client, error) {
	return &oidc.Client{ID: clientID}, nil
}

func setup(t *testing.T) *place {
	t.Helper()
	p := &place{db: pgtest.New(t)}
	ring, err := sealed.NewKeyring(bytes.Repeat([]byte{1}, sealed.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	options, err := redis.ParseURL(pgtest.RedisURL(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.replicas {
		rdb := redis.NewClient(options)
		t.Cleanup(func() { _ = rdb.Close() })
		p.replicas[i] = p.start(t, rdb, func() *sealed.Keyring { return ring })
	}
	return p
}

func (p *place) start(t *testing.T, rdb *redis.Client, ring func() *sealed.Keyring) string {
	t.Helper()
	pages, err := page.New(issuer, brand.Larder())
	if err != nil {
		t.Fatal(err)
	}
	devices, limiter := session.Devices{}, &limit.Limiter{Redis: rdb}
	sessions := &session.Sessions{Redis: rdb, Keyring: ring, Now: p.now}
	flows := &flow.Flows{Redis: rdb, Devices: devices}
	p.accounts = &account.Accounts{
		DB: p.db.Auth, Sessions: sessions, Now: p.now, Hasher: password.NewHasher(password.Params{Memory: 1 << 10, Time: 1, Threads: 1}, 2, 64),
	}
	sessions.Stands = p.accounts.Stands
	p.factors = &mfa.Factors{
		DB: p.db.Auth, Redis: rdb, Keyring: ring, MACKeys: func() [][]byte { return [][]byte{bytes.Repeat([]byte{2}, 32)} },
		Sessions: sessions, Jobs: p, Now: p.now,
	}
	p.passkeys = &passkey.Passkeys{DB: p.db.Auth, Redis: rdb, RP: passkey.RelyingParty(issuer, "Larder"), Factors: p.factors, Sessions: sessions, Now: p.now}
	keys := &passkey.Handler{
		Passkeys: p.passkeys, Issuer: issuer, Browsers: sessions, Flows: flows, Users: p.accounts, Devices: devices, Limits: limiter, Pages: pages,
		Audit: p, Risks: p, Source: limit.Source, Now: p.now,
	}
	second := &mfa.Handler{
		Factors: p.factors, Passkeys: keys, Messages: &onetime.Handler{Codes: &onetime.Codes{DB: p.db.Auth}}, Throttle: &mfa.Throttle{Redis: rdb, Limiter: limiter, Now: p.now}, Sessions: sessions, Flows: flows,
		Clients: p, Users: p.accounts, Devices: devices, Pages: pages, Audit: p, Source: limit.Source, Now: p.now,
	}
	rt := web.NewRouter(pages.Error)
	keys.Mount(rt)
	second.Mount(rt)
	// A password was right for the person of the path, or a provider vouches.
	rt.Handle(http.MethodPost, "/password/{user}", func(w http.ResponseWriter, r *http.Request) error {
		user, err := id.Parse(web.Var(r, "user"))
		if err != nil {
			return err
		}
		device, _ := devices.Ensure(w, r)
		owes, err := second.Factors.Required(r.Context(), user, device)
		if err != nil {
			return err
		}
		login := oidc.Login{Subject: user, AuthTime: p.now(), ACR: oidc.ACRPassword, AMR: []string{oidc.AMRPassword}}
		if r.URL.Query().Has("elsewhere") {
			login.ACR, login.AMR = oidc.ACRFederated, []string{oidc.AMRFederated}
		}
		if owes {
			return sessions.Hold(r.Context(), w, r, login)
		}
		return sessions.Start(r.Context(), w, r, login)
	})
	rt.Handle(http.MethodPost, "/account/security", func(w http.ResponseWriter, r *http.Request) error {
		form, err := web.Form(w, r, 32<<10)
		if err != nil {
			return err
		}
		login, err := sessions.Current(r)
		if err != nil {
			return err
		}
		if login == nil {
			http.Redirect(w, r, "/login?next=security", http.StatusSeeOther)
			return nil
		}
		return second.Act(w, r, login, form)
	})
	rt.Handle(http.MethodGet, "/whoami", func(w http.ResponseWriter, r *http.Request) error {
		login, err := sessions.Current(r)
		if err != nil || login == nil {
			return err
		}
		_, err = io.WriteString(w, login.Subject.String()+" "+login.ACR+" "+strings.Join(login.AMR, " "))
		return err
	})
	srv := httptest.NewServer((&web.Observer{Log: slog.New(slog.DiscardHandler), Now: time.Now, Report: pages.Error}).Wrap(rt, prometheus.NewRegistry()))
	t.Cleanup(srv.Close)
	return srv.URL
}

func (p *place) create(t *testing.T, email string) id.ID {
	t.Helper()
	user, err := p.accounts.Create(t.Context(), audit.Actor{Kind: "operator", ID: "test"}, account.NewUser{Name: "Ada Baker", Email: email, EmailVerified: true})
	if err != nil {
		t.Fatal(err)
	}
	return user
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
	return &browser{t: t, base: p.replicas[0], Client: http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type answer struct {
	status   int
	location string
	body     string
}

func (b *browser) do(method, path string, form url.Values) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Error(err)
		return answer{}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := b.Do(r)
	if err != nil {
		b.t.Error(err)
		return answer{}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Error(err)
	}
	return answer{res.StatusCode, res.Header.Get("Location"), string(raw)}
}

func (b *browser) press(path, action string, fields ...string) answer {
	b.t.Helper()
	form := url.Values{"action": {action}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do(http.MethodPost, path, form)
}

func (b *browser) password(user id.ID) {
	b.t.Helper()
	b.do(http.MethodPost, "/password/"+user.String(), nil)
}

func (b *browser) whoami() string { b.t.Helper(); return b.do(http.MethodGet, "/whoami", nil).body }

// device is an authenticator with one passkey.
type device struct {
	virtualwebauthn.Authenticator
	key virtualwebauthn.Credential
	rp  virtualwebauthn.RelyingParty
}

func newDevice(t *testing.T) *device {
	t.Helper()
	return &device{
		Authenticator: virtualwebauthn.NewAuthenticator(), key: newCredential(t),
		rp: virtualwebauthn.RelyingParty{ID: "localhost", Name: "Larder", Origin: issuer},
	}
}

// newCredential has a key whose coordinates have no zero in front: the library
// would leave it out, and one key in 128 be none.
func newCredential(t *testing.T) virtualwebauthn.Credential {
	t.Helper()
	for {
		c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		parsed, err := x509.ParsePKCS8PrivateKey(c.Key.Data)
		if err != nil {
			t.Fatal(err)
		}
		key, ok := parsed.(*ecdsa.PrivateKey)
		if !ok {
			t.Fatalf("a key of type %T", parsed)
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if point[1] != 0 && point[1+32] != 0 {
			return c
		}
	}
}

// made is what the device answers to the page that sets a passkey up.
func (d *device) made(t *testing.T, shown string) string {
	t.Helper()
	found := regexp.MustCompile(`data-options="([^"]*)"`).FindStringSubmatch(shown)
	if found == nil {
		t.Fatalf("no options in %s", shown)
	}
	options, err := virtualwebauthn.ParseAttestationOptions(html.UnescapeString(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	d.Options.UserHandle = []byte(options.UserID)
	return virtualwebauthn.CreateAttestationResponse(d.rp, d.Authenticator, d.key, *options)
}

// signed is what the device answers to a challenge.
func (d *device) signed(t *testing.T, options string) string {
	t.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(options)
	if err != nil {
		t.Fatal(err)
	}
	return virtualwebauthn.CreateAssertionResponse(d.rp, d.Authenticator, d.key, *parsed)
}

// enrol sets a passkey up in a browser that is signed in.
func (b *browser) enrol(d *device, name string) answer {
	b.t.Helper()
	shown := b.press("/account/security", "passkey")
	if shown.status != http.StatusOK {
		b.t.Fatalf("no page to set a passkey up: %d %s", shown.status, shown.location)
	}
	return b.press("/account/security", "passkey-keep", "name", name, "credential", d.made(b.t, shown.body))
}

func (b *browser) challenge(query string) string {
	b.t.Helper()
	res := b.do(http.MethodPost, "/login/passkey/options"+query, nil)
	if res.status != http.StatusOK {
		b.t.Fatalf("no challenge: %d %s", res.status, res.body)
	}
	return res.body
}

// use signs in with a device.
func (b *browser) use(d *device) answer {
	b.t.Helper()
	return b.press("/login/passkey", "passkey", "credential", d.signed(b.t, b.challenge("")))
}
