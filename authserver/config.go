package main

import (
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"larder/authserver/holder"
	"larder/authserver/oidc"
	"larder/authserver/registration"
	"larder/internal/auditchain"
	"larder/internal/brand"
	"larder/internal/devstack/demo"
	"larder/internal/env"
	"larder/internal/risk"
	"larder/internal/sealed"
	"larder/internal/secret"
)

// Config is everything that an operator decides, read from the environment.
type Config struct {
	Addr         string // public listener, host:port
	InternalAddr string // health and metrics
	// ShutdownDelay is how long the service serves on when it was told to stop, and says that it is not ready.
	ShutdownDelay time.Duration
	Issuer        string // our own name and public address, without a trailing slash

	DatabaseURL        secret.String // runtime role
	MigrateDatabaseURL secret.String // owner; empty where migrations run apart
	DatabaseConns      int32
	RedisURL           secret.String

	KeyEncryptionKeys secret.String // parsed into KEK
	KEK               *sealed.Keyring
	AuditSeals        *auditchain.Seals // nil without key-encryption keys
	AuditRetention    time.Duration     // after which the audit log forgets
	ResourceServers   []oidc.ResourceServer
	Holders           []holder.Holder // those that hold data of people

	TrustedProxies      []netip.Prefix // whose X-Forwarded-For we believe
	TLS                 TLSConfig
	AccessTokenLifespan time.Duration
	DPoPNonceRequired   bool // RFC 9449 §8
	SessionManagement   bool // OpenID Connect Session Management 1.0
	ImplicitFlow        bool // and the hybrid one (OpenID Connect Core §3.2, §3.3)
	Registration        registration.Policy
	LogLevel            slog.Level
	Development         bool // plain http on loopback, demo seeding
	Brand               brand.Brand
	People              PeopleConfig
	Federation          FederationConfig

	places  *risk.Places // nil without AUTHSERVER_GEOIP_DATABASE
	program string       // starts the processes that hash; empty to hash in this one
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
	r := env.New(getenv)
	var c Config
	c.Development = r.Bool("AUTHSERVER_DEVELOPMENT")
	c.Addr = r.Addr("AUTHSERVER_ADDR", defaultAddr)
	c.InternalAddr = r.Addr("AUTHSERVER_INTERNAL_ADDR", defaultInternalAddr)
	if !demo.Loopback(c.InternalAddr) && !r.Bool("AUTHSERVER_INTERNAL_PRIVATE") {
		r.Fault("AUTHSERVER_INTERNAL_ADDR", "%s is not loopback; set AUTHSERVER_INTERNAL_PRIVATE=true if only a private network reaches it", c.InternalAddr)
	}
	c.Issuer = readIssuer(r, "AUTHSERVER_ISSUER", c.Addr, c.Development, needs&needIssuer != 0)
	c.DatabaseURL = r.Postgres("AUTHSERVER_DATABASE_URL", needs&needDatabase != 0)
	c.MigrateDatabaseURL = r.Postgres("AUTHSERVER_MIGRATE_DATABASE_URL", needs&needOwner != 0)
	c.ShutdownDelay = r.Delay("AUTHSERVER_SHUTDOWN_DELAY", time.Minute, c.Development)
	c.DatabaseConns = r.Count("AUTHSERVER_DATABASE_CONNECTIONS", defaultDatabaseConns)
	c.RedisURL = r.Redis("AUTHSERVER_REDIS_URL", needs&needRedis != 0)
	c.readKeys(r, "AUTHSERVER_KEY_ENCRYPTION_KEYS", needs&needKeys != 0)
	c.AuditRetention = r.Days("AUTHSERVER_AUDIT_RETENTION", 400, 90, 3650)
	c.ResourceServers = readResourceServers(r, "AUTHSERVER_RESOURCE_SERVERS")
	c.Holders = readHolders(r, "AUTHSERVER_DATA_HOLDERS", c.ResourceServers)
	c.TrustedProxies = r.Prefixes("AUTHSERVER_TRUSTED_PROXIES")
	c.TLS = readTLS(r, c.Issuer, c.Development)
	c.AccessTokenLifespan = r.Duration("AUTHSERVER_ACCESS_TOKEN_LIFESPAN", time.Minute, time.Hour)
	c.DPoPNonceRequired = r.Bool("AUTHSERVER_DPOP_NONCE_REQUIRED")
	c.SessionManagement = r.Bool("AUTHSERVER_SESSION_MANAGEMENT") || c.Development
	c.ImplicitFlow = r.Bool("AUTHSERVER_IMPLICIT_FLOW")
	c.Registration = readRegistration(r, c.Development)
	c.LogLevel = r.Level("AUTHSERVER_LOG_LEVEL")
	c.Brand = readBrand(r)
	c.People = readPeople(r, c.Issuer, c.Brand.Name, c.Development)
	c.Federation = readFederation(r, c.Development)
	c.places = readPlaces(r, "AUTHSERVER_GEOIP_DATABASE")
	return c, r.Err()
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

// readIssuer checks the issuer identifier (OpenID Connect Discovery §3, RFC 8414
// §2): https with nothing but a host, save in development on loopback.
func readIssuer(r *env.Reader, name, addr string, development, needed bool) string {
	v := r.String(name)
	if v == "" && development && demo.Loopback(addr) {
		return "http://" + addr
	}
	if v == "" {
		if needed {
			r.Fault(name, "must be set, such as https://login.example.com")
		}
		return ""
	}
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || strings.ContainsAny(v, "?#"):
		r.Fault(name, "must be scheme://host with nothing behind, such as https://login.example.com")
	case u.Scheme == "https":
	case u.Scheme == "http" && development && demo.Loopback(net.JoinHostPort(u.Hostname(), "0")):
	case u.Scheme == "http":
		r.Fault(name, "must be https; plain http serves only loopback with AUTHSERVER_DEVELOPMENT=true")
	default:
		r.Fault(name, "must be https")
	}
	return v
}

// readPlaces opens a MaxMind City database, if the operator has one.
func readPlaces(r *env.Reader, name string) *risk.Places {
	path := r.String(name)
	if path == "" {
		return nil
	}
	places, err := risk.OpenPlaces(path)
	if err != nil {
		r.Fault(name, "must be a MaxMind City database: %v", err)
		return nil
	}
	return places
}

// readRegistration says who may register a client: nobody unless an operator
// decides otherwise, and everybody in development only.
func readRegistration(r *env.Reader, development bool) registration.Policy {
	const name = "AUTHSERVER_REGISTRATION"
	policy := registration.Policy{WithoutPKCE: r.Bool("AUTHSERVER_REGISTRATION_WITHOUT_PKCE") || development}
	switch v := r.String(name); {
	case v == "open" && !development:
		r.Fault(name, "may be open in development only; use initial_access_token and: authserver registration-token create")
	case v == "open", v == "" && development:
		policy.Open, policy.InitialToken = true, true
	case v == "initial_access_token":
		policy.InitialToken = true
	case v != "" && v != "off":
		r.Fault(name, "must be off, initial_access_token or open")
	}
	return policy
}

// readKeys reads what seals keys and secrets, and what signs checkpoints of the
// audit log, which is derived from it.
func (c *Config) readKeys(r *env.Reader, name string, needed bool) {
	v := r.Required(name, needed)
	if v == "" {
		return
	}
	keys, err := sealed.ParseKeys(v)
	if err != nil {
		r.Fault(name, "%v; make one with: openssl rand -base64 32", err)
		return
	}
	c.KeyEncryptionKeys = secret.String(v)
	if c.KEK, err = sealed.NewKeyring(keys...); err != nil {
		r.Fault(name, "%v", err)
		return
	}
	if c.AuditSeals, err = auditchain.NewSeals("authserver", keys...); err != nil {
		r.Fault(name, "%v", err)
	}
}

// readResourceServers reads "resource=scope scope;resource=scope".
func readResourceServers(r *env.Reader, name string) []oidc.ResourceServer {
	var all []oidc.ResourceServer
	for part := range strings.SplitSeq(r.String(name), ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		resource, scopes, _ := strings.Cut(part, "=")
		u, err := url.Parse(resource)
		if err != nil || !u.IsAbs() || u.Host == "" || strings.Contains(resource, "#") { // RFC 8707 §2
			r.Fault(name, "%q is not an absolute URI without a fragment", resource)
			continue
		}
		rs := oidc.ResourceServer{Resource: resource, Scopes: oidc.SplitScope(scopes)}
		if len(rs.Scopes) == 0 {
			r.Fault(name, "%s has no scopes: write %s=scope1 scope2", resource, resource)
		}
		all = append(all, rs)
	}
	return all
}

// readHolders reads "resource;resource=address": the resource servers that hold
// data of people. The address is where we reach one that goes by its public name
// elsewhere; that an operator set it lets it be private and plain http.
func readHolders(r *env.Reader, name string, known []oidc.ResourceServer) []holder.Holder {
	var all []holder.Holder
	for part := range strings.SplitSeq(r.String(name), ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		resource, address, apart := strings.Cut(part, "=")
		if !apart {
			address = resource
		}
		if !slices.ContainsFunc(known, func(rs oidc.ResourceServer) bool { return rs.Resource == resource }) {
			r.Fault(name, "%q is not among AUTHSERVER_RESOURCE_SERVERS", resource)
		}
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			r.Fault(name, "%q is not an http or https address", address)
		}
		all = append(all, holder.Holder{Resource: resource, Address: strings.TrimRight(address, "/")})
	}
	return all
}
