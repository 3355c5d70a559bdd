package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"larder/internal/devstack/process"
)

const (
	minPostgres = 15
	superuser   = "postgres"
)

func (o Options) postgresSources() []source {
	return []source{
		{"installed here", o.installedPostgres},
		{"installing it", o.installPostgres},
		{"Docker", o.dockerPostgres},
		{"embedded-postgres", o.embeddedPostgres},
	}
}

func (o Options) installedPostgres(ctx context.Context, access Access) (*server, error) {
	found := postgresInstallations(ctx, postgresDirs())
	if len(found) == 0 {
		return nil, missing("no PostgreSQL %d or newer in PATH, /usr/lib/postgresql or the Homebrew folders", minPostgres)
	}
	return o.runPostgres(ctx, found, access, "installed here")
}

// installation is a folder with the server's programs.
type installation struct {
	bin     string
	version string
	major   int
}

// postgresDirs lists the folders where PostgreSQL's programs are on the systems that we know.
func postgresDirs() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		matches, _ := filepath.Glob(pattern)
		dirs = append(dirs, matches...)
	}
	return dirs
}

// postgresInstallations returns those folders that hold a recent enough server, the newest first.
func postgresInstallations(ctx context.Context, dirs []string) []installation {
	var found []installation
	for _, dir := range dirs {
		program := filepath.Join(dir, "postgres")
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		answer, err := process.Run(ctx, process.Spec{Name: program, Path: program, Args: []string{"--version"}})
		if err != nil {
			continue
		}
		if version, major, ok := parsePostgresVersion(answer); ok && major >= minPostgres {
			found = append(found, installation{bin: dir, version: version, major: major})
		}
	}
	slices.SortStableFunc(found, func(a, b installation) int { return b.major - a.major })
	return found
}

// parsePostgresVersion reads the answer of `postgres --version`, such as "postgres (PostgreSQL) 15.14 (Debian …)".
func parsePostgresVersion(answer string) (version string, major int, ok bool) {
	match := regexp.MustCompile(`\(PostgreSQL\) ((\d+)[^\s]*)`).FindStringSubmatch(answer)
	if match == nil {
		return "", 0, false
	}
	major, err := strconv.Atoi(match[2])
	return match[1], major, err == nil
}

// pick returns the newest installation for a new cluster, or the one whose major version made the cluster in data.
func pick(found []installation, data string) (installation, error) {
	raw, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return found[0], nil
	}
	if err != nil {
		return installation{}, err
	}
	made := strings.TrimSpace(string(raw))
	for _, i := range found {
		if strconv.Itoa(i.major) == made {
			return i, nil
		}
	}
	return installation{}, fmt.Errorf("the data in %s is of PostgreSQL %s, and here is only %s: install version %s, or remove the data to start afresh",
		data, made, found[0].version, made)
}

func (o Options) runPostgres(ctx context.Context, found []installation, access Access, how string) (*server, error) {
	as, err := process.Unprivileged("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	home, err := o.home(ctx, "postgres", as)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(home, "data")
	programs, err := pick(found, data)
	if err != nil {
		return nil, err
	}
	if err := initCluster(ctx, programs, home, data, access.Password, as); err != nil {
		return nil, err
	}
	if err := clearOrphan(ctx, data); err != nil {
		return nil, err
	}
	output, err := o.log("postgres")
	if err != nil {
		return nil, err
	}
	child, err := process.Start(ctx, process.Spec{
		Name: "postgres", Path: filepath.Join(programs.bin, "postgres"), Dir: "/", As: as, Output: output,
		// SIGINT is PostgreSQL's "fast" shutdown: roll back what is open, write a checkpoint, end.
		StopSignal: syscall.SIGINT,
		Args: []string{
			"-D", data, "-p", strconv.Itoa(access.Port),
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
			"-c", "max_connections=1000", "-c", "shared_buffers=128MB", "-c", "max_wal_size=1GB",
			"-c", "log_min_messages=warning", "-c", "timezone=UTC",
		},
	})
	if err != nil {
		return nil, err
	}
	address := postgresURL(access)
	if err := retry(ctx, child, func(ctx context.Context) error { return pingPostgres(ctx, address) }); err != nil {
		child.Stop()
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "28P01" {
			return nil, fmt.Errorf("the password kept beside %s is not the one of its data: remove %s to start afresh", home, o.Dir)
		}
		return nil, err
	}
	from := fmt.Sprintf("%s, version %s from %s", how, programs.version, programs.bin)
	if as != nil {
		from += ", as user " + as.Name
	}
	return &server{url: address, from: from, child: child}, nil
}

// initCluster makes the cluster if there is none: beside its place, and renamed into it when whole.
func initCluster(ctx context.Context, programs installation, home, data, password string, as *process.Account) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return nil
	}
	half := filepath.Join(home, "half-made")
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	secret := filepath.Join(home, "password")
	defer os.Remove(secret)
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	if as != nil {
		if err := os.Chown(secret, as.UID, as.GID); err != nil {
			return err
		}
	}
	_, err := process.Run(ctx, process.Spec{
		Name: "initdb", Path: filepath.Join(programs.bin, "initdb"), Dir: "/", As: as,
		// The C locale with UTF-8 exists everywhere, and sorts the same everywhere.
		Args: []string{
			"-D", half, "-U", superuser, "--pwfile", secret, "--auth=scram-sha-256",
			"--encoding=UTF8", "--locale=C", "--no-instructions",
		},
	})
	if err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}
	return os.Rename(half, data)
}

// clearOrphan deals with what a killed run left in data. The caller holds the lock of its directory, so a server that
// still runs there is nobody's and is stopped; a process id that meanwhile belongs to something else would make
// PostgreSQL refuse to start, so its file goes.
func clearOrphan(ctx context.Context, data string) error {
	file := filepath.Join(data, "postmaster.pid")
	raw, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid := postmaster(raw)
	if pid <= 1 || !process.Alive(pid) {
		return nil // PostgreSQL itself knows what to do with the file of a dead server.
	}
	if !strings.Contains(commandLine(ctx, pid), data) {
		return os.Remove(file)
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := syscall.Kill(pid, signal); err != nil {
			break
		}
		for range 100 {
			if !process.Alive(pid) {
				return nil
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	if process.Alive(pid) {
		return fmt.Errorf("a PostgreSQL server of a killed run, process %d, still uses %s and does not stop", pid, data)
	}
	return nil
}

// postmaster reads the process id from postmaster.pid; 0 when there is none.
func postmaster(raw []byte) int {
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}

// commandLine says what a process runs; empty when it cannot be known.
func commandLine(ctx context.Context, pid int) string {
	if raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		return strings.ReplaceAll(string(raw), "\x00", " ")
	}
	answer, err := process.Run(ctx, process.Spec{Name: "ps", Path: "/bin/ps", Args: []string{"-o", "command=", "-p", strconv.Itoa(pid)}})
	if err != nil {
		return ""
	}
	return answer
}

func postgresURL(access Access) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, access.Password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(access.Port)), Path: "/postgres", RawQuery: "sslmode=disable",
	}
	return u.String()
}

func pingPostgres(ctx context.Context, address string) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx)
}
