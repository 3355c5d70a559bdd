// Package servers says where the PostgreSQL and Redis of a development stack are, and gives programs roles in them.
//
//	larder-dev services ── Addresses.Write ──> .dev/test/services.json ── Find ──> internal/pgtest
//	                                                          Login ──> a role for one copy's service or test
//
// It is apart from package devstack so that test programs link neither the engines nor their last resorts.
package servers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

// Addresses are the servers that tests may use.
type Addresses struct {
	// DatabaseURL connects as a role that may create databases and roles.
	DatabaseURL string `json:"database_url"`
	RedisURL    string `json:"redis_url"`
}

// File is where `larder-dev services` leaves its addresses, below the development directory.
const File = "test/services.json"

// Groups are the roles that the migrations grant to. Nobody logs in as one.
const (
	AuthGroup    = "larder_auth"
	GroceryGroup = "larder_grocery"
)

// ErrNone says that neither the environment nor a running `larder-dev services` names servers.
var ErrNone = errors.New("no PostgreSQL and Redis for tests: run `make test`, or keep some running with `make services`")

// Find returns DATABASE_URL and REDIS_URL of the environment, and for what is not there the file of the stack.
func Find(getenv func(string) string) (Addresses, error) {
	found := Addresses{DatabaseURL: getenv("DATABASE_URL"), RedisURL: getenv("REDIS_URL")}
	if found.DatabaseURL != "" && found.RedisURL != "" {
		return found, nil
	}
	dir, err := Directory(getenv)
	if err != nil {
		return found, err
	}
	kept, err := Read(filepath.Join(dir, File))
	if errors.Is(err, os.ErrNotExist) {
		return found, ErrNone
	}
	if found.DatabaseURL == "" {
		found.DatabaseURL = kept.DatabaseURL
	}
	if found.RedisURL == "" {
		found.RedisURL = kept.RedisURL
	}
	return found, err
}

// Read reads a document of addresses.
func Read(path string) (Addresses, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Addresses{}, err
	}
	var found Addresses
	err = json.Unmarshal(raw, &found)
	return found, err
}

// Root is the folder of the module that the working directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("start it inside the source tree: there is no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// Directory is the development directory: LARDER_DEV_DIR, or `.dev` in the root of the module.
func Directory(getenv func(string) string) (string, error) {
	if dir := getenv("LARDER_DEV_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	root, err := Root()
	return filepath.Join(root, ".dev"), err
}

// WithDatabase returns the database URL with another database name.
func WithDatabase(address, database string) (string, error) {
	u, err := parse(address)
	if err != nil {
		return "", err
	}
	u.Path = "/" + database
	return u.String(), nil
}

// WithLogin returns the database URL with another user.
func WithLogin(address, user, password string) (string, error) {
	u, err := parse(address)
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(user, password)
	return u.String(), nil
}

func parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, errors.New("the database address has to be a URL, postgres://user:password@host:port/database")
	}
	return u, nil
}

// Login makes sure that both groups exist, and a role to log in with that is in the group and has the password. The
// role has no power of its own: row-level security binds it, and it owns nothing.
func Login(ctx context.Context, conn *pgx.Conn, group, role, password string) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// Roles belong to the whole server, and two copies may start on it at the same moment.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('larder group roles'))`); err != nil {
			return err
		}
		for _, name := range []string{AuthGroup, GroceryGroup} {
			if err := create(ctx, tx, name, "NOLOGIN NOSUPERUSER NOBYPASSRLS"); err != nil {
				return err
			}
		}
		if err := create(ctx, tx, role, "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE INHERIT"); err != nil {
			return err
		}
		if err := formatted(ctx, tx, `SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)`, role, password); err != nil {
			return err
		}
		return formatted(ctx, tx, `SELECT format('GRANT %I TO %I', $1::text, $2::text)`, group, role)
	})
	if err != nil {
		return fmt.Errorf("make the role %s (the role of the database address needs CREATEROLE): %w", role, err)
	}
	return nil
}

func create(ctx context.Context, tx pgx.Tx, role, attributes string) error {
	var exists bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, role).Scan(&exists); err != nil || exists {
		return err
	}
	_, err := tx.Exec(ctx, "CREATE ROLE "+pgx.Identifier{role}.Sanitize()+" "+attributes)
	return err
}

// formatted runs the statement that the server itself quotes: utility statements take no parameters.
func formatted(ctx context.Context, tx pgx.Tx, query string, args ...any) error {
	var statement string
	if err := tx.QueryRow(ctx, query, args...).Scan(&statement); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, statement)
	return err
}
