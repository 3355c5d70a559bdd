package jwks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// publisher answers as a client's server would, or fails.
type publisher struct {
	mu      sync.Mutex
	body    []byte
	err     error
	fetches int
}

func (p *publisher) Get(context.Context, string, http.Header) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetches++
	return p.body, p.err
}

func (p *publisher) publish(body []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body, p.err = body, err
}

func key(t *testing.T, kid, use string) jose.JSONWebKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: k.Public(), KeyID: kid, Use: use}
}

func set(t *testing.T, keys ...any) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestCopiesAreRenewedWithinTheirBounds(t *testing.T) {
	t.Parallel()
	const address = "https://client.test/jwks"
	p := &publisher{body: set(t, key(t, "one", "sig"))}
	var ahead atomic.Int64
	begin := time.Now()
	c := &Cache{Getter: p, Now: func() time.Time { return begin.Add(time.Duration(ahead.Load())) }}
	expect := func(when, kid string, fetches int) {
		t.Helper()
		keys, err := c.Keys(t.Context(), address)
		if kid == "" {
			if err == nil {
				t.Errorf("%s: %v", when, keys)
			}
		} else if err != nil || keys[0].KeyID != kid {
			t.Errorf("%s: %v, %v; want %s", when, keys, err, kid)
		}
		if p.fetches != fetches {
			t.Errorf("%s: fetched %d times, want %d", when, p.fetches, fetches)
		}
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _, _ = c.Keys(t.Context(), address) })
	}
	all.Wait()
	expect("many at once", "one", 1)
	p.publish(set(t, key(t, "two", "")), nil)
	if keys, ok := c.Renewed(t.Context(), address); !ok || keys[0].KeyID != "two" {
		t.Errorf("rotated at once: %v %v", keys, ok)
	}
	for range 100 {
		if _, ok := c.Renewed(t.Context(), address); ok {
			t.Fatal("renewed within the cool-down")
		}
	}
	expect("rotated", "two", 2)
	ahead.Add(int64(coolDown))
	p.publish(nil, errors.New("down"))
	if _, ok := c.Renewed(t.Context(), address); ok {
		t.Error("renewed from a server that is down")
	}
	expect("down", "two", 3)
	ahead.Add(int64(fresh))
	expect("down for long", "two", 4)
	expect("down for long, again", "two", 4)
	ahead.Add(int64(stale))
	expect("down for too long", "", 5)
	expect("down for too long, again", "", 5)
	ahead.Add(int64(coolDown))
	p.publish(set(t, key(t, "three", "sig")), nil)
	expect("up again", "three", 6)
}

func TestCopiesAreBounded(t *testing.T) {
	t.Parallel()
	c := &Cache{Getter: &publisher{body: set(t, key(t, "k", ""))}, Now: time.Now}
	for i := range maxCopies + 50 {
		if _, err := c.Keys(t.Context(), fmt.Sprintf("https://%d.test/", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.copies) != maxCopies {
		t.Errorf("%d copies", len(c.copies))
	}
}

func TestOnlyPublicKeysOfUseAreRead(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := Parse(set(t, map[string]string{"kty": "new"}, key(t, "enc", "enc"), jose.JSONWebKey{Key: short.Public()}, key(t, "other", "dance"), key(t, "sig", "sig")))
	if err != nil || len(keys) != 2 || keys[0].KeyID != "enc" || keys[1].KeyID != "sig" {
		t.Errorf("%v, %v", keys, err)
	}
	many := make([]any, maxKeys+1)
	for i := range many {
		many[i] = map[string]string{}
	}
	for name, body := range map[string]string{
		"not JSON": "<html>", "no keys": "{}", "none of use": string(set(t, key(t, "", "dance"))), "too many": string(set(t, many...)),
		"symmetric": `{"keys":[{"kty":"oct","k":"` + strings.Repeat("A", 43) + `"}]}`,
		"private":   string(set(t, jose.JSONWebKey{Key: private})),
	} {
		if keys, err := Parse([]byte(body)); err == nil {
			t.Errorf("%s: %v", name, keys)
		}
	}
}
