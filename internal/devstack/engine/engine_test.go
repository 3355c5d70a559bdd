package engine_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"larder/internal/devstack/engine"
)

// openDir is a directory that every account may enter: t.TempDir alone shuts all others out.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func options(t *testing.T, dir string) engine.Options {
	t.Helper()
	return engine.Options{
		Dir: dir, Durable: true, Say: t.Logf,
		Postgres: engine.Access{Password: "postgres-secret"}, Redis: engine.Access{Password: "redis-secret"},
	}
}

func start(t *testing.T, o engine.Options) *engine.Engines {
	t.Helper()
	up, err := engine.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Stop)
	return up
}

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var got T
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func redisClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestDataSurvivesStopKillAndAHalfMadeCluster(t *testing.T) {
	t.Parallel()
	o := options(t, openDir(t))
	// Below the ports that kernels hand out, so that nobody is given it while the server is down.
	o.Postgres.Port = 20000 + rand.N(10000)
	// What a run leaves that was killed while it made the cluster.
	if err := os.MkdirAll(filepath.Join(o.Dir, "postgres", "half-made", "base"), 0o755); err != nil {
		t.Fatal(err)
	}

	up := start(t, o)
	execute(t, up.DatabaseURL, `CREATE TABLE kept (n int)`, `INSERT INTO kept VALUES (1)`)
	if err := redisClient(t, up.RedisURL).Set(t.Context(), "kept", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	up.Stop()

	o.Postgres, o.Redis = up.Postgres, up.Redis
	up = start(t, o)
	if up.Postgres.Port != o.Postgres.Port {
		t.Errorf("port %d of last time is free but %d was taken", o.Postgres.Port, up.Postgres.Port)
	}
	if n := query[int](t, up.DatabaseURL, `SELECT n FROM kept`); n != 1 {
		t.Errorf("PostgreSQL kept %d, want 1", n)
	}
	if got, err := redisClient(t, up.RedisURL).Get(t.Context(), "kept").Result(); err != nil || got != "1" {
		t.Errorf("Redis kept %q, %v", got, err)
	}

	execute(t, up.DatabaseURL, `INSERT INTO kept VALUES (2)`)
	for _, child := range up.Children() {
		if err := syscall.Kill(child.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-child.Done()
	}
	up.Stop()
	up = start(t, o)
	if n := query[int](t, up.DatabaseURL, `SELECT count(*)::int FROM kept`); n != 2 {
		t.Errorf("after kill -9 PostgreSQL has %d rows, want the 2 that it acknowledged", n)
	}
}

func execute(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProcessIDThatBelongsToAnotherProgramDoesNotStopTheStart(t *testing.T) {
	t.Parallel()
	o := options(t, openDir(t))
	up := start(t, o)
	data := query[string](t, up.DatabaseURL, `SHOW data_directory`)
	up.Stop()
	// After a reboot the id in the file of a killed server may be anybody's; here it is this test's.
	stale := strconv.Itoa(os.Getpid()) + "\n" + data + "\n1\n5432\n\n127.0.0.1\n\n"
	if err := os.WriteFile(filepath.Join(data, "postmaster.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, o)
}

func TestOrphanOfAKilledRunIsStoppedFirst(t *testing.T) {
	t.Parallel()
	o := options(t, openDir(t))
	first := start(t, o)
	orphan := first.Children()[0]
	second, err := engine.Start(t.Context(), o) // as if the first run were gone: its lock is
	if err != nil {
		t.Fatal(err)
	}
	defer second.Stop()
	select {
	case <-orphan.Done():
	case <-time.After(2 * time.Minute):
		t.Error("the server of the first run goes on beside the second")
	}
}

func TestServersAreNotRunByRoot(t *testing.T) {
	t.Parallel()
	up := start(t, options(t, openDir(t)))
	for _, child := range up.Children() {
		owner, err := exec.CommandContext(t.Context(), "ps", "-o", "uid=", "-p", strconv.Itoa(child.PID())).Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(owner)) == "0" {
			t.Errorf("%s runs as root", child.Name())
		}
	}
}

func TestDirectoryThatTheServersCannotEnterIsReplacedByALink(t *testing.T) {
	elsewhere := openDir(t)
	t.Setenv("TMPDIR", elsewhere)
	shut := filepath.Join(t.TempDir(), "shut")
	if err := os.Mkdir(shut, 0o700); err != nil {
		t.Fatal(err)
	}
	o := options(t, shut)
	up := start(t, o)
	data := query[string](t, up.DatabaseURL, `SHOW data_directory`)
	link, err := os.Readlink(filepath.Join(shut, "postgres"))
	if os.Geteuid() != 0 {
		if !strings.HasPrefix(data, shut) {
			t.Errorf("data is in %s, want it below %s, which is ours", data, shut)
		}
		return
	}
	if err != nil || !strings.HasPrefix(data, link) || !strings.HasPrefix(link, elsewhere) {
		t.Errorf("data is in %s and the link leads to %q, %v; want both below %s", data, link, err, elsewhere)
	}
	execute(t, up.DatabaseURL, `CREATE TABLE kept (n int)`)
	up.Stop()
	up = start(t, o)
	if !query[bool](t, up.DatabaseURL, `SELECT to_regclass('kept') IS NOT NULL`) {
		t.Error("the second run did not find the data behind the link")
	}
}

func TestGivenServersAreUsedAsTheyAre(t *testing.T) {
	t.Parallel()
	theirs := start(t, options(t, openDir(t)))
	o := options(t, t.TempDir())
	o.DatabaseURL, o.RedisURL = theirs.DatabaseURL, theirs.RedisURL
	up := start(t, o)
	if up.OwnCluster || len(up.Children()) != 0 || up.DatabaseURL != theirs.DatabaseURL {
		t.Errorf("own cluster %v, %d children, at %s", up.OwnCluster, len(up.Children()), up.DatabaseURL)
	}
	if entries, err := os.ReadDir(o.Dir); err != nil || len(entries) != 0 {
		t.Errorf("left %v behind, %v", entries, err)
	}
	if n := query[int](t, up.DatabaseURL, `SELECT current_setting('max_connections')::int`); n < 1000 {
		t.Errorf("max_connections is %d; test packages in parallel on eight cores need 1000", n)
	}
}
