package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/devstack/demo"
	"larder/internal/secret"
)

// Config is everything that an operator decides, read from the environment.
type Config struct {
	Addr         string // public listener, host:port
	InternalAddr string // health and metrics
	Issuer       string // the identity provider, compared exactly
	Resource     string // our own address: the audience that tokens must name

	DatabaseURL        secret.String // runtime role
	MigrateDatabaseURL secret.String // owner; empty where migrations run apart
	DatabaseConns      int32
	ClientID           string // how we authenticate to the issuer
	ClientSecret       secret.String

	PolicyDir   string // .cedar files in place of the built-in family.cedar
	LogLevel    slog.Level
	Development bool // plain http on loopback, demo seeding
}

// need says what a subcommand cannot do without.
type need uint8

const (
	needDatabase need = 1 << iota
	needOwner
	needIssuer
	needServe = needDatabase | needIssuer
)

const (
	defaultAddr          = "localhost:9100"
	defaultInternalAddr  = "127.0.0.1:9101"
	defaultDatabaseConns = 16
)

// loadConfig reads the environment through getenv. Its error names every fault
// there is, and never a secret.
func loadConfig(getenv func(string) string, needs need) (Config, error) {
	l := &loader{getenv: getenv}
	var c Config
	c.Development = l.boolean("RESOURCEAPI_DEVELOPMENT")
	c.Addr = l.addr("RESOURCEAPI_ADDR", defaultAddr)
	c.InternalAddr = l.addr("RESOURCEAPI_INTERNAL_ADDR", defaultInternalAddr)
	if !demo.Loopback(c.InternalAddr) && !l.boolean("RESOURCEAPI_INTERNAL_PRIVATE") {
		l.fault("RESOURCEAPI_INTERNAL_ADDR", "%s is not loopback; set RESOURCEAPI_INTERNAL_PRIVATE=true if only a private network reaches it", c.InternalAddr)
	}
	serving := needs&needIssuer != 0
	c.Issuer = l.url("RESOURCEAPI_ISSUER", c.Development, serving)
	c.Resource = l.url("RESOURCEAPI_RESOURCE", c.Development, serving)
	c.DatabaseURL = l.postgres("RESOURCEAPI_DATABASE_URL", needs&needDatabase != 0)
	c.MigrateDatabaseURL = l.postgres("RESOURCEAPI_MIGRATE_DATABASE_URL", needs&needOwner != 0)
	c.DatabaseConns = l.count("RESOURCEAPI_DATABASE_CONNECTIONS", defaultDatabaseConns)
	c.ClientID = l.required("RESOURCEAPI_CLIENT_ID", serving)
	c.ClientSecret = secret.String(l.required("RESOURCEAPI_CLIENT_SECRET", serving))
	if n := len(c.ClientSecret); n > 0 && n < 16 {
		l.fault("RESOURCEAPI_CLIENT_SECRET", "must have at least 16 characters")
	}
	c.PolicyDir = getenv("RESOURCEAPI_POLICY_DIR")
	c.LogLevel = l.level("RESOURCEAPI_LOG_LEVEL")
	if len(l.faults) > 0 {
		return c, fmt.Errorf("the configuration has %d fault(s):\n%w", len(l.faults), errors.Join(l.faults...))
	}
	return c, nil
}

// loader reads variables and gathers what is wrong with them.
type loader struct {
	getenv func(string) string
	faults []error
}

func (l *loader) fault(name, format string, args ...any) {
	l.faults = append(l.faults, fmt.Errorf("  %s: %s", name, fmt.Sprintf(format, args...)))
}

func (l *loader) required(name string, needed bool) string {
	v := l.getenv(name)
	if v == "" && needed {
		l.fault(name, "must be set")
	}
	return v
}

func (l *loader) boolean(name string) bool {
	v := l.getenv(name)
	if v == "" {
		return false
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		l.fault(name, "must be true or false")
	}
	return b
}

func (l *loader) count(name string, usual int32) int32 {
	v := l.getenv(name)
	if v == "" {
		return usual
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 2 || n > 1000 {
		l.fault(name, "must be a whole number from 2 to 1000")
		return usual
	}
	return int32(n)
}

func (l *loader) level(name string) (level slog.Level) {
	if v := l.getenv(name); v != "" {
		if err := level.UnmarshalText([]byte(v)); err != nil {
			l.fault(name, "must be debug, info, warn or error")
		}
	}
	return level
}

func (l *loader) addr(name, usual string) string {
	v := l.getenv(name)
	if v == "" {
		return usual
	}
	_, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		l.fault(name, "must be host:port")
	}
	return v
}

// url reads an address that tokens repeat character by character: https, save
// in development on loopback.
func (l *loader) url(name string, development, needed bool) string {
	v := l.required(name, needed)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(v, "?#") || strings.HasSuffix(v, "/"):
		l.fault(name, "must be an address such as https://api.example.com, with no slash, query or fragment at the end")
	case u.Scheme == "https":
	case u.Scheme == "http" && development && demo.Loopback(net.JoinHostPort(u.Hostname(), "0")):
	case u.Scheme == "http":
		l.fault(name, "must be https; plain http serves only loopback with RESOURCEAPI_DEVELOPMENT=true")
	default:
		l.fault(name, "must be https")
	}
	return v
}

func (l *loader) postgres(name string, needed bool) secret.String {
	v := l.required(name, needed)
	if v != "" {
		if _, err := pgxpool.ParseConfig(v); err != nil {
			l.fault(name, "is not a PostgreSQL URL") // the parser's error may repeat the password
		}
	}
	return secret.String(v)
}
