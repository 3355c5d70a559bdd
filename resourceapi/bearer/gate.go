package bearer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"larder/internal/dpop"
	"larder/internal/limit"
	"larder/internal/revocation"
	"larder/internal/secret"
	"larder/internal/web"
)

// Config is what a gate needs to know.
type Config struct {
	Issuer       string   // the issuer's URL, compared exactly
	Resource     string   // our own URL: the audience that tokens must name
	Scopes       []string // for the metadata document
	ClientID     string   // with ClientSecret: how we authenticate to the issuer
	ClientSecret secret.String
	// Redis remembers the DPoP proofs that were used (RFC 9449 §11.1). Without
	// it no token that is bound to a key is taken.
	Redis redis.Cmdable
	// DPoPNonceRequired refuses a proof without a nonce of ours (RFC 9449 §9).
	DPoPNonceRequired bool
	// Certificates says that clients can show theirs here (RFC 8705). Tokens
	// that are bound to one are for the clients that do.
	Certificates bool
}

// Gate authenticates requests. It is safe for concurrent use. Run keeps what
// it knows of the issuer fresh; without it, it learns on demand.
type Gate struct {
	config      Config
	metadataURL string
	now         func() time.Time
	log         *slog.Logger

	issuer       *issuer
	keys         *keySource
	introspector *introspector
	feed         *feed
	verified     *cache[verified]
	proofs       *dpop.Verifier // nil without Redis
	metrics      *metrics
}

// New returns a gate. The issuer need not answer yet.
func New(config Config, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) (*Gate, error) {
	if config.ClientID == "" || config.ClientSecret == "" {
		return nil, errors.New("the client credentials for the issuer are missing")
	}
	metadataURL, err := wellKnown(config.Resource, resourceMetadata)
	if err != nil {
		return nil, err
	}
	iss, err := newIssuer(config, now)
	if err != nil {
		return nil, err
	}
	g := &Gate{
		config: config, metadataURL: metadataURL, now: now, log: log,
		issuer: iss,
	}
	if g.verified, err = lru.New[digest, verified](maxVerified); err != nil {
		return nil, err
	}
	if g.proofs, err = newProofs(config, now); err != nil {
		return nil, err
	}
	g.feed = &feed{issuer: iss, now: now, log: log, revoked: &revocation.Set{}}
	g.metrics = newMetrics(reg, g.feed.age)
	g.keys = &keySource{issuer: iss, now: now, log: log, fetches: g.metrics.fetches}
	g.introspector, err = newIntrospector(iss, g.feed, now, config.Resource)
	return g, err
}

// Run follows the issuer's keys and revocations until ctx is done. Issuer
// outages are logged and waited out.
func (g *Gate) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { g.keys.run(ctx) })
	wg.Go(func() { g.feed.run(ctx) })
	wg.Wait()
}

// Ping reports whether credentials can be checked: for /readyz.
func (g *Gate) Ping(ctx context.Context) error {
	if _, err := g.keys.current(ctx); err != nil {
		return err
	}
	return g.feed.known(ctx)
}

// Authenticate says who makes the request. Errors are fault.Unauthenticated
// (nobody, or nobody we believe), fault.Invalid (the header makes no sense) and
// fault.Unavailable (the issuer is needed and does not answer).
func (g *Gate) Authenticate(r *http.Request) (*Caller, error) {
	shown, err := readCredential(r.Header)
	if err != nil {
		g.metrics.count("none", err)
		return nil, err
	}
	if strings.Count(shown.token, ".") == 2 && !strings.HasPrefix(shown.token, apiKeyPrefix) {
		caller, err := g.token(r, shown)
		g.metrics.count("token", err)
		return caller, err
	}
	caller, err := g.opaque(r.Context(), shown, limit.Source(r))
	g.metrics.count("introspection", err)
	return caller, err
}

// token authenticates an access token that verifies offline.
func (g *Gate) token(r *http.Request, shown credential) (*Caller, error) {
	ctx := r.Context()
	// Without the feed a token that was revoked before we started would pass.
	if err := g.feed.known(ctx); err != nil {
		return nil, unavailable(err)
	}
	key := cacheKey(shown.token)
	hit, ok := g.verified.Get(key)
	if !ok || !g.now().Before(hit.until) || hit.generation != g.keys.generation() {
		var err error
		if hit, err = g.verify(ctx, shown.token); err != nil {
			return nil, err
		}
		g.verified.Add(key, hit)
	}
	if hit.caller.revoked(g.feed.revoked) {
		return nil, invalid(errRevoked)
	}
	// Last, because a proof is good once.
	if err := g.checkPossession(r, shown, hit.bound); err != nil {
		return nil, err
	}
	return hit.caller, nil
}

// opaque authenticates an API key, or any credential that only the issuer can
// read. from is the network that it is shown from.
func (g *Gate) opaque(ctx context.Context, shown credential, from string) (*Caller, error) {
	token := shown.token
	if shown.dpop {
		return nil, invalid(errors.New("not a token that could be bound to a key"))
	}
	if strings.HasPrefix(token, apiKeyPrefix) && !wellFormedKey(token) {
		return nil, invalid(errors.New("malformed API key"))
	}
	caller, err := g.introspector.introspect(ctx, token, from)
	if err != nil {
		return nil, err
	}
	if caller.revoked(g.feed.revoked) {
		return nil, invalid(errRevoked)
	}
	return caller, nil
}

// Still reports what has become of a caller who was authenticated before and
// stays connected: nil while his credential holds. It asks nobody. What only
// the issuer can read holds no longer than we hear of revocations, and fails
// with fault.Unavailable then.
func (g *Gate) Still(c *Caller) error {
	switch {
	case c.revoked(g.feed.revoked):
		return invalid(errRevoked)
	case !c.ExpiresAt.IsZero() && !g.now().Before(c.ExpiresAt):
		return expired()
	case c.APIKeyID != "" && !g.feed.fresh():
		return unavailable(errors.New("the revocation feed is not up to date"))
	}
	return nil
}

// Handler lets next see authenticated requests only, with the Caller in their
// context.
func (g *Gate) Handler(next web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		g.offerNonce(w, r)
		caller, err := g.Authenticate(r)
		if err != nil {
			return err
		}
		ctx := With(r.Context(), caller)
		web.Annotate(ctx, slog.String("caller_kind", string(caller.Kind)),
			slog.String("sub", caller.Subject), slog.String("client_id", caller.ClientID))
		return next(w, r.WithContext(ctx))
	}
}

// wellKnown inserts a well-known path between the host and the path of an URL
// (RFC 8414 §3.1, RFC 9728 §3.1).
func wellKnown(base, name string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", errors.New(base + " is not an http or https URL without query and fragment")
	}
	return u.Scheme + "://" + u.Host + name + strings.TrimRight(u.EscapedPath(), "/"), nil
}

var errRevoked = errors.New("revoked")
