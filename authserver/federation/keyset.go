package federation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"larder/internal/fault"
)

const (
	usualLife = time.Hour // of keys whose answer names none
	leastLife = time.Minute
	mostLife  = 24 * time.Hour
	// staleLife is how long keys still serve while the provider is away.
	staleLife = 24 * time.Hour
	// coolDown is how often keys may be fetched because a token names one that
	// is not known: anybody can make such tokens.
	coolDown = 10 * time.Second
)

// keySet is a provider's keys, fetched when they are needed (RFC 7517 §5). It
// implements oidc.KeySet of go-oidc, whose own knows no cool-down.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	once    singleflight.Group
	mu      sync.Mutex
	keys    jose.JSONWebKeySet
	fetched time.Time
	expires time.Time
	missed  time.Time // when an unknown key last had them fetched
}

// VerifySignature returns the payload of a token that one of the keys signed.
func (s *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, err
	}
	if len(signed.Signatures) != 1 {
		return nil, errors.New("not one signature")
	}
	kid := signed.Signatures[0].Header.KeyID
	keys, err := s.find(ctx, kid)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if payload, err := signed.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("none of the provider's keys made this signature")
}

// find returns the keys of a name, from the provider if they are not at hand.
func (s *keySet) find(ctx context.Context, kid string) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	now := s.now()
	found, fresh, usable := s.keys.Key(kid), now.Before(s.expires), now.Before(s.fetched.Add(staleLife))
	if fresh && len(found) == 0 {
		if now.Before(s.missed.Add(coolDown)) {
			s.mu.Unlock()
			return nil, nil
		}
		s.missed = now
	}
	s.mu.Unlock()
	if fresh && len(found) > 0 {
		return found, nil
	}
	_, err, _ := s.once.Do("", func() (any, error) { return nil, s.fetch(context.WithoutCancel(ctx)) })
	if err != nil && usable {
		return found, nil // what is known serves on
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "The provider does not answer right now. Try again in a moment.", withoutURL(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys.Key(kid), nil
}

func (s *keySet) fetch(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the keys: %s", answer.Status)
	}
	var keys jose.JSONWebKeySet
	if err := json.NewDecoder(answer.Body).Decode(&keys); err != nil {
		return err
	}
	if len(keys.Keys) == 0 {
		return errors.New("there are no keys")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.fetched = keys, s.now()
	s.expires = s.fetched.Add(lifeOf(answer.Header.Get("Cache-Control")))
	return nil
}

// lifeOf reads max-age (RFC 9111 §5.2.2.1), within bounds.
func lifeOf(cacheControl string) time.Duration {
	for directive := range strings.SplitSeq(cacheControl, ",") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(strings.ToLower(directive)), "max-age="); ok {
			if seconds, err := strconv.Atoi(value); err == nil {
				return min(max(time.Duration(seconds)*time.Second, leastLife), mostLife)
			}
		}
	}
	return usualLife
}
