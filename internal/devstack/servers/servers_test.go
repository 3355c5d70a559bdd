package servers_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"larder/internal/devstack/servers"
)

func TestEnvironmentGoesBeforeTheFileOfRunningServices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"LARDER_DEV_DIR": dir}
	getenv := func(name string) string { return env[name] }
	if _, err := servers.Find(getenv); !errors.Is(err, servers.ErrNone) {
		t.Errorf("nothing anywhere: got %v, want ErrNone", err)
	}
	file := filepath.Join(dir, servers.File)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(`{"database_url":"postgres://file","redis_url":"redis://file"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	env["REDIS_URL"] = "redis://environment"
	found, err := servers.Find(getenv)
	want := servers.Addresses{DatabaseURL: "postgres://file", RedisURL: "redis://environment"}
	if err != nil || found != want {
		t.Errorf("got %+v, %v, want %+v", found, err, want)
	}
}

func TestAddressesAreChangedWithoutLosingTheirSettings(t *testing.T) {
	t.Parallel()
	const address = "postgres://owner:p%40ss@db:5433/postgres?sslmode=verify-full&sslrootcert=%2Fca.pem"
	got, err := servers.WithDatabase(address, "other")
	if want := "postgres://owner:p%40ss@db:5433/other?sslmode=verify-full&sslrootcert=%2Fca.pem"; err != nil || got != want {
		t.Errorf("database: got %s, %v, want %s", got, err, want)
	}
	got, err = servers.WithLogin(address, "larder_auth_x", "a/b")
	if want := "postgres://larder_auth_x:a%2Fb@db:5433/postgres?sslmode=verify-full&sslrootcert=%2Fca.pem"; err != nil || got != want {
		t.Errorf("login: got %s, %v, want %s", got, err, want)
	}
	if _, err := servers.WithDatabase("host=db dbname=postgres", "other"); err == nil {
		t.Error("a keyword list is no URL and has to be refused, not mangled")
	}
}
