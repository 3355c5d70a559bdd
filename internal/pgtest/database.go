package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/devstack/servers"
)

const (
	// setupLimit bounds making a database, the wait for another package's template included.
	setupLimit = 5 * time.Minute
	// cleanupLimit bounds how long the end of a test waits for its database to go.
	cleanupLimit = 2 * time.Minute
	// maxConns bounds each pool, so that many packages at once stay below the server's 1000 connections.
	maxConns = 8
)

// DB is a database of one test, with both schemas at their newest step and nothing in them.
type DB struct {
	// Name is the database's name.
	Name string
	// OwnerURL connects as the owner, who may do anything; AuthURL and GroceryURL as runtime roles, which are
	// members of larder_auth or larder_grocery, own nothing and are bound by row-level security.
	OwnerURL, AuthURL, GroceryURL string
	// The pools connect when first used and close with the test.
	Owner, Auth, Grocery *pgxpool.Pool
}

// New makes a database for the test and drops it at the end.
func New(t testing.TB) *DB {
	t.Helper()
	server := address(t).DatabaseURL
	ctx, cancel := context.WithTimeout(t.Context(), setupLimit)
	defer cancel()
	db, err := newDB(ctx, server)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		db.closePools()
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cleanupLimit)
		defer cancel()
		if err := drop(ctx, server, db.Name); err != nil {
			t.Errorf("pgtest: drop the test's database: %v", err)
		}
	})
	return db
}

// address returns the servers, or fails the test with what to run.
func address(t testing.TB) servers.Addresses {
	t.Helper()
	found, err := servers.Find(os.Getenv)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return found
}

func newDB(ctx context.Context, server string) (_ *DB, err error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("%w\nIs the server still there? `make services` keeps one running", err)
	}
	defer conn.Close(ctx)
	// The name tells the time of birth, by which a later run knows what a killed test left behind.
	var born int64
	if err := conn.QueryRow(ctx, `SELECT extract(epoch FROM now())::bigint`).Scan(&born); err != nil {
		return nil, err
	}
	db := &DB{Name: fmt.Sprintf("%s%d_%s", testPrefix, born, strings.ToLower(rand.Text()[:12]))}
	if err := clone(ctx, conn, server, db.Name); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.closePools()
			_ = drop(context.WithoutCancel(ctx), server, db.Name)
		}
	}()
	return db, db.open(ctx, conn, server)
}

// clone makes the database. A checkout with other migrations on the same server sweeps our template away when it
// builds its own; then ours is built anew.
func clone(ctx context.Context, conn *pgx.Conn, server, name string) error {
	const invalidCatalogName, attempts = "3D000", 5
	for attempt := 1; ; attempt++ {
		template, err := ensureTemplate(ctx, conn, server)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)+" STRATEGY wal_log")
		if err == nil {
			return nil
		}
		if gone, ok := errors.AsType[*pgconn.PgError](err); !ok || gone.Code != invalidCatalogName || attempt == attempts {
			return fmt.Errorf("clone the template database: %w", err)
		}
	}
}

// open fills in the addresses and pools.
func (db *DB) open(ctx context.Context, conn *pgx.Conn, server string) (err error) {
	if db.OwnerURL, err = servers.WithDatabase(server, db.Name); err != nil {
		return err
	}
	for _, login := range []struct {
		group   string
		address *string
		pool    **pgxpool.Pool
	}{
		{"", &db.OwnerURL, &db.Owner},
		{servers.AuthGroup, &db.AuthURL, &db.Auth},
		{servers.GroceryGroup, &db.GroceryURL, &db.Grocery},
	} {
		if login.group != "" {
			if *login.address, err = ensureLogin(ctx, conn, db.OwnerURL, login.group); err != nil {
				return err
			}
		}
		config, err := pgxpool.ParseConfig(*login.address)
		if err != nil {
			return err
		}
		config.MaxConns = maxConns
		if *login.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) closePools() {
	for _, pool := range []*pgxpool.Pool{db.Owner, db.Auth, db.Grocery} {
		if pool != nil {
			pool.Close()
		}
	}
}

// ensureLogin returns address with a runtime role in it. All packages that test at the same time share the role, and
// agree on its name and password without talking, because both follow from the owner's password.
func ensureLogin(ctx context.Context, conn *pgx.Conn, address, group string) (string, error) {
	config := conn.Config()
	sum := sha256.Sum256([]byte(config.User + "\x00" + config.Password + "\x00" + group))
	role, password := group+"_test_"+hex.EncodeToString(sum[:4]), hex.EncodeToString(sum[4:])
	var member bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (
		SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
		WHERE r.rolname = $1 AND g.rolname = $2)`, role, group).Scan(&member)
	if err == nil && !member {
		err = servers.Login(ctx, conn, group, role, password)
	}
	if err != nil {
		return "", err
	}
	if address, err = servers.WithLogin(address, role, password); err != nil {
		return "", err
	}
	return patient(address, "connect_timeout", "20", "lock_timeout", "5min", "statement_timeout", "5min", "idle_in_transaction_session_timeout", "5min")
}

// patient returns the address of a server with parameters, in pairs of name and value, by which whoever uses it waits
// longer than a service does: all tests at once make a machine slow, and what it is late with is not gone.
func patient(address string, namesAndValues ...string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("the server's address is not a URL") // the error may repeat the password
	}
	query := u.Query()
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		query.Set(namesAndValues[i], namesAndValues[i+1])
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

func drop(ctx context.Context, server, name string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
	return err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
