package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	maxURL      = 2000
)

// ErrRefused says that an address is not on the Internet.
var ErrRefused = errors.New("outbound: the address is not public")

// Config bounds a client.
type Config struct {
	Timeout time.Duration // of a whole exchange
	MaxBody int64         // bytes of the answer that are read
	// AllowLoopback lets plain http and addresses of this machine pass: for
	// development and tests.
	AllowLoopback bool
	// AllowPrivate lets plain http, addresses of this machine and of private
	// networks pass: for a client that is only ever given addresses that the
	// operator set. Link-local ones stay refused.
	AllowPrivate bool
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	config   Config
	http     *http.Client
	reserved []netip.Prefix
}

// New returns a client.
func New(config Config) *Client {
	c := &Client{config: config, reserved: reserved()}
	dialer := &net.Dialer{Timeout: dialTimeout, Control: c.control}
	c.http = &http.Client{
		Timeout: config.Timeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 2, MaxIdleConns: 100, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// control sees each address that is about to be dialled.
func (c *Client) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !c.allowed(to.Addr()) {
		return ErrRefused
	}
	return nil
}

func (c *Client) allowed(address netip.Addr) bool {
	plain := address.Unmap()
	return (c.config.AllowLoopback || c.config.AllowPrivate) && plain.IsLoopback() || c.config.AllowPrivate && plain.IsPrivate() || c.public(address)
}

// CheckURL returns what is wrong with an address that somebody hands in. A good
// one may be refused all the same when it is dialled.
func (c *Client) CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || u.Hostname() == "":
		return errors.New("must be an address such as https://example.com/hook")
	case u.User != nil || u.Fragment != "":
		return errors.New("must have neither a user nor a fragment")
	case u.Scheme == "http" && (c.config.AllowLoopback || c.config.AllowPrivate):
	case u.Scheme != "https":
		return errors.New("must be https")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !c.allowed(ip) {
		return errors.New("must be on the Internet")
	}
	return nil
}

// do leaves the address out of errors, which are logged and shown: many
// services let in whoever knows it.
func (c *Client) do(r *http.Request) (*http.Response, error) {
	answer, err := c.http.Do(r)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	return answer, err
}

// Post sends body and returns the status of the answer; a redirect is one like
// any other.
func (c *Client) Post(ctx context.Context, address string, header http.Header, body []byte) (int, error) {
	if err := c.CheckURL(address); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header = header
	answer, err := c.do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, c.config.MaxBody)) // so that the connection can be used again
	return answer.StatusCode, nil
}

// Get returns the body of an answer that must be 200 and within MaxBody; a
// redirect is a failure. The address may have no fragment: that is for whoever
// reads the answer.
func (c *Client) Get(ctx context.Context, address string, header http.Header) ([]byte, error) {
	if err := c.CheckURL(address); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header = header
	answer, err := c.do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("outbound: the answer is %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, c.config.MaxBody+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > c.config.MaxBody {
		return nil, fmt.Errorf("outbound: the answer has more than %d bytes", c.config.MaxBody)
	}
	return body, nil
}
