package crash_test

import (
	"context"
	crypto "crypto/rand"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/devstack/engine"
	"larder/internal/devstack/servers"
	"larder/tests/stack"
)

// postgres is a PostgreSQL of the test's own, which it may kill.
type postgres struct {
	t       *testing.T
	options engine.Options
	up      *engine.Engines
}

func newPostgres(t *testing.T) *postgres {
	t.Helper()
	found, err := servers.Find(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "larder-crash-") //nolint:usetesting // PostgreSQL runs as a user of its own, who has to get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := &postgres{t: t, options: engine.Options{
		Dir: dir, RedisURL: found.RedisURL, Say: t.Logf,
		// Below the ports that kernels hand out, so that nobody is given it while the server is down.
		Postgres: engine.Access{Port: 20000 + rand.N(10000), Password: crypto.Text()},
	}}
	p.start(t.Context())
	p.options.Postgres = p.up.Postgres
	t.Cleanup(func() { p.up.Stop() })
	return p
}

func (p *postgres) start(ctx context.Context) {
	var err error
	// What a killed server leaves running lets go of the shared memory in its own time.
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if p.up, err = engine.Start(ctx, p.options); err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatal(err)
		}
	}
}

// crash kills the server and starts it again, on the same port and with what was on disk.
func (p *postgres) crash() {
	for _, child := range p.up.Children() {
		_ = syscall.Kill(child.PID(), syscall.SIGKILL)
		<-child.Done()
	}
	p.up.Stop()
	time.Sleep(rand.N(100 * time.Millisecond)) // for a while nobody answers
	p.start(p.t.Context())
	if p.up.Postgres != p.options.Postgres {
		p.t.Fatal("somebody else took the port")
	}
}

// database makes the runtime roles and returns the addresses for a stack.
func (p *postgres) database() *stack.Database {
	p.t.Helper()
	ctx := p.t.Context()
	conn, err := pgx.Connect(ctx, p.up.DatabaseURL)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all := &stack.Database{OwnerURL: p.up.DatabaseURL}
	for group, address := range map[string]*string{servers.AuthGroup: &all.AuthURL, servers.GroceryGroup: &all.GroceryURL} {
		password := crypto.Text()
		if err := servers.Login(ctx, conn, group, group+"_crash", password); err != nil {
			p.t.Fatal(err)
		}
		if *address, err = servers.WithLogin(p.up.DatabaseURL, group+"_crash", password); err != nil {
			p.t.Fatal(err)
		}
	}
	return all
}
