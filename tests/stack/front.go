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
}

// NewFront listens on a loopback address of its own, with no replicas yet.
func NewFront(ctx context.Context) (*Front, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Front{URL: "http://" + l.Addr().String()}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			if replica := f.take(); replica != nil {
				r.SetURL(replica)
			}
			r.Out.Host = r.In.Host
		},
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
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
	return f.replicas[f.next%len(f.replicas)]
}
