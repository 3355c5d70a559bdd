package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"larder/internal/secret"
)

const (
	fetchTimeout     = 10 * time.Second
	maxDocument      = 1 << 20 // bytes of a discovery document or key set
	maxRedirects     = 3
	discoveryFresh   = time.Hour
	firstRetry       = time.Second
	lastRetry        = 30 * time.Second
	serverMetadata   = "/.well-known/oauth-authorization-server" // RFC 8414 §3
	revocationsPath  = "/revocations"
	idleConnsPerHost = 32
)

// endpoints is what we use of the issuer's metadata (RFC 8414 §2).
type endpoints struct {
	Issuer        string `json:"issuer"`
	JWKS          string `json:"jwks_uri"`
	Introspection string `json:"introspection_endpoint"`
}

// issuer is the authorization server, seen from outside.
type issuer struct {
	url          string
	discovery    string
	clientID     string
	clientSecret secret.String
	client       *http.Client
	now          func() time.Time
	flight       singleflight.Group
	mu           sync.Mutex
	known        *endpoints
	fetched      time.Time
	nextTry      time.Time
	wait         time.Duration
	failure      error
}

func newIssuer(config Config, now func() time.Time) (*issuer, error) {
	discovery, err := wellKnown(config.Issuer, serverMetadata)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		MaxIdleConnsPerHost:   idleConnsPerHost,
		IdleConnTimeout:       time.Minute,
		TLSHandshakeTimeout:   fetchTimeout,
		ResponseHeaderTimeout: fetchTimeout,
		ForceAttemptHTTP2:     true,
	}
	return &issuer{
		url: config.Issuer, discovery: discovery, clientID: config.ClientID, clientSecret: config.ClientSecret, now: now,
		client: &http.Client{Transport: transport, Timeout: fetchTimeout, CheckRedirect: sameHost},
	}, nil
}

// sameHost lets redirects stay where they began.
func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	if first := via[0].URL; req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
		return errors.New("redirect to another host")
	}
	return nil
}

// endpoints returns where the issuer's endpoints are. The document is fetched
// when first needed, shared by all who wait for it, and again after an hour;
// between failed attempts lie 1 to 30 seconds, in which the last error stands.
func (i *issuer) endpoints(ctx context.Context) (*endpoints, error) {
	known, due, failure := i.state()
	switch {
	case known != nil && !due:
		return known, nil
	case !due:
		return nil, failure
	}
	_, err := shared(ctx, &i.flight, "discovery", func(ctx context.Context) (any, error) { return nil, i.discover(ctx) })
	known, _, _ = i.state()
	if known != nil {
		return known, nil // an old document is better than none
	}
	return nil, err
}

// state returns the document if there is one, whether it is time to fetch it,
// and why the last attempt failed.
func (i *issuer) state() (known *endpoints, due bool, failure error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	stale := i.known == nil || now.Sub(i.fetched) > discoveryFresh
	return i.known, stale && !now.Before(i.nextTry), i.failure
}

func (i *issuer) discover(ctx context.Context) error {
	var found endpoints
	_, err := i.get(ctx, i.discovery, maxDocument, false, &found)
	if err == nil {
		err = i.check(found)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	if err != nil {
		i.failure = fmt.Errorf("discovery of %s: %w", i.url, err)
		i.wait = min(max(2*i.wait, firstRetry), lastRetry)
		i.nextTry = now.Add(i.wait)
		return i.failure
	}
	i.known, i.fetched, i.failure, i.wait, i.nextTry = &found, now, nil, 0, now
	return nil
}

// check holds the document against the issuer that it was fetched from (RFC
// 8414 §3.3). Its endpoints must be at the issuer's own origin, for they are
// sent our client secret.
func (i *issuer) check(found endpoints) error {
	if found.Issuer != i.url {
		return fmt.Errorf("the document is that of %q", found.Issuer)
	}
	for _, endpoint := range []string{found.JWKS, found.Introspection} {
		if !sameOrigin(i.url, endpoint) {
			return fmt.Errorf("the endpoint %q is not at the issuer's origin", endpoint)
		}
	}
	return nil
}

func sameOrigin(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && x.Scheme == y.Scheme && x.Host == y.Host
}

// get fetches a JSON document of at most limit bytes into v.
func (i *issuer) get(ctx context.Context, address string, limit int64, authenticate bool, v any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	if authenticate {
		i.authenticate(req)
	}
	return i.do(req, limit, v)
}

// post sends a form, authenticated, and reads the JSON answer into v.
func (i *issuer) post(ctx context.Context, address string, form url.Values, limit int64, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	i.authenticate(req)
	_, err = i.do(req, limit, v)
	return err
}

// authenticate is client_secret_basic, whose parts are form-encoded (RFC 6749
// §2.3.1).
func (i *issuer) authenticate(req *http.Request) {
	req.SetBasicAuth(url.QueryEscape(i.clientID), url.QueryEscape(i.clientSecret.Reveal()))
}

func (i *issuer) do(req *http.Request, limit int64, v any) (http.Header, error) {
	req.Header.Set("Accept", "application/json")
	resp, err := i.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s", req.URL.Path, resp.Status)
	case int64(len(body)) > limit:
		return nil, fmt.Errorf("%s answers with more than %d bytes", req.URL.Path, limit)
	}
	return resp.Header, json.Unmarshal(body, v)
}

// shared runs f once for all who ask for name at the same time. It goes on
// when one of them gives up.
func shared(ctx context.Context, flight *singleflight.Group, name string, f func(context.Context) (any, error)) (any, error) {
	done := flight.DoChan(name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		return f(ctx)
	})
	select {
	case result := <-done:
		return result.Val, result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
