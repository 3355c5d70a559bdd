package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	auditlog "larder/internal/audit"
	"larder/internal/auditchain"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/mtls"
	"larder/internal/outbound"
	"larder/internal/paging"
	"larder/internal/postgres"
	"larder/internal/sealed"
	"larder/internal/secret"
	"larder/internal/sweep"
	"larder/internal/telemetry"
	"larder/internal/tlsfile"
	"larder/internal/web"
	"larder/migrations"
	"larder/resourceapi/app"
	"larder/resourceapi/audit"
	"larder/resourceapi/authzen"
	"larder/resourceapi/bearer"
	"larder/resourceapi/diet"
	"larder/resourceapi/erasure"
	"larder/resourceapi/family"
	"larder/resourceapi/feed"
	"larder/resourceapi/idempotency"
	"larder/resourceapi/invite"
	"larder/resourceapi/item"
	"larder/resourceapi/list"
	"larder/resourceapi/pantry"
	"larder/resourceapi/policy"
	"larder/resourceapi/portable"
	"larder/resourceapi/quota"
	"larder/resourceapi/recipe"
	"larder/resourceapi/recurring"
	"larder/resourceapi/rules"
	"larder/resourceapi/store"
	"larder/resourceapi/suggest"
	"larder/resourceapi/sync"
	"larder/resourceapi/tenant"
	"larder/resourceapi/webhook"
)

const (
	schema         = "grocery"
	requestTimeout = 15 * time.Second // a request gives up on a database that does not answer
	checkEvery     = time.Second
	webhookTimeout = 10 * time.Second
	webhookAnswer  = 64 << 10 // bytes; nobody reads them
)

// server is the service put together.
type server struct {
	cfg         Config
	patience    time.Duration // of a request
	log         *slog.Logger
	registry    *prometheus.Registry
	pool        *pgxpool.Pool
	redis       *redis.Client // nil where none is configured
	gate        *bearer.Gate
	policies    *policy.Engine
	denials     *auditlog.Queue
	reads       *auditlog.Hourly
	tenants     *tenant.DB
	feeds       *feed.Hub
	courier     *webhook.Courier
	orders      *recurring.Recurring
	certificate *tlsfile.Certificate // nil where a proxy speaks TLS
	keeper      *idempotency.Keeper
	quotas      *quota.Quotas
	invitations *invite.Mails
	chain       *auditchain.Chain
	sweeper     *sweep.Sweeper
	leaving     web.Departure
	confined    atomic.Bool // the database role was found to be bound by row-level security

	api *web.Router // what lies below /v1
}

// newServer puts the service together. Neither the database nor the issuer need
// answer yet.
func newServer(ctx context.Context, cfg Config, log *slog.Logger, now func() time.Time) (*server, error) {
	s := &server{cfg: cfg, patience: requestTimeout, log: log, registry: telemetry.Registry(), leaving: web.Departure{Delay: cfg.ShutdownDelay}}
	var err error
	if s.pool, err = postgres.Open(ctx, cfg.DatabaseURL, cfg.DatabaseConns); err != nil {
		return nil, err
	}
	if cfg.TLSCert != "" {
		if s.certificate, err = tlsfile.Open(cfg.TLSCert, cfg.TLSKey, now, log); err != nil {
			return nil, err
		}
	}
	if s.gate, err = s.newGate(now); err != nil {
		return nil, err
	}
	if s.policies, err = policy.New(log, s.registry, cfg.PolicyDir); err != nil {
		return nil, err
	}
	cursors, err := cursorKey(cfg.ClientSecret)
	if err != nil {
		return nil, err
	}
	s.denials = &auditlog.Queue{Log: auditlog.Grocery(), DB: s.pool, Logger: log, Prepare: tenant.PrepareDenial}
	s.reads = &auditlog.Hourly{
		Queue: &auditlog.Queue{Log: auditlog.Grocery(), DB: s.pool, Logger: log, Prepare: tenant.PrepareDenial}, Now: now,
	}
	s.denials.Observe(s.registry, "denials")
	s.reads.Queue.Observe(s.registry, "reads")
	postgres.Observe(s.registry, s.pool)
	secrets, err := sealingKeys(cfg)
	if err != nil {
		return nil, err
	}
	hooks := outbound.New(outbound.Config{Timeout: webhookTimeout, MaxBody: webhookAnswer, AllowLoopback: cfg.Development})
	s.feeds = feed.NewHub(s.gate, s.pool, now, log, s.registry)
	presumptions, err := tenant.NewPresumptions()
	if err != nil {
		return nil, err
	}
	s.tenants = &tenant.DB{Pool: s.pool, Authorizer: s.policies, Denials: s.denials, Reads: s.reads, Presumptions: presumptions, Now: now}
	if s.quotas, err = s.newQuotas(now); err != nil {
		return nil, err
	}
	s.tenants.Quota = s.quotas
	s.courier = webhook.NewCourier(s.tenants, secrets, hooks, log, s.registry)
	s.feeds.Heard = s.courier.Changed // the replica of a change need not be the one that knows the webhooks
	s.tenants.Changed = func(family id.ID) {
		s.feeds.Changed(family)
		s.courier.Changed(family)
	}
	seals, err := auditSeals(cfg)
	if err != nil {
		return nil, err
	}
	s.chain = &auditchain.Chain{Tables: auditchain.Grocery(), Begin: s.tenants.Keeper, Seals: seals, Now: now, Log: log, Kept: cfg.AuditRetention}
	s.keeper = &idempotency.Keeper{Keys: secrets, Report: s.gate.Problem}
	s.api = web.NewRouter(s.gate.Problem)
	s.orders = recurring.New(s.tenants, &item.Items{DB: s.tenants}, log)
	if s.invitations, err = s.newMails(ctx, secrets); err != nil {
		return nil, err
	}
	s.invitations.Observe(s.registry)
	s.sweeper = sweep.New(log, s.registry, append(s.tenants.Sweeps(),
		sweep.Task{Table: "audit_events", Do: s.chain.Forget}, sweep.Task{Table: "invitations", Do: s.invitations.SweepOver})...)
	mountFeatures(s.api, s.tenants, s.quotas, cursors, s.orders, s.invitations)
	(&erasure.Erasures{DB: s.tenants, Issuer: cfg.Issuer}).Mount(s.api)
	diets := &diet.Diets{DB: s.tenants, Keys: secrets}
	diets.Mount(s.api)
	portable.New(s.tenants, diets).Mount(s.api)
	(&audit.Log{DB: s.tenants, Cursors: cursors, Chain: s.chain}).Mount(s.api)
	(&feed.Feed{DB: s.tenants, Hub: s.feeds}).Mount(s.api)
	(&webhook.Webhooks{DB: s.tenants, Cursors: cursors, Secrets: secrets, Addresses: hooks, Registered: s.courier.Know}).Mount(s.api)
	return s, nil
}

func (s *server) newGate(now func() time.Time) (*bearer.Gate, error) {
	config := bearer.Config{
		Issuer: s.cfg.Issuer, Resource: s.cfg.Resource, Scopes: policy.Scopes(),
		ClientID: s.cfg.ClientID, ClientSecret: s.cfg.ClientSecret, DPoPNonceRequired: s.cfg.DPoPNonceRequired,
		Certificates: s.cfg.takesCertificates(),
	}
	if s.cfg.RedisURL != "" {
		var err error
		if s.redis, err = cache.Open(s.cfg.RedisURL); err != nil {
			return nil, err
		}
		config.Redis = s.redis
	}
	return bearer.New(config, now, s.log, s.registry)
}

func (s *server) newQuotas(now func() time.Time) (*quota.Quotas, error) {
	var shared redis.Cmdable // nil and not a nil client, where there is none
	if s.redis != nil {
		shared = s.redis
	}
	leases, err := limit.NewLeases(shared, now)
	return &quota.Quotas{
		Leases: leases, Report: s.gate.Problem,
		Principal: s.cfg.QuotaPrincipal, Family: s.cfg.QuotaFamily, Address: s.cfg.QuotaAddress,
	}, err
}

// close lets go of the stores.
func (s *server) close() {
	s.pool.Close()
	if s.redis != nil {
		_ = s.redis.Close() // nothing is left to tell it
	}
}

// mountFeatures is the list of everything there is below /v1. Routes are tried
// in this order, so what is asked for most stands first.
func mountFeatures(rt *web.Router, db *tenant.DB, quotas *quota.Quotas, cursors paging.Signer, orders *recurring.Recurring, mails *invite.Mails) {
	lists, items := &list.Lists{DB: db, Cursors: cursors}, &item.Items{DB: db, Cursors: cursors}
	items.Mount(rt)
	lists.Mount(rt)
	stores, pantries, recipes, favourites := store.New(db), pantry.New(db, items), recipe.New(db, items), suggest.NewFavourites(db)
	shelves := map[string]sync.Shelf{
		stores.Noun: stores, pantries.Noun: pantries, recipes.Noun: recipes, orders.Noun: orders, favourites.Noun: favourites,
	}
	(&sync.Sync{DB: db, Quota: quotas, Items: items, Lists: lists, Kitchen: shelves}).Mount(rt)
	(&family.Families{DB: db}).Mount(rt)
	(&rules.Rules{DB: db}).Mount(rt)
	(&invite.Invitations{DB: db, Mails: mails}).Mount(rt)
	stores.Mount(rt)
	(&suggest.Suggestions{DB: db}).Mount(rt)
	favourites.Mount(rt)
	pantries.Mount(rt)
	recipes.Mount(rt)
	orders.Mount(rt)
	(&app.Apps{DB: db}).Mount(rt)
	(&authzen.Decisions{DB: db, Cursors: cursors}).Mount(rt)
}

// cursorKey derives the key of cursors from a secret that all replicas share.
func cursorKey(from secret.String) (paging.Signer, error) {
	key, err := hkdf.Key(sha256.New, []byte(from.Reveal()), nil, "larder resourceapi cursor", sha256.Size)
	return paging.Signer{Key: key}, err
}

// sealingKeys returns what seals secrets of webhooks, diets, invitations and
// kept answers. All replicas hold it.
func sealingKeys(cfg Config) (*sealed.Keyring, error) {
	derived, err := hkdf.Key(sha256.New, []byte(cfg.ClientSecret.Reveal()), nil, "larder resourceapi webhook", sealed.KeySize)
	if err != nil {
		return nil, err
	}
	return sealed.NewKeyring(append(slices.Clone(cfg.KeyEncryptionKeys), derived)...)
}

// public is what the public listener serves.
func (s *server) public() http.Handler {
	rt := web.NewRouter(s.gate.Problem)
	web.Health(rt, s.checks()...)
	s.gate.Mount(rt)
	mountDocument(rt, s.cfg.Issuer, s.policies)
	authzen.MountConfiguration(rt, s.cfg.Resource)
	rt.HandlePrefix("/v1/", s.gated(s.quotas.Wrap(s.keeper.Wrap(s.api))))
	rt.HandlePrefix("/access/v1/", s.gated(s.quotas.Wrap(s.api)))
	observer := &web.Observer{Log: s.log, Now: s.tenants.Now, Report: s.gate.Problem}
	h := web.Modest(s.quotas.Documents(rt), s.gate.Problem)
	h = observer.Wrap(headers(h, strings.HasPrefix(s.cfg.Resource, "https://")), s.registry)
	h = web.BehindProxies(h, s.cfg.TrustedProxies)
	return mtls.Handler(h, s.cfg.CertProxies) // first, while the peer's address is the peer's
}

// gated lets authenticated requests through to next, once the database role is
// known to be confined.
func (s *server) gated(next http.Handler) http.Handler {
	enter := s.gate.Handler(func(w http.ResponseWriter, r *http.Request) error {
		if !s.confined.Load() {
			return fault.New(fault.Unavailable, "The service is starting. Please try again.")
		}
		next.ServeHTTP(w, r)
		return nil
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := r.Context(), context.CancelFunc(func() {})
		if !streams(r.URL.Path) {
			ctx, cancel = context.WithTimeout(ctx, s.patience)
		}
		defer cancel()
		r = r.WithContext(tenant.WithSource(ctx, source(r)))
		if err := enter(w, r); err != nil {
			err = s.quotas.Refused(w, r, err)
			web.Annotate(ctx, slog.String("refused", err.Error()))
			s.gate.Problem(w, r, err)
		}
	})
}

// streams reports whether an answer takes as long as it takes: it bounds each
// of its readings itself.
func streams(path string) bool {
	return strings.HasSuffix(path, "/feed") || strings.HasSuffix(path, "/export") || strings.HasSuffix(path, "/export.csv")
}

// maxBody lets a file be larger than any other body.
func maxBody(r *http.Request) int64 {
	if strings.HasSuffix(r.URL.Path, "/import") {
		return portable.MaxBody
	}
	return web.MaxBody
}

func source(r *http.Request) tenant.Source {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return tenant.Source{UserAgent: r.UserAgent()}
	}
	return tenant.Source{IP: peer.Addr().Unmap(), UserAgent: r.UserAgent()}
}

func (s *server) checks() []web.Check {
	return []web.Check{
		s.leaving.Check(),
		{Name: "The database", Ping: func(ctx context.Context) error {
			if !s.confined.Load() {
				return fault.New(fault.Unavailable, "the database has not been checked yet")
			}
			return s.pool.Ping(ctx)
		}},
		{Name: "The identity provider", Ping: s.gate.Ping},
	}
}

// listeners are the public one, the internal one and, where clients show
// certificates to us, a third, which serves the same: on the first, browsers
// would be asked for certificates too.
func (s *server) listeners(public http.Handler) []web.Listener {
	all := []web.Listener{
		{Name: "public", Addr: s.cfg.Addr, Handler: public, MaxBody: maxBody},
		{Name: "internal", Addr: s.cfg.InternalAddr, Handler: web.Internal(s.registry, s.checks()...)},
	}
	if s.certificate != nil {
		all[0].TLS = s.certificate.Server(false)
	}
	if s.cfg.MTLSAddr != "" {
		all = append(all, web.Listener{Name: "mtls", Addr: s.cfg.MTLSAddr, Handler: public, TLS: s.certificate.Server(true), MaxBody: maxBody})
	}
	return all
}

// serve answers until ctx is done and what is in flight has drained.
func (s *server) serve(ctx context.Context) error {
	defer s.close()
	ctx, stop := s.leaving.After(ctx)
	defer stop()
	// Background work outlives the listeners, so that the last denials are written.
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var work errgroup.Group
	work.Go(func() error { s.gate.Run(background); return nil })
	work.Go(func() error { s.policies.Run(background); return nil })
	// Streams end when draining begins: they would never end by themselves.
	work.Go(func() error { s.feeds.Run(ctx); return nil })
	work.Go(func() error { s.denials.Run(background); return nil })
	work.Go(func() error { s.reads.Run(background); return nil })
	work.Go(func() error { s.chain.Run(background); return nil })
	work.Go(func() error { s.sweeper.Run(background); return nil })
	work.Go(func() error { s.courier.Run(ctx); return nil })
	work.Go(func() error { s.orders.Run(ctx); return nil })
	work.Go(func() error { s.invitations.Run(ctx); return nil })
	work.Go(func() error {
		err := s.confine(background)
		if err != nil {
			stop()
		}
		return err
	})
	err := web.Serve(ctx, s.log, s.listeners(s.public()), nil)
	end()
	if failed := work.Wait(); err == nil {
		err = failed
	}
	return err
}

// confine waits for the database, then checks that row-level security binds our
// role and that the schema is there. A role that it does not bind ends the
// service.
func (s *server) confine(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		err := postgres.CheckRole(ctx, s.pool, schema)
		if err == nil {
			err = s.migrated(ctx)
		} else if !fault.Is(err, fault.Unavailable) && ctx.Err() == nil {
			return err
		}
		if err == nil {
			s.confined.Store(true)
			return nil
		}
		s.log.LogAttrs(ctx, slog.LevelWarn, "waiting for the database", slog.String("error", err.Error()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// migrated brings the schema to our version where we were given its owner.
func (s *server) migrated(ctx context.Context) error {
	err := postgres.CheckVersion(ctx, s.pool, schema, migrations.ResourceAPI())
	if err == nil || s.cfg.MigrateDatabaseURL == "" || fault.Is(err, fault.Unavailable) {
		return err
	}
	return postgres.Migrate(ctx, s.cfg.MigrateDatabaseURL, schema, migrations.ResourceAPI())
}
