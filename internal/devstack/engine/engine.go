package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"larder/internal/devstack/process"
)

const (
	// startTimeout bounds one start: crash recovery of a development database is a matter of seconds.
	startTimeout = 2 * time.Minute
	// startAttempts bounds how often a start is tried again on another port.
	startAttempts = 4
)

// Access is how a server that we run is reached: on 127.0.0.1, with a password.
type Access struct {
	// Port is the port of last time; it is kept while nobody else uses it. Zero means any.
	Port     int    `json:"port"`
	Password string `json:"password"`
}

// Options says where servers may come from.
type Options struct {
	// Dir holds everything that is made. It has to exist and be absolute.
	Dir string
	// DatabaseURL and RedisURL name servers that run already; empty means that one has to be brought up.
	DatabaseURL, RedisURL string
	Postgres, Redis       Access
	// Durable keeps Redis data over a restart. PostgreSQL always keeps its own.
	Durable bool
	// Say receives progress, one sentence at a time.
	Say func(format string, args ...any)
}

// Engines are the two servers, running.
type Engines struct {
	// DatabaseURL connects as the owner (superuser of a server of ours) to the database postgres, or is the one given.
	DatabaseURL string
	// RedisURL selects logical database 0.
	RedisURL string
	// Postgres and Redis carry the ports that were taken in the end.
	Postgres, Redis Access
	// OwnCluster says that we run PostgreSQL, so databases may be made in it freely.
	OwnCluster bool

	children []*process.Process
	closers  []func()
}

// Start brings both servers up and returns when they answer. On failure nothing is left running.
func Start(ctx context.Context, o Options) (_ *Engines, err error) {
	e := &Engines{DatabaseURL: o.DatabaseURL, RedisURL: o.RedisURL, Postgres: o.Postgres, Redis: o.Redis}
	defer func() {
		if err != nil {
			e.Stop()
		}
	}()
	if o.DatabaseURL == "" {
		e.OwnCluster = true
		e.DatabaseURL, e.Postgres, err = e.bringUp(ctx, "PostgreSQL", o.Postgres, o.Say, o.postgresSources())
		if err != nil {
			return nil, err
		}
	} else {
		o.Say("PostgreSQL: the one at DATABASE_URL.")
		if err := retry(ctx, nil, func(ctx context.Context) error { return pingPostgres(ctx, o.DatabaseURL) }); err != nil {
			return nil, fmt.Errorf("the PostgreSQL server at DATABASE_URL does not answer: %w", err)
		}
	}
	if o.RedisURL == "" {
		e.RedisURL, e.Redis, err = e.bringUp(ctx, "Redis", o.Redis, o.Say, o.redisSources())
		return e, err
	}
	o.Say("Redis: the one at REDIS_URL.")
	if err := retry(ctx, nil, func(ctx context.Context) error { return pingRedis(ctx, o.RedisURL) }); err != nil {
		return nil, fmt.Errorf("the Redis server at REDIS_URL does not answer: %w", err)
	}
	return e, nil
}

// Children are the servers that run as processes of ours; watch their Done.
func (e *Engines) Children() []*process.Process { return e.children }

// Stop stops what Start started: Redis before PostgreSQL, each with its data safe.
func (e *Engines) Stop() {
	for _, child := range slices.Backward(e.children) {
		child.Stop()
	}
	for _, closer := range e.closers {
		closer()
	}
	e.children, e.closers = nil, nil
}

// source is one way to get a server.
type source struct {
	what string
	up   func(ctx context.Context, access Access) (*server, error)
}

// server is what a source gave.
type server struct {
	url string
	// from says for people where it came from.
	from  string
	child *process.Process
	close func()
}

// drop gives up a server that came too late; a nil one is fine.
func (s *server) drop() {
	if s == nil {
		return
	}
	if s.child != nil {
		s.child.Stop()
	}
	if s.close != nil {
		s.close()
	}
}

// missingError is the reason why a source has nothing to offer, so that the next one is asked. Any other failure ends the
// search: a server that is here and does not work needs a person, not a substitute without its data.
type missingError struct{ reason error }

func (n *missingError) Error() string { return n.reason.Error() }
func (n *missingError) Unwrap() error { return n.reason }

func missing(format string, args ...any) error { return &missingError{fmt.Errorf(format, args...)} }

func (e *Engines) bringUp(ctx context.Context, name string, access Access, say func(string, ...any), sources []source) (string, Access, error) {
	var tried []string
	for _, s := range sources {
		got, used, err := s.tryPorts(ctx, access)
		if ctx.Err() != nil { // asked to stop: what failed says nothing about the source
			got.drop()
			return "", access, ctx.Err()
		}
		if _, ok := errors.AsType[*missingError](err); ok {
			tried = append(tried, fmt.Sprintf("  %s: %v", s.what, err))
			continue
		}
		if err != nil {
			return "", access, fmt.Errorf("%s from %s: %w", name, s.what, err)
		}
		if got.child != nil {
			e.children = append(e.children, got.child)
		}
		if got.close != nil {
			e.closers = append(e.closers, got.close)
		}
		say("%s: %s, on 127.0.0.1:%d.", name, got.from, used.Port)
		return got.url, used, nil
	}
	return "", access, fmt.Errorf("no %s to be had; tried:\n%s\nInstall it, start a Docker engine, or set %s to a server that runs",
		name, strings.Join(tried, "\n"), map[string]string{"PostgreSQL": "DATABASE_URL", "Redis": "REDIS_URL"}[name])
}

// tryPorts starts the server on the port of last time or a free one, and on another when somebody was faster.
func (s source) tryPorts(ctx context.Context, access Access) (*server, Access, error) {
	for attempt := 1; ; attempt++ {
		port, err := freePort(ctx, access.Port)
		if err != nil {
			return nil, access, err
		}
		access.Port = port
		got, err := s.up(ctx, access)
		if err == nil || attempt == startAttempts || !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			return got, access, err
		}
		access.Port = 0
	}
}

// freePort returns want if it can be listened on, else one that the kernel picks.
func freePort(ctx context.Context, want int) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(want)))
	if err != nil && want != 0 {
		listener, err = config.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return 0, fmt.Errorf("find a free port on 127.0.0.1: %w", err)
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("no TCP address: %v", listener.Addr())
	}
	return address.Port, nil
}

// retry calls ready until it succeeds, the child dies or startTimeout is over.
func retry(ctx context.Context, child *process.Process, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var gone <-chan struct{}
	if child != nil {
		gone = child.Done()
	}
	for {
		attempt, done := context.WithTimeout(ctx, 5*time.Second)
		err := ready(attempt)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-gone:
			return child.Err()
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// home returns a directory for name that the account can reach: Dir/name, or, where a parent of Dir shuts the
// account out, a folder of its own under the system's temporary directory with a link to it in Dir.
func (o Options) home(ctx context.Context, name string, as *process.Account) (string, error) {
	place := filepath.Join(o.Dir, name)
	if linked, err := os.Readlink(place); err == nil {
		return linked, as.Own(linked)
	}
	if err := as.Own(place); err != nil {
		return "", err
	}
	if as == nil || as.CanWrite(ctx, place) {
		return place, nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	sum := sha256.Sum256([]byte(place))
	elsewhere := filepath.Join(os.TempDir(), "larder-"+hex.EncodeToString(sum[:6])+"-"+name)
	if err := as.Own(elsewhere); err != nil {
		return "", err
	}
	if !as.CanWrite(ctx, elsewhere) {
		return "", fmt.Errorf("user %s can write neither in %s nor in %s", as.Name, place, elsewhere)
	}
	if err := os.Remove(place); err != nil {
		return "", fmt.Errorf("put a link in place of %s, which user %s cannot reach: %w", place, as.Name, err)
	}
	o.Say("User %s cannot enter %s: its data goes to %s, with a link to it.", as.Name, o.Dir, elsewhere)
	return elsewhere, os.Symlink(elsewhere, place)
}

// log opens the log file of a server, emptied: it is there for a post-mortem of this run.
func (o Options) log(name string) (io.Writer, error) {
	dir := filepath.Join(o.Dir, "log")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
}

// Answer reports what is wrong with the two servers, or nil when both answer.
func Answer(ctx context.Context, databaseURL, redisURL string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return errors.Join(pingPostgres(ctx, databaseURL), pingRedis(ctx, redisURL))
}
