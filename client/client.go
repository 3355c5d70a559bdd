package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxAttempts = 4
	maxWait     = 30 * time.Second // a longer Retry-After is the caller's to wait
	firstWait   = 250 * time.Millisecond
	maxAnswer   = 16 << 20 // bytes
)

// Token returns an access token or an API key. It is asked before every attempt, so it should keep what it has.
type Token func(context.Context) (string, error)

// Client is safe for concurrent use.
type Client struct {
	// HTTP sends the requests. It must not limit the time of a whole answer if Feed is used.
	HTTP  *http.Client
	base  string
	token Token
}

// New returns a client of the API at address, an origin such as https://api.example.com.
func New(address string, token Token) *Client {
	return &Client{HTTP: &http.Client{}, base: strings.TrimRight(address, "/"), token: token}
}

// Key is a Token that never changes: an API key.
func Key(key string) Token { return func(context.Context) (string, error) { return key, nil } }

// Problem is an answer of the API that is not 2xx (RFC 9457). Code is what to decide by.
type Problem struct { //nolint:errname // it is named as RFC 9457 names it
	Type     string       `json:"type"`
	Title    string       `json:"title"`
	Status   int          `json:"status"`
	Detail   string       `json:"detail"`
	Instance string       `json:"instance"`
	Code     string       `json:"code"`
	Errors   []FieldError `json:"errors"`
	Policy   string       `json:"policy"`
	Reason   string       `json:"reason"`
	Remedy   string       `json:"remedy"`
	// RetryAfter is how long to wait before asking again; 0 if the API did not say.
	RetryAfter time.Duration `json:"-"`
}

// FieldError is one fault of a request: Pointer is a JSON pointer into the body or the name of a parameter.
type FieldError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func (p *Problem) Error() string {
	return fmt.Sprintf("larder: %d %s", p.Status, cmp.Or(p.Detail, p.Title))
}

// Is reports whether err is a Problem with the status.
func Is(err error, status int) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Status == status
}

// call is one request, before it is sent the first time.
type call struct {
	method, path string
	body         any
	header       http.Header
}

// IfMatch makes a change fail with 412 unless the thing still has this version.
func IfMatch(version int64) http.Header {
	return http.Header{"If-Match": {strconv.Quote(strconv.FormatInt(version, 10))}}
}

// do sends a call until it is answered for good, and reads a 2xx answer into out, if that is not nil.
func (c *Client) do(ctx context.Context, asked call, out any) error {
	answer, err := c.send(ctx, asked)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(out)
}

// send returns a 2xx answer, its body unread.
func (c *Client) send(ctx context.Context, asked call) (*http.Response, error) {
	header := http.Header{}
	maps.Copy(header, asked.header)
	var body []byte
	if asked.body != nil {
		var err error
		if body, err = json.Marshal(asked.body); err != nil {
			return nil, err
		}
		header.Set("Content-Type", "application/json")
	}
	if (asked.method == http.MethodPost || asked.method == http.MethodPatch) && !strings.HasSuffix(asked.path, "/sync") {
		header.Set("Idempotency-Key", rand.Text())
	}
	lost := false // an attempt may have been carried out
	for attempt := 1; ; attempt++ {
		answer, sent, err := c.once(ctx, asked, header, body)
		if err == nil {
			return answer, nil
		}
		pause := firstWait << attempt
		p, refused := errors.AsType[*Problem](err)
		if refused {
			if lost && asked.method == http.MethodDelete && p.Status == http.StatusNotFound {
				return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
			}
			if p.Status != http.StatusTooManyRequests && p.Status < http.StatusBadGateway {
				return nil, err
			}
			pause = cmp.Or(p.RetryAfter, pause)
		}
		lost = lost || sent && (!refused || p.Status >= http.StatusBadGateway)
		if attempt == maxAttempts || pause > maxWait {
			return nil, err
		}
		if sleep(ctx, pause) != nil {
			return nil, err
		}
	}
}

// once tries once, and tells whether anything may have reached the API.
func (c *Client) once(ctx context.Context, asked call, header http.Header, body []byte) (answer *http.Response, sent bool, err error) {
	token, err := c.token(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("larder: no token: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, asked.method, c.base+asked.path, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	r.Header = header.Clone()
	r.Header.Set("Authorization", "Bearer "+token)
	if answer, err = c.HTTP.Do(r); err != nil || answer.StatusCode < http.StatusMultipleChoices {
		return answer, true, err
	}
	defer answer.Body.Close()
	return nil, true, problem(answer)
}

// problem reads a refusal. A proxy in between may speak another language.
func problem(answer *http.Response) error {
	p := &Problem{}
	if media, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err == nil && media == "application/problem+json" {
		_ = json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(p) // the status says enough
	}
	p.Status, p.Title = answer.StatusCode, cmp.Or(p.Title, http.StatusText(answer.StatusCode))
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
