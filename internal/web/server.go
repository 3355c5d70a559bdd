package web

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"larder/internal/fault"
)

const (
	maxAddressBytes = 8 << 10
	maxHeaderBytes  = 32 << 10
	drainTimeout    = 20 * time.Second
)

// MaxBody is how many bytes of a request's body are read, where a Listener says
// nothing else.
const MaxBody = 1 << 20

// Listener is one address and what it serves.
type Listener struct {
	Name    string // for the log
	Addr    string // host:port
	Handler http.Handler
	TLS     *tls.Config // nil for plain http

	// MaxBody is how many bytes of a request's body are read; nil for MaxBody of all.
	MaxBody func(r *http.Request) int64
}

// Serve answers on every listener until ctx is done, then stops accepting,
// lets requests in flight finish for up to 20 s, and returns. ready, if not
// nil, is called with the bound addresses once all listen.
func Serve(ctx context.Context, log *slog.Logger, listeners []Listener, ready func([]net.Addr)) error {
	var (
		servers []*http.Server
		addrs   []net.Addr
		lc      net.ListenConfig
		failed  = make(chan error, len(listeners))
	)
	// Requests outlive ctx while they drain.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for _, l := range listeners {
		ln, err := lc.Listen(ctx, "tcp", l.Addr)
		if err != nil {
			shutdown(ctx, log, servers)
			return err
		}
		srv := &http.Server{
			Handler:           limit(l.Handler, l.MaxBody),
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       30 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    2 * maxHeaderBytes, // Modest refuses less, in words
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
			BaseContext:       func(net.Listener) context.Context { return base },
			TLSConfig:         l.TLS,
		}
		servers, addrs = append(servers, srv), append(addrs, ln.Addr())
		log.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("listener", l.Name), slog.String("addr", ln.Addr().String()),
			slog.Bool("tls", l.TLS != nil))
		go func() {
			if l.TLS != nil {
				failed <- srv.ServeTLS(ln, "", "") // the configuration has the certificate
				return
			}
			failed <- srv.Serve(ln)
		}()
	}
	if ready != nil {
		ready(addrs)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	shutdown(ctx, log, servers)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func shutdown(ctx context.Context, log *slog.Logger, servers []*http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	for _, srv := range servers {
		if err := srv.Shutdown(ctx); err != nil {
			log.LogAttrs(ctx, slog.LevelWarn, "drain cut short", slog.String("error", err.Error()))
			_ = srv.Close()
		}
	}
}

// Modest refuses requests whose address is longer than 8 KiB (414) or whose
// headers, with it, are larger than 32 KiB (431, RFC 6585 §5). Those over 64 KiB
// do not come as far: net/http answers them, in no words of ours.
func Modest(next http.Handler, report ErrorWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := len(r.RequestURI)
		if size > maxAddressBytes {
			failing(report, fault.New(fault.AddressTooLong, "The address is too long.")).ServeHTTP(w, r)
			return
		}
		for name, values := range r.Header {
			for _, v := range values {
				size += len(name) + len(v) + len(": \r\n")
			}
		}
		if size > maxHeaderBytes {
			failing(report, fault.New(fault.HeadersTooLarge, "The headers are too large.")).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limit caps the body of every request before a handler can read it.
func limit(h http.Handler, most func(r *http.Request) int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			n := int64(MaxBody)
			if most != nil {
				n = most(r)
			}
			r.Body = http.MaxBytesReader(w, r.Body, n)
		}
		h.ServeHTTP(w, r)
	})
}
