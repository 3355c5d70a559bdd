package main

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"larder/internal/devstack/demo"
	"larder/internal/env"
	"larder/internal/sealed"
	"larder/internal/secret"
)

// Config is everything that an operator decides, read from the environment.
type Config struct {
	Addr         string // public listener, host:port
	InternalAddr string // health and metrics
	// ShutdownDelay is how long the service serves on when it was told to stop, and says that it is not ready.
	ShutdownDelay time.Duration
	Issuer        string // the identity provider, compared exactly
	Resource      string // our own address: the audience that tokens must name

	DatabaseURL        secret.String // runtime role
	MigrateDatabaseURL secret.String // owner; empty where migrations run apart
	DatabaseConns      int32
	RedisURL           secret.String // where used DPoP proofs are remembered; empty where DPoP is not taken
	DPoPNonceRequired  bool          // RFC 9449 §9
	ClientID           string        // how we authenticate to the issuer
	ClientSecret       secret.String

	// Requests in a minute; 0 lets in whatever comes.
	QuotaPrincipal, QuotaFamily, QuotaAddress int

	TrustedProxies []netip.Prefix // whose X-Forwarded-For we believe

	TLSCert, TLSKey string         // PEM files; empty where a proxy speaks TLS
	MTLSAddr        string         // a second public listener, which asks clients for certificates; empty for none
	CertProxies     []netip.Prefix // whose Client-Cert we believe (RFC 9440)

	KeyEncryptionKeys [][]byte // see sealingKeys; the current one first

	AuditRetention time.Duration // after which the families' audit logs forget

	Mail MailConfig

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

	// Requests in a minute. A person shopping makes a few; a family with all its
	// apps some hundred. In development load tests are to measure the service.
	defaultQuotaPrincipal = 1_200
	defaultQuotaFamily    = 6_000
	defaultQuotaAddress   = 600
	developmentQuota      = 1_000_000
)

// loadConfig reads the environment through getenv. Its error names every fault
// there is, and never a secret.
func loadConfig(getenv func(string) string, needs need) (Config, error) {
	r := env.New(getenv)
	var c Config
	c.Development = r.Bool("RESOURCEAPI_DEVELOPMENT")
	c.Addr = r.Addr("RESOURCEAPI_ADDR", defaultAddr)
	c.InternalAddr = r.Addr("RESOURCEAPI_INTERNAL_ADDR", defaultInternalAddr)
	if !demo.Loopback(c.InternalAddr) && !r.Bool("RESOURCEAPI_INTERNAL_PRIVATE") {
		r.Fault("RESOURCEAPI_INTERNAL_ADDR", "%s is not loopback; set RESOURCEAPI_INTERNAL_PRIVATE=true if only a private network reaches it", c.InternalAddr)
	}
	serving := needs&needIssuer != 0
	c.Issuer = r.Address("RESOURCEAPI_ISSUER", c.Development, serving)
	c.Resource = r.Address("RESOURCEAPI_RESOURCE", c.Development, serving)
	c.DatabaseURL = r.Postgres("RESOURCEAPI_DATABASE_URL", needs&needDatabase != 0)
	c.MigrateDatabaseURL = r.Postgres("RESOURCEAPI_MIGRATE_DATABASE_URL", needs&needOwner != 0)
	c.ShutdownDelay = r.Delay("RESOURCEAPI_SHUTDOWN_DELAY", time.Minute, c.Development)
	c.DatabaseConns = r.Count("RESOURCEAPI_DATABASE_CONNECTIONS", defaultDatabaseConns)
	c.RedisURL = r.Redis("RESOURCEAPI_REDIS_URL", false)
	c.DPoPNonceRequired = r.Bool("RESOURCEAPI_DPOP_NONCE_REQUIRED")
	c.ClientID = r.Required("RESOURCEAPI_CLIENT_ID", serving)
	c.ClientSecret = secret.String(r.Required("RESOURCEAPI_CLIENT_SECRET", serving))
	if n := len(c.ClientSecret); n > 0 && n < 16 {
		r.Fault("RESOURCEAPI_CLIENT_SECRET", "must have at least 16 characters")
	}
	usual := [...]int{defaultQuotaPrincipal, defaultQuotaFamily, defaultQuotaAddress}
	if c.Development {
		usual = [...]int{developmentQuota, developmentQuota, developmentQuota}
	}
	c.QuotaPrincipal = r.Quota("RESOURCEAPI_QUOTA_PRINCIPAL", usual[0])
	c.QuotaFamily = r.Quota("RESOURCEAPI_QUOTA_FAMILY", usual[1])
	c.QuotaAddress = r.Quota("RESOURCEAPI_QUOTA_ADDRESS", usual[2])
	c.TrustedProxies = r.Prefixes("RESOURCEAPI_TRUSTED_PROXIES")
	readTLS(r, &c)
	if v := getenv("RESOURCEAPI_KEY_ENCRYPTION_KEYS"); v != "" {
		var err error
		if c.KeyEncryptionKeys, err = sealed.ParseKeys(v); err != nil {
			r.Fault("RESOURCEAPI_KEY_ENCRYPTION_KEYS", "%v", err)
		}
	}
	c.AuditRetention = r.Days("RESOURCEAPI_AUDIT_RETENTION", 400, 90, 3650)
	c.Mail = readMail(r, c.Resource, c.Development)
	c.PolicyDir = getenv("RESOURCEAPI_POLICY_DIR")
	c.LogLevel = r.Level("RESOURCEAPI_LOG_LEVEL")
	return c, r.Err()
}

// readTLS reads what has to do with TLS and the certificates of clients (RFC
// 8705).
func readTLS(r *env.Reader, c *Config) {
	c.TLSCert, c.TLSKey = r.KeyPair("RESOURCEAPI_TLS_CERT", "RESOURCEAPI_TLS_KEY")
	c.CertProxies = r.Prefixes("RESOURCEAPI_CLIENT_CERT_PROXIES")
	if r.String("RESOURCEAPI_MTLS_ADDR") != "" {
		c.MTLSAddr = r.Addr("RESOURCEAPI_MTLS_ADDR", "")
	}
	if c.TLSCert != "" && strings.HasPrefix(c.Resource, "http://") {
		r.Fault("RESOURCEAPI_TLS_CERT", "is for a RESOURCEAPI_RESOURCE with https")
	}
	if c.MTLSAddr != "" && c.TLSCert == "" {
		r.Fault("RESOURCEAPI_MTLS_ADDR", "needs RESOURCEAPI_TLS_CERT and RESOURCEAPI_TLS_KEY")
	}
}

// takesCertificates reports whether clients can show a certificate.
func (c Config) takesCertificates() bool { return c.MTLSAddr != "" || len(c.CertProxies) > 0 }
