package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"larder/internal/devstack/servers"
	"larder/tests/stack"
)

// The logical databases of the benchmark are the last that every Redis has. Tests that run at the same time lease theirs
// from the first.
const (
	benchRedis = 15 - iota
	emptyRedis
	fullRedis
)

// database is one of the run's own, with roles of its own.
type database struct {
	server, name string
	roles        []string
	config       stack.Config
}

func makeDatabase(ctx context.Context, redis int) (_ *database, err error) {
	at, err := servers.Find(os.Getenv)
	if err != nil {
		return nil, err
	}
	d := &database{server: at.DatabaseURL, name: "larder_bench_" + strings.ToLower(rand.Text()[:12])}
	conn, err := pgx.Connect(ctx, d.server)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+d.name); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.drop(ctx))
		}
	}()
	if d.config.OwnerURL, err = servers.WithDatabase(d.server, d.name); err != nil {
		return nil, err
	}
	for group, address := range map[string]*string{
		servers.AuthGroup: &d.config.AuthURL, servers.GroceryGroup: &d.config.GroceryURL,
	} {
		role, password := d.name+strings.TrimPrefix(group, "larder"), strings.ToLower(rand.Text())
		if err := servers.Login(ctx, conn, group, role, password); err != nil {
			return nil, err
		}
		d.roles = append(d.roles, role)
		if *address, err = servers.WithLogin(d.config.OwnerURL, role, password); err != nil {
			return nil, err
		}
	}
	d.config.RedisURL, err = clearRedis(ctx, at.RedisURL, redis)
	return d, err
}

func clearRedis(ctx context.Context, address string, number int) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("the address of Redis is not a URL")
	}
	u.Path = fmt.Sprintf("/%d", number)
	options, err := redis.ParseURL(u.String())
	if err != nil {
		return "", err
	}
	client := redis.NewClient(options)
	return u.String(), errors.Join(client.FlushDB(ctx).Err(), client.Close())
}

// prepareLimits makes the tables of the limit handlers.
func (d *database) prepareLimits(ctx context.Context) error {
	return d.exec(ctx, limitTables, "ANALYZE", "CHECKPOINT")
}

// settle lets the tables that were filled settle.
func (d *database) settle(ctx context.Context) error {
	return d.exec(ctx, "VACUUM ANALYZE", "CHECKPOINT")
}

func (d *database) exec(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, d.config.OwnerURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// drop removes the database and its roles, also after the run was interrupted.
func (d *database) drop(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	conn, err := pgx.Connect(ctx, d.server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+d.name+" WITH (FORCE)"); err != nil {
		return err
	}
	for _, role := range d.roles {
		if _, err := conn.Exec(ctx, "DROP ROLE IF EXISTS "+role); err != nil {
			return err
		}
	}
	return nil
}
