package stack

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"larder/internal/devstack/demo"
	"larder/internal/pgtest"
)

// startLimit bounds bringing a stack up.
const startLimit = 5 * time.Minute

// Options says what a test needs; the zero value is one replica of each service.
type Options struct {
	AuthServers, ResourceAPIs int
	// Host is what callers call the services' machine; 127.0.0.1 when empty.
	Host string
	// Database is one of the test's own, with nothing in it; nil means one of the test server's.
	Database *Database
	// Env is added to the environment of both services, as "NAME=value".
	Env []string
}

// New starts a stack of the test's own and stops it at the end. A replica that does not exit with code 0 fails the
// test, and a failed test shows what the replicas wrote last.
func New(t testing.TB, binaries Binaries, options Options) *Stack {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	database, redis := options.Database, pgtest.RedisURL(t)
	if database == nil {
		db := pgtest.New(t)
		database = &Database{OwnerURL: db.OwnerURL, AuthURL: db.AuthURL, GroceryURL: db.GroceryURL}
	}
	dir := t.TempDir()
	for _, name := range []string{"mail", "sms"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Start(ctx, Config{
		Binaries: binaries, Dir: dir, Database: *database, RedisURL: redis,
		AuthServers: options.AuthServers, ResourceAPIs: options.ResourceAPIs, Host: options.Host, Env: options.Env,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, service := range append(s.AuthServers, s.ResourceAPIs...) {
				t.Logf("%s wrote last:\n%s", service.Name, service.LastWords())
			}
		}
	})
	return s
}

// User returns the demo user with the role, or fails the test.
func (s *Stack) User(t testing.TB, role demo.Role) demo.User {
	t.Helper()
	user, ok := s.Demo.User(role)
	if !ok {
		t.Fatalf("the demo document has no %s", role)
	}
	return user
}
