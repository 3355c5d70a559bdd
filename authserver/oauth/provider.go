package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/dpop"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/revocation"
	"larder/internal/secret"
	"larder/internal/web"
)

// Config is what an operator may choose. A zero duration means the default.
type Config struct {
	Issuer              string        // https origin, without a trailing slash
	AccessTokenLifespan time.Duration // 5 minutes
	IDTokenLifespan     time.Duration // 10 minutes
	CodeLifespan        time.Duration // 60 seconds
	RefreshIdle         time.Duration // 30 days: how long a refresh token may lie unused
	RefreshAbsolute     time.Duration // 90 days: how long a grant lives however it is used
	RefreshGrace        time.Duration // 30 seconds: how long a used refresh token gets its successor again
	JWKSLifetime        time.Duration // 5 minutes: how long the key rotation lets others cache the JWKS
	ResourceServers     []oidc.ResourceServer
	FrontChannel        bool   // the implicit and the hybrid flow (OpenID Connect Core §3.2, §3.3)
	Registration        bool   // whether clients can register themselves, at /connect/register
	DPoPNonceRequired   bool   // refuse a DPoP proof without a nonce of ours (RFC 9449 §8)
	MTLSURL             string // where clients show certificates (RFC 8705 §5), without a trailing slash; "" for nowhere
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&c.AccessTokenLifespan, 5 * time.Minute},
		{&c.IDTokenLifespan, 10 * time.Minute},
		{&c.CodeLifespan, time.Minute},
		{&c.RefreshIdle, 30 * 24 * time.Hour},
		{&c.RefreshAbsolute, 90 * 24 * time.Hour},
		{&c.RefreshGrace, 30 * time.Second},
		{&c.JWKSLifetime, 5 * time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	return c
}

// Clients finds registered clients; an unknown or disabled one is
// fault.NotFound. Secrets are those of one that signs with them.
type Clients interface {
	Client(ctx context.Context, clientID string) (*oidc.Client, error)
	Secrets(ctx context.Context, client *oidc.Client) ([]secret.String, error)
}

// Signer makes and checks compact JWS (RFC 7515). Verify takes the algorithm
// from the published key, never from the token, and accepts only the given
// typ headers.
type Signer interface {
	Sign(ctx context.Context, alg, typ string, payload []byte) (string, error)
	Verify(token string, typ ...string) (payload []byte, alg string, err error)
}

// KeySet is what we publish of our signing keys.
type KeySet interface {
	JWKS() []byte
	Algorithms() []string
}

// Keys signs, publishes and authenticates. MACKeys gives the keys of a
// purpose, the one to use first.
type Keys interface {
	Signer
	KeySet
	MACKeys(purpose string) [][]byte
}

// Sessions knows who is signed in at this browser; nil when nobody is. End
// also takes the cookie away; EndSID ends a session from afar, by its sid.
type Sessions interface {
	Current(r *http.Request) (*oidc.Login, error)
	End(ctx context.Context, w http.ResponseWriter, r *http.Request) error
	EndSID(ctx context.Context, sid string) error
}

// Consents remembers what a person has agreed to.
type Consents interface {
	Covered(ctx context.Context, user id.ID, clientID string, scopes, resources []string) (bool, error)
}

// Users finds people; a deleted one is fault.NotFound.
type Users interface {
	User(ctx context.Context, subject id.ID) (*oidc.User, error)
}

// APIKeys judges API keys; one that is not in force is fault.Unauthenticated.
type APIKeys interface {
	Introspect(ctx context.Context, key, from string) (*oidc.APIKey, error)
	Revoke(ctx context.Context, keyID id.ID, by audit.Actor) error
}

// Flows parks an authorization request, bound to the browser that made it.
// Finish reports whether this call was the one that ended it.
type Flows interface {
	Begin(ctx context.Context, w http.ResponseWriter, r *http.Request, req oidc.AuthRequest) (flowID string, err error)
	Resume(ctx context.Context, r *http.Request, flowID string) (req *oidc.AuthRequest, approvedSID string, denied bool, err error)
	Finish(ctx context.Context, flowID string) (first bool, err error)
}

// Pages shows people what no client will.
type Pages interface {
	Error(w http.ResponseWriter, r *http.Request, err error)
	ConfirmLogout(w http.ResponseWriter, r *http.Request, clientName string, hidden map[string]string)
	LoggedOut(w http.ResponseWriter, r *http.Request, page oidc.LoggedOut)
	// FormPost writes nothing when it returns an error.
	FormPost(w http.ResponseWriter, r *http.Request, response oidc.FormPost) error
}

// Auditor takes audit events off the request's path.
type Auditor interface {
	Put(e audit.Event)
}

// Dependencies are what a Provider is made of. All are mandatory but APIKeys,
// BrowserStates, and ClientCAs, without which there is no tls_client_auth.
type Dependencies struct {
	Config   Config
	Clients  Clients
	Keys     Keys
	Sessions Sessions
	Consents Consents
	Users    Users
	APIKeys  APIKeys
	// ClientCAs vouch for clients with tls_client_auth.
	ClientCAs ClientCAs
	Flows     Flows
	Devices   DeviceAuthorizations
	// Backchannel keeps the requests of OpenID CIBA Core.
	Backchannel BackchannelRequests
	Logouts     Logouts
	// PublishedKeys and Fetcher reach addresses that clients chose.
	PublishedKeys PublishedKeys
	Fetcher       Fetcher
	// BrowserStates is nil where there is no session management.
	BrowserStates BrowserStates
	Pages         Pages
	Audit         Auditor
	Revocations   *revocation.Set
	DB            *pgxpool.Pool
	Redis         redis.UniversalClient
	Now           func() time.Time
	Log           *slog.Logger
}

// Provider answers the protocol endpoints.
type Provider struct {
	Dependencies
	engine *engine
	codes  *codeStore
	pushed *pushedStore
	grants *grantStore
	limits *limit.Limiter
	jwks   atomic.Pointer[document]

	proofs   *dpop.Verifier
	verified verifiedTokens
}

// New returns a provider over its dependencies.
func New(d Dependencies) (*Provider, error) {
	if d.Config.Issuer == "" || d.Clients == nil || d.Keys == nil || d.Sessions == nil || d.Consents == nil || d.Users == nil ||
		d.Flows == nil || d.Devices == nil || d.Backchannel == nil || d.Logouts == nil || d.PublishedKeys == nil || d.Fetcher == nil || d.Pages == nil || d.Audit == nil || d.Revocations == nil || d.DB == nil || d.Redis == nil || d.Now == nil || d.Log == nil {
		return nil, errors.New("oauth: a dependency is missing")
	}
	d.Config = d.Config.withDefaults()
	p := &Provider{Dependencies: d}
	p.proofs = newProofs(d)
	p.codes = &codeStore{redis: d.Redis}
	p.pushed = &pushedStore{redis: d.Redis}
	p.limits = &limit.Limiter{Redis: d.Redis, DB: d.DB}
	p.grants = &grantStore{db: d.DB, keys: d.Keys, revocations: d.Revocations, cfg: d.Config, now: d.Now}
	p.engine = newEngine(p)
	return p, nil
}

// Mount adds every protocol endpoint to rt.
func (p *Provider) Mount(rt *web.Router) {
	p.mountMetadata(rt) // first, because routes are tried in order and these are asked most

	browser := rt.With(p.writeAuthorizeError)
	browser.Handle(http.MethodGet, "/authorize", p.handleAuthorize)
	browser.Handle(http.MethodPost, "/authorize", p.handlePostedAuthorize)
	browser.Handle(http.MethodGet, "/authorize/posted", p.handlePosted)
	browser.Handle(http.MethodGet, "/authorize/continue", p.handleContinue)

	p.mountToken(rt)
	p.mountPushed(rt)
	p.mountDevice(rt)
	p.mountBackchannel(rt)
	p.mountTokens(rt)
	p.mountLogout(rt)
	p.mountSessionManagement(rt)
}

// endpoint is the absolute address of one of ours.
func (p *Provider) endpoint(path string) string { return p.Config.Issuer + path }
