package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"larder/internal/devstack/demo"
)

const (
	defaultAuthServer  = "localhost:9000"
	defaultResourceAPI = "localhost:9100"
)

// plan says where the two services listen, host:port each, and what others call them.
type plan struct {
	authServer, authServerInternal   string
	resourceAPI, resourceAPIInternal string
	issuer, api                      string
}

// plan reads the addresses from the environment. Seeding gives away passwords, so every listener has to be out of reach
// from other machines; and a port that is taken is better named now than by a service that ends at once.
func (s *Stack) plan(ctx context.Context) (plan, error) {
	p := plan{authServer: s.getenv("AUTHSERVER_ADDR", defaultAuthServer), resourceAPI: s.getenv("RESOURCEAPI_ADDR", defaultResourceAPI)}
	p.issuer = s.getenv("AUTHSERVER_ISSUER", "http://"+p.authServer)
	p.api = s.getenv("RESOURCEAPI_RESOURCE", "http://"+p.resourceAPI)
	taken := map[string]bool{}
	for _, public := range []struct{ variable, addr string }{{"AUTHSERVER_ADDR", p.authServer}, {"RESOURCEAPI_ADDR", p.resourceAPI}} {
		if err := loopbackOnly(public.variable, public.addr); err != nil {
			return p, err
		}
		err := free(ctx, public.addr)
		if taken[public.addr] || errors.Is(err, syscall.EADDRINUSE) {
			return p, fmt.Errorf("%s is in use by another program; set %s to listen elsewhere", public.addr, public.variable)
		}
		if err != nil {
			return p, fmt.Errorf("nothing can listen at %s=%s: %w", public.variable, public.addr, err)
		}
		taken[public.addr] = true
	}
	for _, internal := range []struct {
		variable, public string
		addr             *string
	}{
		{"AUTHSERVER_INTERNAL_ADDR", p.authServer, &p.authServerInternal},
		{"RESOURCEAPI_INTERNAL_ADDR", p.resourceAPI, &p.resourceAPIInternal},
	} {
		addr := s.getenv(internal.variable, "")
		if addr == "" {
			var err error
			if addr, err = beside(ctx, internal.public, taken); err != nil {
				return p, err
			}
		}
		if err := loopbackOnly(internal.variable, addr); err != nil {
			return p, err
		}
		taken[addr], *internal.addr = true, addr
	}
	return p, nil
}

func (s *Stack) getenv(name, otherwise string) string {
	if value := s.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func loopbackOnly(variable, addr string) error {
	if demo.Loopback(addr) {
		return nil
	}
	return fmt.Errorf("%s=%s can be reached from other machines: the demo family, whose passwords lie in a file, is for localhost only", variable, addr)
}

// beside returns the port after the public one on 127.0.0.1, or one that is free.
func beside(ctx context.Context, public string, taken map[string]bool) (string, error) {
	_, port, err := net.SplitHostPort(public)
	if err != nil {
		return "", err
	}
	if n, err := strconv.Atoi(port); err == nil {
		next := net.JoinHostPort("127.0.0.1", strconv.Itoa(n+1))
		if !taken[next] && !taken[net.JoinHostPort("localhost", strconv.Itoa(n+1))] && free(ctx, next) == nil {
			return next, nil
		}
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// free reports why nothing can listen at the address; nil when something can.
func free(ctx context.Context, addr string) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return listener.Close()
}
