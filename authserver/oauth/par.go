package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/limit"
	"larder/internal/secret"
	"larder/internal/web"
)

const (
	// requestURIPrefix begins the request_uri of every pushed request (RFC 9126
	// §2.2).
	requestURIPrefix = "urn:ietf:params:oauth:request_uri:"

	pushedLifespan = 90 * time.Second // how long a pushed request waits for its browser
	pushedVisited  = time.Hour        // how long a visited one is kept, longer than a flow is parked
	maxPushed      = 16 << 10         // bytes of a pushed request, as JSON
)

// pushRates bound how many requests one client may push. A public client's name
// is known to everybody, so for it each network has a bucket of its own:
// nobody empties another's.
func pushRates(client *oidc.Client, r *http.Request) (bucket string, rate limit.Rate) {
	if client.Public() {
		return "par:" + clientMark(client.ID) + ":" + limit.Source(r), limit.Rate{Burst: 60, Every: time.Second}
	}
	return "par:" + clientMark(client.ID), limit.Rate{Burst: 600, Every: 10 * time.Millisecond}
}

// pushedResponse is RFC 9126 §2.2.
type pushedResponse struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int64  `json:"expires_in"` // seconds
}

func (p *Provider) mountPushed(rt *web.Router) {
	api := rt.With(writeError)
	api.Handle(http.MethodPost, "/par", allowAnyOrigin(p.offersNonce(p.handlePushed)))
	api.Handle(http.MethodOptions, "/par", preflight("POST"))
}

// handlePushed answers POST /par (RFC 9126 §2): the client is authenticated as
// at the token endpoint, and the request judged as the authorization endpoint
// will judge it again.
func (p *Provider) handlePushed(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	client, err := p.authenticateClient(r.Context(), r, f)
	if err != nil {
		return err
	}
	if f.has("request_uri") {
		return newError(invalidRequest, "A pushed request cannot refer to another by 'request_uri' (RFC 9126 section 2.1).")
	}
	bucket, rate := pushRates(client, r)
	if err := p.limits.Take(r.Context(), bucket, rate); err != nil {
		return err
	}
	f = form{values: withoutCredentials(f.values)}
	if token := f.get("request"); token != "" {
		if f, err = p.openRequestObject(r.Context(), client, f, token); err != nil {
			return err
		}
	}
	// fosite's endpoint lets one client push in the name of another; here they
	// are the same (client_auth.go), or the form names none.
	f.values.Set("client_id", client.ID)
	if err := p.bindPushed(r, f.values); err != nil {
		return err
	}
	f.pushed = requestURIPrefix + secret.New().Reveal()
	if _, err := p.readAuthorization(r.Context(), f); err != nil {
		return err
	}
	err = p.pushed.put(r.Context(), f.pushed, pushedRequest{
		ClientID: client.ID, Form: f.values, Signed: f.signed, ExpiresAt: p.Now().Add(pushedLifespan),
	})
	if err != nil {
		return err
	}
	noStore(w.Header())
	return web.JSON(w, http.StatusCreated, pushedResponse{RequestURI: f.pushed, ExpiresIn: int64(pushedLifespan / time.Second)})
}

// withoutCredentials is a copy of a form without what authenticated its sender:
// that must lie nowhere.
func withoutCredentials(values url.Values) url.Values {
	c := maps.Clone(values)
	for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
		c.Del(name)
	}
	return c
}

// takePushed replaces a form that refers to a pushed request by that request.
// What else stands in the form does not count (RFC 9126 §4, RFC 9101 §6.3). A
// second visit finds the request again, until it has been answered: browsers
// load pages twice, and people go back.
func (p *Provider) takePushed(ctx context.Context, f form) (form, error) {
	requestURI := f.get("request_uri")
	if !strings.HasPrefix(requestURI, requestURIPrefix) {
		return f, nil
	}
	if name := f.repeated; name == "client_id" || name == "request_uri" {
		return form{}, fault.New(fault.Invalid, "The address that brought you here names more than one "+name+".")
	}
	request, err := p.pushed.visit(ctx, requestURI, f.get("client_id"), p.Now())
	if err != nil {
		return form{}, err
	}
	return form{values: request.Form, pushed: requestURI, signed: request.Signed}, nil
}

// parkable is the request as it can be parked: by its values, and by the
// request_uri that they came by, if any.
func (f form) parkable() url.Values {
	if f.pushed == "" {
		return f.values
	}
	values := maps.Clone(f.values)
	values.Set("request_uri", f.pushed)
	return values
}

// parkedForm reads what parkable made.
func parkedForm(values url.Values, signed bool) form {
	requestURI := values.Get("request_uri")
	if !strings.HasPrefix(requestURI, requestURIPrefix) {
		return form{values: values, signed: signed}
	}
	request := maps.Clone(values)
	request.Del("request_uri")
	return form{values: request, pushed: requestURI, signed: signed}
}

// spendPushed ends a pushed request with the answer to it, which only one may
// give (RFC 9126 §4). A request that was not pushed has nothing to spend.
func (p *Provider) spendPushed(ctx context.Context, f form) error {
	if f.pushed == "" {
		return nil
	}
	return p.pushed.spend(ctx, f.pushed)
}

// pushedRequest is a validated request that waits for its browser.
type pushedRequest struct {
	ClientID  string     `json:"client_id"`
	Form      url.Values `json:"form"`
	Signed    bool       `json:"signed,omitempty"`
	ExpiresAt time.Time  `json:"expires_at"`
}

// pushedStore keeps pushed requests in Redis, under the SHA-256 of their
// request_uri.
type pushedStore struct{ redis redis.UniversalClient }

func pushedKey(requestURI string) string {
	return "oauth:par:" + base64.RawURLEncoding.EncodeToString(secret.Sum(requestURI))
}

func (s *pushedStore) put(ctx context.Context, requestURI string, request pushedRequest) error {
	value, err := json.Marshal(&request)
	if err != nil {
		return err
	}
	if len(value) > maxPushed {
		return fault.New(fault.TooLarge, "The request is larger than 16 KiB.")
	}
	return cache.Translate(s.redis.Set(ctx, pushedKey(requestURI), value, pushedLifespan).Err())
}

// visit returns the request and keeps it for as long as the person may take to
// answer it. Another client's does not exist.
func (s *pushedStore) visit(ctx context.Context, requestURI, clientID string, now time.Time) (*pushedRequest, error) {
	over := fault.New(fault.Invalid, "The request of the application that sent you here has been answered, or waited too long. Go back and start again.")
	value, err := s.redis.Get(ctx, pushedKey(requestURI)).Bytes()
	if err = cache.Translate(err); errors.Is(err, cache.ErrNone) {
		return nil, over
	}
	if err != nil {
		return nil, err
	}
	var request pushedRequest
	if err := json.Unmarshal(value, &request); err != nil {
		return nil, err
	}
	if request.ClientID != clientID || !now.Before(request.ExpiresAt) {
		return nil, over
	}
	return &request, cache.Translate(s.redis.Expire(ctx, pushedKey(requestURI), pushedVisited).Err())
}

// spend takes the request away; of several at once one succeeds.
func (s *pushedStore) spend(ctx context.Context, requestURI string) error {
	n, err := s.redis.Del(ctx, pushedKey(requestURI)).Result()
	if err != nil {
		return cache.Translate(err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "This request has been answered already, perhaps in another window.")
	}
	return nil
}
