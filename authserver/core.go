package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"larder/authserver/account"
	"larder/authserver/apikey"
	"larder/authserver/client"
	"larder/authserver/federation"
	"larder/authserver/grant"
	"larder/authserver/holder"
	"larder/authserver/keys"
	"larder/authserver/logout"
	"larder/authserver/mfa"
	"larder/authserver/onetime"
	"larder/authserver/passkey"
	"larder/authserver/personkey"
	"larder/authserver/session"
	"larder/internal/auditchain"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/jobs"
	"larder/internal/limit"
	"larder/internal/link"
	"larder/internal/outbound"
	"larder/internal/password"
	"larder/internal/postgres"
	"larder/internal/risk"
	"larder/internal/sealed"
)

// passwordQueue is how many password checks may wait for their turn.
const passwordQueue = 64

// What clients publish is fetched, and what they want to hear of is sent, within
// these bounds.
const (
	publishedTimeout = 5 * time.Second
	publishedBody    = 64 << 10 // bytes
)

// core is what the server and the subcommands share: the same code creates a
// client whether an operator types it or posts it.
type core struct {
	db       *pgxpool.Pool
	redis    *redis.Client // nil for subcommands that need none
	keys     *keys.Keys
	clients  *client.Clients
	apiKeys  *apikey.Keys
	ownKeys  *personkey.Keys
	grants   *grant.Grants
	sessions *session.Sessions
	accounts *account.Accounts
	links    *link.Links
	jobs     *jobs.Queue
	factors  *mfa.Factors
	logouts  *logout.Notices
	outbound *outbound.Client
	passkeys *passkey.Passkeys
	linked   *federation.Identities
	signIns  *risk.SignIns
	codes    *onetime.Codes
	erasures *holder.Journal
	chain    *auditchain.Chain
}

// openCore connects nothing yet: the first use does.
func openCore(ctx context.Context, cfg Config, now func() time.Time, log *slog.Logger) (*core, error) {
	db, err := postgres.Open(ctx, cfg.DatabaseURL, cfg.DatabaseConns)
	if err != nil {
		return nil, err
	}
	c := &core{db: db, outbound: outbound.New(outbound.Config{Timeout: publishedTimeout, MaxBody: publishedBody, AllowLoopback: cfg.Development})}
	if cfg.RedisURL != "" {
		if c.redis, err = cache.Open(cfg.RedisURL); err != nil {
			db.Close()
			return nil, err
		}
	}
	c.chain = &auditchain.Chain{
		Tables: auditchain.Auth(), Begin: func(ctx context.Context, f func(pgx.Tx) error) error { return pgx.BeginFunc(ctx, db, f) },
		Seals: cfg.AuditSeals, Now: now, Log: log, Kept: cfg.AuditRetention,
	}
	c.keys = &keys.Keys{DB: db, KEK: cfg.KEK, Now: now, Log: log}
	c.clients = &client.Clients{
		DB: db, Rules: cfg.clientRules(c.outbound.CheckURL), Now: now, Log: log,
		Fetch:   c.outbound,
		Keyring: func(ctx context.Context) (*sealed.Keyring, error) { return c.clientSecretKeys(ctx, cfg) },
	}
	c.apiKeys = &apikey.Keys{DB: db, Scopes: cfg.apiScopes(), Now: now, Log: log}
	c.grants = &grant.Grants{DB: db, Now: now}
	c.sessions = &session.Sessions{
		Redis: c.redis, Secure: cfg.secure(), Now: now, Managed: cfg.SessionManagement,
		Keyring: func() *sealed.Keyring { return c.keys.DataKeys("session") },
	}
	if c.jobs, err = jobs.NewQueue(db, schema, log); err != nil {
		c.close()
		return nil, err
	}
	c.ownKeys = &personkey.Keys{DB: db, Jobs: c.jobs, Generate: apikey.Generate, Now: now, Log: log}
	c.logouts = &logout.Notices{DB: db, Jobs: c.jobs}
	c.sessions.EndedUser = c.logouts.UserEnded
	c.links = &link.Links{DB: db, Issuer: cfg.Issuer, Keys: func() [][]byte { return c.keys.MACKeys(linkKeys) }, Now: now}
	c.accounts = &account.Accounts{
		DB: db, Sessions: c.sessions, Links: c.links, Jobs: c.jobs, Policy: cfg.People.policy(log), Now: now,
		Hasher: password.NewHasher(password.Recommended(), cores(), passwordQueue),
	}
	if cfg.program != "" {
		c.accounts.Hasher.Workers = &password.Workers{Program: cfg.program}
	}
	c.sessions.Stands = c.accounts.Stands
	c.accounts.SessionEnded = c.logouts.SessionEnded
	c.signIns = &risk.SignIns{DB: db, Jobs: c.jobs, Links: c.links, Places: cfg.places, Now: now}
	c.factors = &mfa.Factors{
		DB: db, Redis: c.redis, Sessions: c.sessions, Jobs: c.jobs, Now: now, Service: cfg.Brand.Name,
		Keyring: func() *sealed.Keyring { return c.keys.DataKeys("mfa") },
		MACKeys: func() [][]byte { return c.keys.MACKeys("mfa") },
	}
	c.codes = &onetime.Codes{
		DB: db, Jobs: c.jobs, Teller: c.factors, Limits: c.guesses(), SMS: cfg.People.texts(c.outbound) != nil, Now: now,
		MACKeys: func() [][]byte { return c.keys.MACKeys("mfa") },
	}
	c.passkeys = &passkey.Passkeys{
		DB: db, Redis: c.redis, RP: passkey.RelyingParty(cfg.Issuer, cfg.Brand.Name), Factors: c.factors, Sessions: c.sessions, Now: now,
	}
	c.linked = &federation.Identities{
		DB: db, Accounts: c.accounts, Jobs: c.jobs, Providers: cfg.Federation.providers(cfg, now), Now: now,
		Keyring: func() *sealed.Keyring { return c.keys.DataKeys("federation") },
	}
	c.erasures = &holder.Journal{DB: db, Jobs: c.jobs, Holders: cfg.Holders, Now: now}
	c.accounts.Leaving = func(ctx context.Context, tx pgx.Tx, user id.ID) error {
		if err := c.linked.Leaving(ctx, tx, user); err != nil {
			return err
		}
		return c.erasures.Leaving(ctx, tx, user)
	}
	return c, nil
}

// clientSecretKeys seal the secrets that must be read again. A subcommand has
// not loaded them yet, and most do without them.
func (c *core) clientSecretKeys(ctx context.Context, cfg Config) (*sealed.Keyring, error) {
	if cfg.KEK == nil {
		return nil, fault.New(fault.Invalid, "client_secret_jwt needs AUTHSERVER_KEY_ENCRYPTION_KEYS, to seal the secret with.")
	}
	if c.keys.Ready() != nil {
		if err := c.keys.Load(ctx); err != nil {
			return nil, err
		}
	}
	return c.keys.DataKeys("client_secret"), nil
}

// limiter counts in Redis, and in PostgreSQL while that is away.
func (c *core) limiter() *limit.Limiter { return &limit.Limiter{Redis: c.redis, DB: c.db} }

// guesses counts what must not be forgotten, in both.
func (c *core) guesses() *limit.Limiter {
	return &limit.Limiter{Redis: c.redis, DB: c.db, Lasting: true}
}

func (c *core) close() {
	if c.accounts != nil {
		c.accounts.Hasher.Workers.Close()
	}
	c.db.Close()
	if c.signIns != nil {
		_ = c.signIns.Places.Close()
	}
	if c.redis != nil {
		_ = c.redis.Close()
	}
}
