package engine

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/redis/go-redis/v9"

	"larder/internal/devstack/process"
)

const (
	minRedis = 6
	// redisDatabases gives every test a logical database of its own; an empty one costs next to nothing.
	redisDatabases = 4096
)

func (o Options) redisSources() []source {
	return []source{
		{"installed here", o.installedRedis},
		{"installing it", o.installRedis},
		{"Docker", o.dockerRedis},
		{"miniredis", o.miniredis},
	}
}

func (o Options) installedRedis(ctx context.Context, access Access) (*server, error) {
	for _, name := range []string{
		"redis-server", "valkey-server", "/usr/bin/redis-server", "/usr/local/bin/redis-server", "/opt/homebrew/bin/redis-server",
	} {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		answer, err := process.Run(ctx, process.Spec{Name: program, Path: program, Args: []string{"--version"}})
		if err != nil {
			continue
		}
		if version, major, ok := parseRedisVersion(answer); ok && major >= minRedis {
			return o.runRedis(ctx, program, version, access)
		}
	}
	return nil, missing("no redis-server (or valkey-server) of version %d or newer in PATH", minRedis)
}

// parseRedisVersion reads the answer of `redis-server --version`, such as "Redis server v=7.0.15 sha=…".
func parseRedisVersion(answer string) (version string, major int, ok bool) {
	match := regexp.MustCompile(`v=((\d+)[^\s]*)`).FindStringSubmatch(answer)
	if match == nil {
		return "", 0, false
	}
	major, err := strconv.Atoi(match[2])
	return match[1], major, err == nil
}

func (o Options) runRedis(ctx context.Context, program, version string, access Access) (*server, error) {
	as, err := process.Unprivileged("redis", "nobody")
	if err != nil {
		return nil, err
	}
	home, err := o.home(ctx, "redis", as)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(home, "redis.conf")
	// The password goes in by a file because everybody on the machine can read command lines.
	if err := os.WriteFile(config, []byte(redisConfig(home, access, o.Durable)), 0o600); err != nil {
		return nil, err
	}
	if as != nil {
		if err := os.Chown(config, as.UID, as.GID); err != nil {
			return nil, err
		}
	}
	output, err := o.log("redis")
	if err != nil {
		return nil, err
	}
	child, err := process.Start(ctx, process.Spec{Name: "redis", Path: program, Args: []string{config}, Dir: "/", As: as, Output: output})
	if err != nil {
		return nil, err
	}
	address := redisURL(access)
	if err := retry(ctx, child, func(ctx context.Context) error { return pingRedis(ctx, address) }); err != nil {
		child.Stop()
		return nil, err
	}
	from := fmt.Sprintf("installed here, version %s from %s", version, program)
	if as != nil {
		from += ", as user " + as.Name
	}
	return &server{url: address, from: from, child: child}, nil
}

func redisConfig(home string, access Access, durable bool) string {
	config := fmt.Sprintf("bind 127.0.0.1\nport %d\nrequirepass %s\ndir %q\ndatabases %d\ndaemonize no\nsave \"\"\n",
		access.Port, access.Password, home, redisDatabases)
	if durable {
		return config + "appendonly yes\nappendfsync everysec\n"
	}
	return config + "appendonly no\n"
}

func redisURL(access Access) string {
	u := url.URL{
		Scheme: "redis", User: url.UserPassword("", access.Password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(access.Port)), Path: "/0",
	}
	return u.String()
}

func pingRedis(ctx context.Context, address string) error {
	options, err := redis.ParseURL(address)
	if err != nil {
		return err
	}
	// The client would fill the terminal with complaints while nobody listens yet.
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, options.Network, options.Addr)
	if err != nil {
		return err
	}
	_ = conn.Close()
	client := redis.NewClient(options)
	defer client.Close()
	return client.Ping(ctx).Err()
}
