package bearer

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"larder/internal/fault"
)

const (
	introspectionTimeout = 5 * time.Second
	maxIntrospection     = 64 << 10
	activeFor            = time.Minute
	inactiveFor          = 5 * time.Second
	maxActive            = 4096
	maxInactive          = 4096
	// maxAsking bounds the introspections under way: made-up credentials must
	// not become a flood at the issuer.
	maxAsking = 64
	retrySoon = 2 * time.Second
)

// introspection is the answer of RFC 7662 §2.2 with the issuer's members for
// API keys.
type introspection struct {
	Active bool `json:"active"`
	accessClaims
	TokenType string `json:"token_type"`
}

// answer is a cached introspection; caller is nil for an inactive credential.
type answer struct {
	caller *Caller
	until  time.Time
}

// introspector asks the issuer about credentials that only it can read.
type introspector struct {
	issuer   *issuer
	feed     *feed
	now      func() time.Time
	resource string
	active   *cache[answer]
	inactive *cache[answer]
	flight   singleflight.Group
	asking   chan struct{}
}

func newIntrospector(iss *issuer, f *feed, now func() time.Time, resource string) (*introspector, error) {
	active, err := lru.New[digest, answer](maxActive)
	if err != nil {
		return nil, err
	}
	inactive, err := lru.New[digest, answer](maxInactive)
	return &introspector{
		issuer: iss, feed: f, now: now, resource: resource, active: active, inactive: inactive,
		asking: make(chan struct{}, maxAsking),
	}, err
}

var errInactive = errors.New("the issuer says that it is not active")

// introspect returns whose credential token is. Cached answers are used while
// the revocation feed is up to date, which would tell of their end; the caller
// asks it. An issuer that does not answer is fault.Unavailable.
func (i *introspector) introspect(ctx context.Context, token, from string) (*Caller, error) {
	key, now := cacheKey(token), i.now()
	if a, ok := i.active.Get(key); ok && now.Before(a.until) && i.feed.fresh() {
		return a.caller, nil
	}
	if a, ok := i.inactive.Get(key); ok && now.Before(a.until) {
		return nil, invalid(errInactive)
	}
	found, err := shared(ctx, &i.flight, string(key[:]), func(ctx context.Context) (any, error) {
		return i.ask(ctx, key, token, from)
	})
	if err != nil {
		if _, classified := errors.AsType[*fault.Error](err); classified {
			return nil, err
		}
		return nil, unavailable(err)
	}
	caller, _ := found.(*Caller)
	return caller, nil
}

// ask makes the request and remembers the answer.
func (i *introspector) ask(ctx context.Context, key digest, token, from string) (*Caller, error) {
	select {
	case i.asking <- struct{}{}:
		defer func() { <-i.asking }()
	default:
		busy := *fault.New(fault.Unavailable, "Too many credentials are being checked. Please try again.")
		busy.RetryAfter = retrySoon
		return nil, &busy
	}
	ctx, cancel := context.WithTimeout(ctx, introspectionTimeout)
	defer cancel()
	where, err := i.issuer.endpoints(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	asked := i.now()
	var said introspection
	// RFC 7662 §2.1 lets us tell where a credential is used, for its owner to see.
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}, "client_address": {from}}
	if err := i.issuer.post(ctx, where.Introspection, form, maxIntrospection, &said); err != nil {
		return nil, unavailable(fmt.Errorf("introspection: %w", err))
	}
	caller, err := i.read(&said, asked)
	if err != nil {
		i.active.Remove(key)
		i.inactive.Add(key, answer{until: asked.Add(inactiveFor)})
		return nil, invalid(err)
	}
	until := asked.Add(activeFor)
	if !caller.ExpiresAt.IsZero() && caller.ExpiresAt.Before(until) {
		until = caller.ExpiresAt
	}
	i.active.Add(key, answer{caller: caller, until: until})
	return caller, nil
}

// read turns the issuer's answer into a caller. That a credential is active
// does not make it one for us: a refresh token is active too.
func (i *introspector) read(said *introspection, now time.Time) (*Caller, error) {
	switch {
	case !said.Active:
		return nil, errInactive
	case said.Issuer != i.issuer.url:
		return nil, fmt.Errorf("iss is %q", said.Issuer)
	case !slices.Contains(said.Audience, i.resource):
		return nil, fmt.Errorf("aud is %q", []string(said.Audience))
	case said.Expiry != nil && !now.Before(said.Expiry.Time()):
		return nil, errors.New("expired")
	case said.Subject == "" || said.ID == "" || said.IssuedAt == nil:
		return nil, errors.New("a mandatory member is missing")
	case said.Cnf != nil:
		return nil, errors.New("the credential is bound to a key")
	}
	switch strings.ToLower(said.TokenType) {
	case "api_key":
		if said.FamilyID == "" {
			return nil, errors.New("the key names no family")
		}
		return said.caller(i.resource)
	case "bearer":
		if said.ClientID == "" || said.Expiry == nil {
			return nil, errors.New("a mandatory member is missing")
		}
		return said.caller(i.resource)
	}
	return nil, fmt.Errorf("token_type is %q", said.TokenType)
}

// An API key is lrd_live_, 30 random characters and 6 of checksum, all base62.
const (
	apiKeyPrefix   = "lrd_live_"
	apiKeyLength   = len(apiKeyPrefix) + 30 + apiKeyChecksum
	apiKeyChecksum = 6
	base62         = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// wellFormedKey reports whether s has the form of an API key and its checksum,
// the CRC-32 of what stands before it. Typing errors and guesses end here and
// never reach the issuer.
func wellFormedKey(s string) bool {
	if len(s) != apiKeyLength || strings.Trim(s[len(apiKeyPrefix):], base62) != "" {
		return false
	}
	body, sum := s[:apiKeyLength-apiKeyChecksum], s[apiKeyLength-apiKeyChecksum:]
	n := crc32.ChecksumIEEE([]byte(body))
	for i := len(sum) - 1; i >= 0; i-- {
		if sum[i] != base62[n%uint32(len(base62))] {
			return false
		}
		n /= uint32(len(base62))
	}
	return true
}
