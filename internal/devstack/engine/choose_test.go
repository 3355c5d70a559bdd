package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersionsAreRead(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]struct {
		version string
		major   int
	}{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": {"15.18", 15},
		"postgres (PostgreSQL) 17.2":                           {"17.2", 17},
		"postgres (PostgreSQL) 19beta1":                        {"19beta1", 19},
	} {
		version, major, ok := parsePostgresVersion(answer)
		if !ok || version != want.version || major != want.major {
			t.Errorf("%q: got %q, %d, %v", answer, version, major, ok)
		}
	}
	if _, _, ok := parsePostgresVersion("command not found"); ok {
		t.Error("nonsense taken for a PostgreSQL")
	}
	version, major, ok := parseRedisVersion("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")
	if !ok || version != "7.0.15" || major != 7 {
		t.Errorf("redis: got %q, %d, %v", version, major, ok)
	}
	if _, _, ok := parseRedisVersion(""); ok {
		t.Error("silence taken for a Redis")
	}
}

// program writes a stand-in that answers --version, for versions that this machine does not have.
func program(t *testing.T, path, answer string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+answer+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestNewestPostgresIsTakenAndOldOnesAreNot(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var dirs []string
	for _, version := range []string{"14.9", "15.3", "17.1", "16.4"} {
		dir := filepath.Join(root, version)
		program(t, filepath.Join(dir, "postgres"), "postgres (PostgreSQL) "+version)
		program(t, filepath.Join(dir, "initdb"), "initdb")
		dirs = append(dirs, dir)
	}
	client := filepath.Join(root, "client") // has psql and the like, but no server
	program(t, filepath.Join(client, "psql"), "psql (PostgreSQL) 18.0")

	var got []string
	found := postgresInstallations(t.Context(), append(dirs, client, filepath.Join(root, "nowhere")))
	for _, i := range found {
		got = append(got, i.version)
	}
	if strings.Join(got, " ") != "17.1 16.4 15.3" {
		t.Errorf("found %v, want 17.1, 16.4, 15.3", got)
	}
	t.Run("new data", func(t *testing.T) {
		if i, err := pick(found, t.TempDir()); err != nil || i.major != 17 {
			t.Errorf("picked %+v, %v", i, err)
		}
	})
	t.Run("data of an older version", func(t *testing.T) {
		data := t.TempDir()
		program(t, filepath.Join(data, "PG_VERSION"), "")
		if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if i, err := pick(found, data); err != nil || i.major != 15 {
			t.Errorf("picked %+v, %v", i, err)
		}
	})
	t.Run("data of a version that is gone", func(t *testing.T) {
		data := t.TempDir()
		if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("13\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pick(found, data); err == nil || !strings.Contains(err.Error(), "install version 13") {
			t.Errorf("got %v, want advice to install version 13", err)
		}
	})
}

func TestSourcesAreAskedInOrderAndTheFailureSaysWhatWasTried(t *testing.T) {
	t.Parallel()
	var e Engines
	quiet := func(string, ...any) {}
	asked := ""
	ask := func(name string, got *server, err error) source {
		return source{name, func(context.Context, Access) (*server, error) { asked += name + " "; return got, err }}
	}
	none := func(name string) source { return ask(name, nil, missing("no %s", name)) }

	address, _, err := e.bringUp(t.Context(), "Redis", Access{}, quiet, []source{none("a"), ask("b", &server{url: "b:"}, nil), none("c")})
	if err != nil || address != "b:" || asked != "a b " {
		t.Errorf("got %q, %v after asking %s", address, err, asked)
	}
	_, _, err = e.bringUp(t.Context(), "Redis", Access{}, quiet, []source{none("a"), none("b")})
	if err == nil || !strings.Contains(err.Error(), "a: no a") || !strings.Contains(err.Error(), "b: no b") || !strings.Contains(err.Error(), "REDIS_URL") {
		t.Errorf("the failure does not say what was tried and what to do: %v", err)
	}
	asked = ""
	broken := errors.New("data is of another version")
	_, _, err = e.bringUp(t.Context(), "Redis", Access{}, quiet, []source{ask("a", nil, broken), none("b")})
	if !errors.Is(err, broken) || asked != "a " {
		t.Errorf("a server that is here and broken: got %v after asking %s, want its error and nobody else asked", err, asked)
	}
}

func TestSearchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var e Engines
	first := source{"a", func(context.Context, Access) (*server, error) { cancel(); return nil, missing("asked to stop") }}
	second := source{"b", func(context.Context, Access) (*server, error) {
		t.Error("the next source was asked after the end")
		return nil, missing("no")
	}}
	if _, _, err := e.bringUp(ctx, "Redis", Access{}, func(string, ...any) {}, []source{first, second}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
