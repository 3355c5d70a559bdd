package jwks

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	fresh     = 10 * time.Minute // how long a copy is good
	stale     = time.Hour        // how long it serves beyond that while its address does not answer
	coolDown  = 10 * time.Second // between two fetches that failures or unknown keys cause
	maxCopies = 1000
	maxKeys   = 50
	minRSA    = 2048 // bits
)

// Getter fetches an address that somebody else chose; outbound.Client does.
type Getter interface {
	Get(ctx context.Context, address string, header http.Header) ([]byte, error)
}

// Cache holds the copies. Fill in the exported fields; it is safe for concurrent
// use.
type Cache struct {
	Getter Getter
	Now    func() time.Time

	mu     sync.Mutex
	copies map[string]*copied
}

// copied is what is known of one address. Its lock is held while it is fetched,
// so that the others wait for the same answer.
type copied struct {
	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time // when keys came; zero for never
	failed  time.Time // when the last attempt failed; zero once one succeeds
	renewed time.Time // when an unknown key last caused a fetch
	err     error     // of that attempt
}

// Keys returns the keys published at address, which must not be changed.
func (c *Cache) Keys(ctx context.Context, address string) ([]jose.JSONWebKey, error) {
	known := c.of(address)
	known.mu.Lock()
	defer known.mu.Unlock()
	now := c.Now()
	if now.Sub(known.fetched) < fresh {
		return known.keys, nil
	}
	if now.Sub(known.failed) >= coolDown {
		c.fetch(ctx, known, address)
	}
	if now.Sub(known.fetched) < fresh+stale {
		return known.keys, nil
	}
	return nil, known.err
}

// Renewed fetches the keys anew, because none of those that Keys gave would do.
// It reports whether it did: not within ten seconds of the last time.
func (c *Cache) Renewed(ctx context.Context, address string) (keys []jose.JSONWebKey, ok bool) {
	known := c.of(address)
	known.mu.Lock()
	defer known.mu.Unlock()
	now := c.Now()
	if now.Sub(known.renewed) < coolDown || now.Sub(known.failed) < coolDown {
		return nil, false
	}
	known.renewed = now
	c.fetch(ctx, known, address)
	return known.keys, known.failed.IsZero()
}

// of returns the copy of an address. When there are too many another one goes.
func (c *Cache) of(address string) *copied {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.copies[address]; ok {
		return known
	}
	if c.copies == nil {
		c.copies = make(map[string]*copied)
	}
	if len(c.copies) >= maxCopies {
		for other := range c.copies { // any one: map order is arbitrary
			delete(c.copies, other)
			break
		}
	}
	known := &copied{}
	c.copies[address] = known
	return known
}

// fetch is called with known locked. A request that is given up must not spoil
// the answer for those who wait with it; the getter has a time limit of its own.
func (c *Cache) fetch(ctx context.Context, known *copied, address string) {
	body, err := c.Getter.Get(context.WithoutCancel(ctx), address, http.Header{"Accept": {"application/jwk-set+json, application/json"}})
	if err == nil {
		var keys []jose.JSONWebKey
		if keys, err = Parse(body); err == nil {
			known.keys, known.fetched, known.failed, known.err = keys, c.Now(), time.Time{}, nil
			return
		}
	}
	known.failed, known.err = c.Now(), fmt.Errorf("jwks: %s: %w", address, err)
}

// Parse reads a key set and returns its public keys for signatures and for
// encryption. Keys of other kinds and uses are passed over (RFC 7517 §5); a
// private or symmetric key condemns the set, since what is published is secret
// no more.
func Parse(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err != nil {
			continue // of a kind that we do not know
		}
		if !key.IsPublic() {
			return nil, errors.New("a private key is published")
		}
		rsaKey, isRSA := key.Key.(*rsa.PublicKey)
		if key.Valid() && (key.Use == "" || key.Use == "sig" || key.Use == "enc") && (!isRSA || rsaKey.N.BitLen() >= minRSA) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no key of use is published")
	}
	return keys, nil
}
