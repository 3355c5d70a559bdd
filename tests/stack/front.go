package stack

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Front is a load balancer: it hands requests to the replicas in turn.
type Front struct {
	// URL is the base URL that clients use.
	URL string

	server   *http.Server
	mu       sync.Mutex
	replicas []*url.URL
	next     int
	awaited  map[string]int // how many answers, by the replica's host
}

// NewFront listens on a loopback address of its own, with no replicas yet.
func NewFront(ctx context.Context) (*Front, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Front{URL: "http://" + l.Addr().String(), awaited: map[string]int{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			if replica := f.take(); replica != nil {
				r.SetURL(replica)
			}
			r.Out.Host = r.In.Host
		},
		Transport:     &courier{front: f, transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		FlushInterval: -1, // event streams
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("the test's load balancer: " + err.Error() + "\n"))
		},
	}
	f.server = &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = f.server.Serve(l) }()
	return f, nil
}

// Add puts a replica into the rotation.
func (f *Front) Add(base string) error {
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replicas = append(f.replicas, u)
	return nil
}

// Remove takes a replica out of the rotation.
func (f *Front) Remove(base string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replicas = slices.DeleteFunc(f.replicas, func(u *url.URL) bool { return u.String() == base })
}

// settle returns when each request that was handed to a replica has begun to be answered. Before that it may still be on
// its way, and find nobody who listens.
func (f *Front) settle(base string) {
	host := strings.TrimPrefix(base, "http://")
	for range drainLimit / pollEvery {
		f.mu.Lock()
		n := f.awaited[host]
		f.mu.Unlock()
		if n == 0 {
			return
		}
		time.Sleep(pollEvery)
	}
}

// courier takes requests to their replicas and notes which were answered.
type courier struct {
	front     *Front
	transport http.RoundTripper
}

func (c *courier) RoundTrip(r *http.Request) (*http.Response, error) {
	defer func() {
		c.front.mu.Lock()
		defer c.front.mu.Unlock()
		if c.front.awaited[r.URL.Host]--; c.front.awaited[r.URL.Host] <= 0 {
			delete(c.front.awaited, r.URL.Host)
		}
	}()
	return c.transport.RoundTrip(r)
}

// Close ends every connection.
func (f *Front) Close() error {
	if err := f.server.Close(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (f *Front) take() *url.URL {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.replicas) == 0 {
		return nil
	}
	f.next++
	replica := f.replicas[f.next%len(f.replicas)]
	f.awaited[replica.Host]++
	return replica
}
