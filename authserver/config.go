package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/devstack/demo"
	"larder/internal/sealed"
	"larder/internal/secret"
)

// Config is everything that an operator decides, read from the environment.
type Config struct {
	Addr         string // public listener, host:port
	InternalAddr string // health and metrics
	Issuer       string // our own name and public address, without a trailing slash

	DatabaseURL        secret.String // runtime role
	MigrateDatabaseURL secret.String // owner; empty where migrations run apart
	DatabaseConns      int32
	RedisURL           secret.String

	KeyEncryptionKeys secret.String // parsed into KEK
	KEK               *sealed.Keyring
	ResourceServers   []oidc.ResourceServer

	TrustedProxies      []netip.Prefix // whose X-Forwarded-For we believe
	AccessTokenLifespan time.Duration
	LogLevel            slog.Level
	Development         bool // plain http on loopback, demo seeding
	MailDir             string
	SMSDir              string
}

// need says what a subcommand cannot do without.
type need uint8

const (
	needDatabase need = 1 << iota
	needOwner
	needRedis
	needKeys
	needIssuer
	needServe = needDatabase | needRedis | needKeys | needIssuer
)

// Defaults of what may be left out.
const (
	defaultAddr          = "localhost:9000"
	defaultInternalAddr  = "127.0.0.1:9001"
	defaultDatabaseConns = 16
)

// loadConfig reads the environment through getenv. Its error names every fault
// there is, and never a secret.
func loadConfig(getenv func(string) string, needs need) (Config, error) {
	l := &loader{getenv: getenv}
	var c Config
	c.Development = l.boolean("AUTHSERVER_DEVELOPMENT")
	c.Addr = l.addr("AUTHSERVER_ADDR", defaultAddr)
	c.InternalAddr = l.addr("AUTHSERVER_INTERNAL_ADDR", defaultInternalAddr)
	if !demo.Loopback(c.InternalAddr) && !l.boolean("AUTHSERVER_INTERNAL_PRIVATE") {
		l.fault("AUTHSERVER_INTERNAL_ADDR", "%s is not loopback; set AUTHSERVER_INTERNAL_PRIVATE=true if only a private network reaches it", c.InternalAddr)
	}
	c.Issuer = l.issuer("AUTHSERVER_ISSUER", c.Addr, c.Development, needs&needIssuer != 0)
	c.DatabaseURL = l.postgres("AUTHSERVER_DATABASE_URL", needs&needDatabase != 0)
	c.MigrateDatabaseURL = l.postgres("AUTHSERVER_MIGRATE_DATABASE_URL", needs&needOwner != 0)
	c.DatabaseConns = l.count("AUTHSERVER_DATABASE_CONNECTIONS", defaultDatabaseConns)
	c.RedisURL = l.redis("AUTHSERVER_REDIS_URL", needs&needRedis != 0)
	c.KeyEncryptionKeys, c.KEK = l.keys("AUTHSERVER_KEY_ENCRYPTION_KEYS", needs&needKeys != 0)
	c.ResourceServers = l.resourceServers("AUTHSERVER_RESOURCE_SERVERS")
	c.TrustedProxies = l.prefixes("AUTHSERVER_TRUSTED_PROXIES")
	c.AccessTokenLifespan = l.duration("AUTHSERVER_ACCESS_TOKEN_LIFESPAN", time.Minute, time.Hour)
	c.LogLevel = l.level("AUTHSERVER_LOG_LEVEL")
	c.MailDir = getenv("AUTHSERVER_MAIL_DIR")
	c.SMSDir = getenv("AUTHSERVER_SMS_DIR")
	if len(l.faults) > 0 {
		return c, fmt.Errorf("the configuration has %d fault(s):\n%w", len(l.faults), errors.Join(l.faults...))
	}
	return c, nil
}

// secure reports whether browsers reach us over https.
func (c Config) secure() bool { return strings.HasPrefix(c.Issuer, "https://") }

// apiScopes lists the scopes of every resource server.
func (c Config) apiScopes() []string {
	var scopes []string
	for _, rs := range c.ResourceServers {
		scopes = append(scopes, rs.Scopes...)
	}
	return scopes
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

func (l *loader) duration(name string, least, most time.Duration) time.Duration {
	v := l.getenv(name)
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		l.fault(name, "must be a duration from %s to %s, such as 5m", least, most)
	}
	return d
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

// issuer checks the issuer identifier (OpenID Connect Discovery §3, RFC 8414
// §2): https with nothing but a host, save in development on loopback.
func (l *loader) issuer(name, addr string, development, needed bool) string {
	v := l.getenv(name)
	if v == "" && development && demo.Loopback(addr) {
		return "http://" + addr
	}
	if v == "" {
		if needed {
			l.fault(name, "must be set, such as https://login.example.com")
		}
		return ""
	}
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || strings.ContainsAny(v, "?#"):
		l.fault(name, "must be scheme://host with nothing behind, such as https://login.example.com")
	case u.Scheme == "https":
	case u.Scheme == "http" && development && demo.Loopback(net.JoinHostPort(u.Hostname(), "0")):
	case u.Scheme == "http":
		l.fault(name, "must be https; plain http serves only loopback with AUTHSERVER_DEVELOPMENT=true")
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

func (l *loader) redis(name string, needed bool) secret.String {
	v := l.required(name, needed)
	if v != "" {
		if _, err := redis.ParseURL(v); err != nil {
			l.fault(name, "is not a Redis URL")
		}
	}
	return secret.String(v)
}

func (l *loader) keys(name string, needed bool) (secret.String, *sealed.Keyring) {
	v := l.required(name, needed)
	if v == "" {
		return "", nil
	}
	keys, err := sealed.ParseKeys(v)
	if err != nil {
		l.fault(name, "%v; make one with: openssl rand -base64 32", err)
		return "", nil
	}
	ring, err := sealed.NewKeyring(keys...)
	if err != nil {
		l.fault(name, "%v", err)
	}
	return secret.String(v), ring
}

// resourceServers reads "resource=scope scope;resource=scope".
func (l *loader) resourceServers(name string) []oidc.ResourceServer {
	var all []oidc.ResourceServer
	for part := range strings.SplitSeq(l.getenv(name), ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		resource, scopes, _ := strings.Cut(part, "=")
		u, err := url.Parse(resource)
		if err != nil || !u.IsAbs() || u.Host == "" || strings.Contains(resource, "#") { // RFC 8707 §2
			l.fault(name, "%q is not an absolute URI without a fragment", resource)
			continue
		}
		rs := oidc.ResourceServer{Resource: resource, Scopes: oidc.SplitScope(scopes)}
		if len(rs.Scopes) == 0 {
			l.fault(name, "%s has no scopes: write %s=scope1 scope2", resource, resource)
		}
		all = append(all, rs)
	}
	return all
}

func (l *loader) prefixes(name string) []netip.Prefix {
	var all []netip.Prefix
	for part := range strings.SplitSeq(l.getenv(name), ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			addr, addrErr := netip.ParseAddr(part)
			if addrErr != nil {
				l.fault(name, "%q is neither an address nor a network such as 10.0.0.0/8", part)
				continue
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		all = append(all, prefix)
	}
	return all
}
