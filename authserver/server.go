package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"larder/authserver/account"
	"larder/authserver/admin"
	"larder/authserver/apikey"
	"larder/authserver/ciba"
	"larder/authserver/client"
	"larder/authserver/consent"
	"larder/authserver/detailname"
	"larder/authserver/device"
	"larder/authserver/federation"
	"larder/authserver/flow"
	"larder/authserver/grant"
	"larder/authserver/keys"
	"larder/authserver/mfa"
	"larder/authserver/oauth"
	"larder/authserver/oidc"
	"larder/authserver/onetime"
	"larder/authserver/page"
	"larder/authserver/passkey"
	"larder/authserver/registration"
	"larder/authserver/session"
	"larder/internal/audit"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/jobs"
	"larder/internal/jwks"
	"larder/internal/limit"
	"larder/internal/paging"
	"larder/internal/postgres"
	"larder/internal/revocation"
	"larder/internal/risk"
	"larder/internal/sealed"
	"larder/internal/sweep"
	"larder/internal/telemetry"
	"larder/internal/tlsfile"
	"larder/internal/web"
	"larder/migrations"
)

const (
	schema     = "auth"
	retryEvery = time.Second
)

// server is a running authserver: the features, wired, and what runs beside
// them.
type server struct {
	*core
	cfg      Config
	now      func() time.Time
	log      *slog.Logger
	metrics  *prometheus.Registry
	pages    *page.Renderer
	provider *oauth.Provider
	devices  *device.Authorizations
	asked    *ciba.Requests
	audit    *audit.Queue
	revoked  *revocation.Set
	sweeper  *sweep.Sweeper
	crew     *jobs.Crew
	boot     *boot
	leaving  web.Departure

	certificate *tlsfile.Certificate // nil where a proxy speaks TLS
	clientCAs   *tlsfile.Authorities // nil where nobody vouches for clients
}

// serve answers until ctx is done and then drains. ready, if not nil, is told
// the addresses of the public and the internal listener.
func serve(ctx context.Context, cfg Config, now func() time.Time, log *slog.Logger, ready func([]net.Addr)) error {
	s, err := newServer(ctx, cfg, now, log)
	if err != nil {
		return err
	}
	defer s.close()
	leaveRoom()

	// What runs beside the listeners stops after they have drained, so that the
	// last requests' audit events are still written.
	beside, stopBeside := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBeside()
	group, beside := errgroup.WithContext(beside)
	ctx, stop := s.leaving.After(ctx)
	defer stop()
	group.Go(func() error {
		err := s.start(beside)
		if err != nil {
			stop() // it will not get better by itself
		}
		return err
	})
	for _, job := range []func(context.Context){
		func(ctx context.Context) { revocation.Follow(ctx, s.db, s.revoked, now, log) },
		s.audit.Run, s.clients.Run, s.apiKeys.Run, s.ownKeys.Run, s.chain.Run, s.sweeper.Run, s.work,
	} {
		group.Go(func() error { job(beside); return nil })
	}
	err = web.Serve(ctx, log, s.listeners(), ready)
	stopBeside()
	return errors.Join(err, group.Wait())
}

// newServer builds every feature. It connects nothing yet.
func newServer(ctx context.Context, cfg Config, now func() time.Time, log *slog.Logger) (*server, error) {
	c, err := openCore(ctx, cfg, now, log)
	if err != nil {
		return nil, err
	}
	s := &server{
		core: c, cfg: cfg, now: now, log: log, metrics: telemetry.Registry(), revoked: &revocation.Set{}, boot: &boot{},
		leaving: web.Departure{Delay: cfg.ShutdownDelay},
	}
	s.audit = &audit.Queue{Log: audit.Auth(), DB: c.db, Logger: log}
	s.audit.Observe(s.metrics, "events")
	c.keys.Observe(s.metrics)
	postgres.Observe(s.metrics, c.db)
	s.sweeper = newSweeper(c, log, s.metrics)
	if err := s.openTLS(); err != nil {
		return nil, err
	}
	if s.pages, err = page.New(cfg.Issuer, cfg.Brand); err != nil {
		return nil, err
	}
	devices := session.Devices{Secure: cfg.secure()}
	s.devices = &device.Authorizations{Redis: c.redis, Now: now}
	s.asked = &ciba.Requests{
		DB: c.db, Users: c.accounts, Jobs: c.jobs, Limit: c.limiter(), Canonical: account.Canonical, Now: now,
		Keyring: func() *sealed.Keyring { return c.keys.DataKeys("code") },
	}
	var clientCAs oauth.ClientCAs
	if s.clientCAs != nil {
		clientCAs = s.clientCAs
	}
	s.provider, err = oauth.New(oauth.Dependencies{
		Config: oauth.Config{
			Issuer: cfg.Issuer, AccessTokenLifespan: cfg.AccessTokenLifespan,
			JWKSLifetime: keys.JWKSLifetime, ResourceServers: cfg.ResourceServers, DPoPNonceRequired: cfg.DPoPNonceRequired,
			Registration: !cfg.Registration.Off(), FrontChannel: cfg.ImplicitFlow, MTLSURL: cfg.TLS.MTLSURL,
		},
		Clients: c.clients, Keys: c.keys, Sessions: c.sessions, Users: c.accounts, APIKeys: c.apiKeys, ClientCAs: clientCAs,
		Consents: s.consents(), Flows: s.flows(devices), Devices: s.devices, Backchannel: s.asked, Logouts: c.logouts, Pages: protocolPages{s.pages}, Audit: s.audit, Revocations: s.revoked,
		PublishedKeys: &jwks.Cache{Getter: c.outbound, Now: now}, Fetcher: c.outbound,
		DB: c.db, Redis: c.redis, Now: now, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if cfg.SessionManagement {
		s.provider.BrowserStates = c.sessions
	}
	c.sessions.Ended = s.provider.RevokeSession
	c.sessions.Started = s.rememberSignIn
	c.sessions.Greet = s.greet
	if s.crew, err = s.newCrew(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// greet has the browser spoken to in the language of the account that signs in
// there. Without PostgreSQL's answer it stays with what it spoke.
func (s *server) greet(ctx context.Context, w http.ResponseWriter, r *http.Request, user id.ID) {
	if u, err := s.accounts.User(ctx, user); err == nil {
		s.pages.Remember(w, r, u.Locale())
	}
}

func (s *server) consents() *consent.Consents {
	return &consent.Consents{DB: s.db, Now: s.now}
}

// flows bounds how many authorization requests one network may park.
func (s *server) flows(devices session.Devices) *flow.Flows {
	limiter := s.limiter()
	return &flow.Flows{
		Redis: s.redis, Devices: devices, Secure: s.cfg.secure(), Suggest: s.pages.Suggest,
		Admit: func(r *http.Request) error {
			return limiter.Take(r.Context(), "flow:"+limit.Source(r), limit.Rate{Burst: 600, Every: 100 * time.Millisecond})
		},
	}
}

// public returns what the public listener serves.
func (s *server) public() http.Handler {
	rt := web.NewRouter(s.pages.Error)
	web.Health(rt.With(web.Problem), s.checks()...)
	s.mountBrowser(rt.With(s.pages.Error))
	s.provider.Mount(rt)
	(&registration.Handler{
		Clients: s.clients, Policy: s.cfg.Registration, Issuer: s.cfg.Issuer, ResourceServers: s.cfg.ResourceServers,
		Limiter: s.limiter(), Source: limit.Source,
	}).Mount(rt)
	s.mountAdmin(rt)

	return s.surround(rt)
}

// mountBrowser adds what people see.
func (s *server) mountBrowser(rt *web.Router) {
	devices := session.Devices{Secure: s.cfg.secure()}
	flows := s.flows(devices)
	s.pages.Mount(rt)
	passkeys := &passkey.Handler{
		Passkeys: s.passkeys, Issuer: s.cfg.Issuer, Browsers: s.sessions, Flows: flows, Users: s.accounts, Devices: devices, Pages: s.pages,
		Limits: s.limiter(), Audit: s.audit, Risks: s.signIns, Source: limit.Source, Now: s.now,
	}
	passkeys.Mount(rt)
	second := &mfa.Handler{
		Messages: &onetime.Handler{Codes: s.codes, Browsers: s.sessions, Devices: devices, Pages: s.pages, Source: limit.Source},
		Factors:  s.factors, Passkeys: passkeys, Sessions: s.sessions, Flows: flows, Clients: s.clients, Users: s.accounts, Devices: devices, Pages: s.pages,
		Throttle: &mfa.Throttle{Redis: s.redis, Limiter: s.guesses(), Now: s.now},
		Audit:    s.audit, Risks: s.signIns, Source: limit.Source, Now: s.now,
	}
	second.Mount(rt)
	others := &federation.Handler{
		Identities: s.linked, Sessions: s.sessions, Factors: second, Devices: devices, Pages: s.pages, Audit: s.audit,
		Limits: s.limiter(), Redis: s.redis, Secure: s.cfg.secure(), Source: limit.Source, Now: s.now,
		Keyring: func() *sealed.Keyring { return s.keys.DataKeys("flow") },
	}
	accounts := &account.Handler{
		Factors: second, Enrolments: s.factors, Providers: others,
		Accounts: s.accounts, Sessions: s.sessions, Flows: flows, Clients: s.clients, Devices: devices, Pages: s.pages, Languages: s.pages, Places: s.cfg.places,
		Throttle: &account.Throttle{Redis: s.redis, Limiter: s.guesses(), Devices: s.signIns},
		Audit:    s.audit, Source: limit.Source, Now: s.now,
	}
	accounts.Mount(rt)
	others.Passwords = accounts
	others.Mount(rt)
	others.MountEvents(rt.With(web.Problem))
	s.mountPeople(rt, devices, flows, accounts)
	s.mountKeys(rt, second)
	(&consent.Handler{
		Consents: s.consents(), Sessions: s.sessions, Flows: flows, Clients: s.clients, Users: s.accounts, Names: s.detailNames(),
		Pages: s.pages, Audit: s.audit, Now: s.now,
	}).Mount(rt)
	(&device.Handler{
		Authorizations: s.devices, Sessions: s.sessions, Flows: flows, Clients: s.clients, Users: s.accounts, Consents: s.consents(),
		Names: s.detailNames(), Limiter: s.guesses(), Pages: s.pages, Audit: s.audit, Source: limit.Source, Now: s.now,
	}).Mount(rt)
	(&ciba.Handler{
		Requests: s.asked, Sessions: s.sessions, Clients: s.clients, Consents: s.consents(), Names: s.detailNames(), Pages: s.pages,
		Audit: s.audit, Source: limit.Source,
	}).Mount(rt)
}

// detailNames asks the APIs what authorization details are about.
func (s *server) detailNames() *detailname.Names {
	return &detailname.Names{APIs: s.outbound, Sign: s.provider.SignForPerson, Log: s.log}
}

// rememberSignIn recognises the browser from now on and tells its owner of a new
// one.
func (s *server) rememberSignIn(ctx context.Context, r *http.Request, login oidc.Login) error {
	return s.signIns.Remember(ctx, risk.Visit{
		User: login.Subject, SID: login.SID, Device: session.Devices{Secure: s.cfg.secure()}.Device(r), Source: limit.Source(r), UserAgent: r.UserAgent(),
		RequestID: web.RequestID(ctx), Risk: login.Risk,
	})
}

// mountAdmin adds the admin API, each feature's part behind the same gate.
func (s *server) mountAdmin(rt *web.Router) {
	gate := &admin.Gate{Issuer: s.cfg.Issuer, Verifier: s.provider, Users: s.accounts, Clients: s.clients}
	admin.MountProblems(rt.With(web.Problem))
	routes := gate.Routes(rt)
	(&admin.UserHandler{Users: s.accounts, Create: s.createUser, Cursors: s.cursors}).Mount(routes)
	(&admin.AuditHandler{DB: s.db, Cursors: s.cursors, Now: s.now}).Mount(routes)
	(&client.Handler{Clients: s.clients, Actor: admin.Actor, Cursors: s.cursors}).Mount(routes)
	(&apikey.Handler{Keys: s.apiKeys, Actor: admin.Actor, Cursors: s.cursors}).Mount(routes)
	(&grant.Handler{Grants: s.grants, Actor: admin.Actor, Cursors: s.cursors}).Mount(routes)
	(&keys.Handler{Keys: s.keys, Actor: admin.Actor}).Mount(routes)
}

func (s *server) createUser(ctx context.Context, by audit.Actor, n admin.NewUser) (id.ID, error) {
	return s.accounts.Create(ctx, by, account.NewUser{
		Name: n.Name, Email: n.Email, EmailVerified: n.EmailVerified, Password: n.Password, Operator: n.Operator,
	})
}

// cursors signs with the newest key; a cursor dies with its key, and whoever
// turns pages then begins again.
func (s *server) cursors() paging.Signer {
	var signer paging.Signer
	if all := s.keys.MACKeys("cursor"); len(all) > 0 {
		signer.Key = all[0]
	}
	return signer
}

// secureHeaders sets what every answer carries; pages set stricter ones of
// their own.
func (s *server) secureHeaders(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Referrer-Policy", "no-referrer")
		if s.cfg.secure() {
			header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		h.ServeHTTP(w, r)
	})
}

// untilReady answers 503 to all but health checks until the keys are there:
// without them nothing can be signed, sealed or believed.
func (s *server) untilReady(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			if err := s.keys.Ready(); err != nil {
				web.Problem(w, r, err)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

// checks are what /readyz asks.
func (s *server) checks() []web.Check {
	return []web.Check{
		s.leaving.Check(),
		{Name: "The start", Ping: func(context.Context) error { return s.boot.pending() }},
		{Name: "PostgreSQL", Ping: s.db.Ping},
		{Name: "Redis", Ping: func(ctx context.Context) error { return cache.Translate(s.redis.Ping(ctx).Err()) }},
		{Name: "The key store", Ping: func(context.Context) error { return s.keys.Ready() }},
	}
}

// start brings the server to the point where it may answer, trying until
// PostgreSQL is there, and then looks after the keys. Its error means that
// trying again is no use.
func (s *server) start(ctx context.Context) error {
	for {
		err := s.prepare(ctx)
		s.boot.report(err)
		if err == nil {
			break
		}
		var final *finalError
		if errors.As(err, &final) || errors.Is(err, sealed.ErrOpen) {
			return err
		}
		if ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "not ready yet", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryEvery):
		}
	}
	s.keys.Run(ctx)
	return nil
}

// finalError is one that only an operator can mend.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// prepare migrates where it may, checks the role and loads the keys.
func (s *server) prepare(ctx context.Context) error {
	if err := postgres.CheckVersion(ctx, s.db, schema, migrations.Authserver()); err != nil {
		// A pool whose server is away has nothing to migrate; one whose schema
		// is missing or old does, if we were given the owner.
		if s.cfg.MigrateDatabaseURL == "" || fault.Is(err, fault.Unavailable) {
			return err
		}
		if err := migrate(ctx, s.cfg); err != nil {
			return err
		}
	}
	if err := postgres.CheckRole(ctx, s.db, schema); err != nil {
		if fault.Is(err, fault.Unavailable) {
			return err
		}
		return &finalError{fmt.Errorf("AUTHSERVER_DATABASE_URL: %w", err)}
	}
	return s.keys.Load(ctx)
}

func migrate(ctx context.Context, cfg Config) error {
	return postgres.Migrate(ctx, cfg.MigrateDatabaseURL, schema, migrations.Authserver())
}

// cores is how many processors we may use, and so how many passwords are hashed
// at once.
func cores() int {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.SetDefaultGOMAXPROCS() // what leaveRoom added does not count
	}
	return runtime.GOMAXPROCS(0)
}

// leaveRoom lets twice as many threads run Go code as there are cores: while one
// computes a signature, another looks at the network. Discovery and JWKS gain a
// sixth by it. GOMAXPROCS overrides.
func leaveRoom() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * cores())
	}
}
