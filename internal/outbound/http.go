package outbound

import (
	"fmt"
	"io"
	"net/http"
)

// HTTP returns a client for libraries that want one. It refuses, and bounds,
// what Post does: an answer that is longer than MaxBody ends early.
func (c *Client) HTTP() *http.Client {
	return &http.Client{Timeout: c.config.Timeout, Transport: guarded{c}, CheckRedirect: c.http.CheckRedirect}
}

type guarded struct{ client *Client }

// RoundTrip implements http.RoundTripper.
func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.client.CheckURL(r.URL.String()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	answer, err := g.client.http.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = bounded{io.LimitReader(answer.Body, g.client.config.MaxBody), answer.Body}
	return answer, nil
}

type bounded struct {
	io.Reader
	io.Closer
}
