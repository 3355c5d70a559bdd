package bearer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"
)

const (
	minFresh     = time.Minute
	maxFresh     = time.Hour
	defaultFresh = 5 * time.Minute
	// outageLimit is how long keys serve after their max-age is over while
	// the issuer gives no newer ones.
	outageLimit = time.Hour
	// missCoolDown lies between two fetches for a kid that is not known, so
	// that made-up ones cost the issuer next to nothing.
	missCoolDown = 30 * time.Second
	maxKeys      = 64
	lookEvery    = time.Second
	refreshAhead = 15 * time.Second
)

// verificationKey is a public key with the one algorithm that goes with it.
type verificationKey struct {
	alg jose.SignatureAlgorithm
	key publicKey
}

// publicKey is what both kinds of key are.
type publicKey interface {
	Equal(other crypto.PublicKey) bool
}

// keySet is the issuer's key set as it was fetched; it is never changed.
type keySet struct {
	keys       map[string]verificationKey
	fresh      time.Time // until then it need not be fetched again
	generation uint64    // counts the sets that lack a key of the set before
}

// keySource keeps the issuer's keys (RFC 7517).
type keySource struct {
	issuer  *issuer
	now     func() time.Time
	log     *slog.Logger
	fetches *prometheus.CounterVec
	set     atomic.Pointer[keySet]
	flight  singleflight.Group

	mu       sync.Mutex
	lastMiss time.Time // of the last fetch for an unknown kid
	nextTry  time.Time // after a failure
	wait     time.Duration
	failure  error
}

// generation changes when a key is withdrawn; what was verified before is
// verified again.
func (s *keySource) generation() uint64 {
	if set := s.set.Load(); set != nil {
		return set.generation
	}
	return 0
}

// current returns a key set that may be used: a fresh one, or one that is not
// stale beyond the outage limit while Run fetches its successor.
func (s *keySource) current(ctx context.Context) (*keySet, error) {
	set := s.set.Load()
	if set != nil && s.now().Before(set.fresh.Add(outageLimit)) {
		return set, nil
	}
	if err := s.refresh(ctx, "stale"); err != nil {
		return nil, unavailable(err)
	}
	return s.set.Load(), nil
}

// key returns the key with this kid. One that is not known is looked for once
// per cool-down; meanwhile it is unknown at once. Since the issuer publishes a
// key long before using it, a kid that a fresh set lacks is made up.
func (s *keySource) key(ctx context.Context, kid string) (verificationKey, uint64, error) {
	set, err := s.current(ctx)
	if err != nil {
		return verificationKey{}, 0, err
	}
	if k, ok := set.keys[kid]; ok {
		return k, set.generation, nil
	}
	if err := s.miss(ctx); err != nil && !s.now().Before(set.fresh) {
		return verificationKey{}, 0, unavailable(err)
	}
	if set = s.set.Load(); set != nil {
		if k, ok := set.keys[kid]; ok {
			return k, set.generation, nil
		}
	}
	return verificationKey{}, 0, errors.New("unknown kid")
}

// miss fetches the set for a kid that is not in it, unless that was just done.
// Who comes while it is being done waits for the same fetch.
func (s *keySource) miss(ctx context.Context) error {
	_, err := shared(ctx, &s.flight, "miss", func(ctx context.Context) (any, error) {
		now := s.now()
		s.mu.Lock()
		cooling, failure := now.Sub(s.lastMiss) < missCoolDown, s.failure
		if !cooling {
			s.lastMiss = now
		}
		s.mu.Unlock()
		if cooling {
			return nil, failure
		}
		return nil, s.fetch(ctx, "unknown_kid")
	})
	return err
}

// refresh fetches the set, unless an attempt failed a moment ago.
func (s *keySource) refresh(ctx context.Context, cause string) error {
	_, err := shared(ctx, &s.flight, "refresh", func(ctx context.Context) (any, error) {
		s.mu.Lock()
		failure, waiting := s.failure, s.now().Before(s.nextTry)
		s.mu.Unlock()
		if failure != nil && waiting {
			return nil, failure
		}
		return nil, s.fetch(ctx, cause)
	})
	return err
}

// run fetches the set shortly before its time is over.
func (s *keySource) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if set := s.set.Load(); set == nil || !s.now().Before(set.fresh.Add(-refreshAhead)) {
			// A failure was logged by fetch, and its back-off holds the next one.
			_ = s.refresh(ctx, "due")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *keySource) fetch(ctx context.Context, cause string) error {
	set, err := s.load(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.fetches.WithLabelValues(cause, "failed").Inc()
		s.log.LogAttrs(ctx, slog.LevelWarn, "issuer keys not fetched", slog.String("error", err.Error()))
		s.failure = err
		s.wait = min(max(2*s.wait, firstRetry), lastRetry)
		s.nextTry = s.now().Add(s.wait)
		return err
	}
	s.fetches.WithLabelValues(cause, "ok").Inc()
	if old := s.set.Load(); old != nil {
		set.generation = old.generation
		if old.withdrawn(set) {
			set.generation++
		}
	}
	s.set.Store(set)
	s.failure, s.wait, s.nextTry = nil, 0, time.Time{}
	return nil
}

// withdrawn reports whether next lacks a key of s.
func (s *keySet) withdrawn(next *keySet) bool {
	for kid, k := range s.keys {
		if n, ok := next.keys[kid]; !ok || !k.key.Equal(n.key) {
			return true
		}
	}
	return false
}

func (s *keySource) load(ctx context.Context) (*keySet, error) {
	where, err := s.issuer.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	header, err := s.issuer.get(ctx, where.JWKS, maxDocument, false, &document)
	if err != nil {
		return nil, err
	}
	if len(document.Keys) > maxKeys {
		return nil, fmt.Errorf("the key set holds %d keys", len(document.Keys))
	}
	set := &keySet{keys: make(map[string]verificationKey), fresh: s.now().Add(freshness(header.Get("Cache-Control")))}
	for _, raw := range document.Keys {
		kid, key, ok := admit(raw)
		if !ok {
			continue // a key for something else, which is no fault (RFC 7517 §5)
		}
		if _, twice := set.keys[kid]; twice {
			return nil, fmt.Errorf("two keys have the kid %q", kid)
		}
		set.keys[kid] = key
	}
	if len(set.keys) == 0 {
		return nil, errors.New("the key set holds no key for access tokens")
	}
	return set, nil
}

// admit reads a public key that may sign access tokens: ES256 on P-256 or
// EdDSA on Ed25519. The algorithm follows from the key, never from a token.
func admit(raw json.RawMessage) (kid string, key verificationKey, ok bool) {
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(raw); err != nil || jwk.KeyID == "" || !jwk.Valid() || !jwk.IsPublic() || jwk.Use != "" && jwk.Use != "sig" {
		return "", key, false
	}
	switch public := jwk.Key.(type) {
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return "", key, false
		}
		key = verificationKey{jose.ES256, public}
	case ed25519.PublicKey:
		key = verificationKey{jose.EdDSA, public}
	default:
		return "", key, false
	}
	return jwk.KeyID, key, jwk.Algorithm == "" || jwk.Algorithm == string(key.alg)
}

// freshness reads max-age from Cache-Control, held between one minute and one
// hour.
func freshness(cacheControl string) time.Duration {
	fresh := defaultFresh
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				fresh = time.Duration(seconds) * time.Second
			}
		case "no-store", "no-cache":
			return minFresh
		}
	}
	return min(max(fresh, minFresh), maxFresh)
}
