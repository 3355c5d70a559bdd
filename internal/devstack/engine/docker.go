package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"larder/internal/devstack/process"
)

const (
	postgresImage = "postgres:17-alpine"
	redisImage    = "redis:7-alpine"
)

func (o Options) dockerPostgres(ctx context.Context, access Access) (*server, error) {
	// The image reads its settings from the environment, which keeps the password off the command line.
	return o.container(ctx, container{
		name: "postgres", image: postgresImage, volume: "/var/lib/postgresql/data", publish: strconv.Itoa(access.Port) + ":5432",
		env: []string{"POSTGRES_PASSWORD=" + access.Password, "PGDATA=/var/lib/postgresql/data/cluster"},
		args: []string{
			"-c", "max_connections=1000", "-c", "timezone=UTC", "-c", "log_min_messages=warning",
		},
		url: postgresURL(access), ping: pingPostgres,
	})
}

func (o Options) dockerRedis(ctx context.Context, access Access) (*server, error) {
	// The entry point of the image drops to its user only when the program is redis-server itself.
	options := []string{
		"redis-server", "--requirepass", access.Password, "--databases", strconv.Itoa(redisDatabases), "--save", "", "--appendonly", "no",
	}
	if o.Durable {
		options[len(options)-1] = "yes"
	}
	return o.container(ctx, container{
		name: "redis", image: redisImage, volume: "/data", publish: strconv.Itoa(access.Port) + ":6379",
		args: options, url: redisURL(access), ping: pingRedis,
	})
}

type container struct {
	name, image, volume, publish string
	env, args                    []string
	url                          string
	ping                         func(ctx context.Context, address string) error
}

func (o Options) container(ctx context.Context, c container) (*server, error) {
	program, err := exec.LookPath("docker")
	if err != nil {
		return nil, missing("no docker program in PATH")
	}
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := process.Run(asking, process.Spec{Name: "docker info", Path: program, Args: []string{"info"}}); err != nil {
		return nil, missing("no Docker engine answers")
	}
	o.Say("Fetching %s, if Docker does not have it yet.", c.image)
	if _, err := process.Run(ctx, process.Spec{Name: "docker pull", Path: program, Args: []string{"pull", "--quiet", c.image}}); err != nil {
		return nil, missing("%w", err)
	}

	place := filepath.Join(o.Dir, c.name+"-container")
	if err := os.MkdirAll(place, 0o700); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(place))
	name := "larder-" + hex.EncodeToString(sum[:6]) + "-" + c.name
	remove := func() {
		// A container outlives a docker client that was killed, and would keep its name and its data. It has been
		// asked to stop by then, so an error only means that it is gone.
		_, _ = process.Run(context.WithoutCancel(ctx), process.Spec{Name: "docker rm", Path: program, Args: []string{"rm", "--force", name}})
	}
	remove()

	args := []string{"run", "--rm", "--name", name, "--publish", "127.0.0.1:" + c.publish, "--volume", place + ":" + c.volume}
	if uid := os.Geteuid(); uid != 0 {
		args = append(args, "--user", fmt.Sprintf("%d:%d", uid, os.Getegid()))
	}
	for _, setting := range c.env {
		variable, _, _ := strings.Cut(setting, "=")
		args = append(args, "--env", variable)
	}
	output, err := o.log(c.name)
	if err != nil {
		return nil, err
	}
	child, err := process.Start(ctx, process.Spec{
		Name: c.name, Path: program, Env: append(os.Environ(), c.env...), Output: output,
		Args: append(append(args, c.image), c.args...),
	})
	if err != nil {
		return nil, err
	}
	if err := retry(ctx, child, func(ctx context.Context) error { return c.ping(ctx, c.url) }); err != nil {
		child.Stop()
		remove()
		return nil, err
	}
	return &server{url: c.url, from: "in a container of " + c.image, child: child, close: remove}, nil
}
