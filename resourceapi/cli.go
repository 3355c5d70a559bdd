package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"

	"larder/internal/headroom"
	"larder/internal/postgres"
	"larder/internal/telemetry"
	"larder/migrations"
	"larder/resourceapi/policytool"
)

// errUsage says that the command line was wrong and that the user was told.
var errUsage = errors.New("usage")

const usage = `resourceapi is Larder's grocery API.

Usage: resourceapi COMMAND

Commands:
  serve     answer requests until told to stop
  migrate   bring the database to this program's version
  demo      make the demo family of a document on standard input, print the completed document
  policy    check, test or explain the policies that say who may do what
  audit     verify [--family ID] [--checkpoint TOKEN]  are the families' audit logs as they were written?
            export [--family ID] [--action A] [--result R] [--actor ID] [--target ID] [--since T] [--until T]  print them, NDJSON
  version   say which program this is

Environment (every fault is reported at once):
  RESOURCEAPI_ISSUER                the identity provider, such as https://login.example.com
  RESOURCEAPI_RESOURCE              our own address, which tokens name as their audience
  RESOURCEAPI_CLIENT_ID             how this service authenticates to the identity provider,
  RESOURCEAPI_CLIENT_SECRET           for introspection and revocations
  RESOURCEAPI_ADDR                  public listener (localhost:9100)
  RESOURCEAPI_INTERNAL_ADDR         health and metrics (127.0.0.1:9101); not loopback only with
                                    RESOURCEAPI_INTERNAL_PRIVATE=true
  RESOURCEAPI_SHUTDOWN_DELAY        how long to serve on after SIGTERM, while /readyz says 503 (5s; none in development;
                                    1m at most)
  RESOURCEAPI_DATABASE_URL          PostgreSQL, as a LOGIN role that is only a member of larder_grocery
  RESOURCEAPI_MIGRATE_DATABASE_URL  PostgreSQL, as the owner; if set, serve migrates at its start
  RESOURCEAPI_DATABASE_CONNECTIONS  size of the pool (16)
  RESOURCEAPI_REDIS_URL             Redis, for tokens that are bound to a key (DPoP), which are refused without it, and for
                                    quotas, which each replica counts by itself without it
  RESOURCEAPI_DPOP_NONCE_REQUIRED   true demands a nonce of ours in every DPoP proof (false)
  RESOURCEAPI_QUOTA_PRINCIPAL       requests of one caller in a minute (1200; in development 1000000, as the next two)
  RESOURCEAPI_QUOTA_FAMILY          of a family with all its callers (6000)
  RESOURCEAPI_QUOTA_ADDRESS         of an address, without a credential that is believed (600)
  RESOURCEAPI_TRUSTED_PROXIES       comma-separated addresses and networks whose X-Forwarded-For is believed
  RESOURCEAPI_TLS_CERT, RESOURCEAPI_TLS_KEY  PEM files, read again when they change (none: a proxy speaks TLS)
  RESOURCEAPI_MTLS_ADDR             a second public listener, which asks clients for certificates (RFC 8705; none)
  RESOURCEAPI_CLIENT_CERT_PROXIES   networks whose Client-Cert header is believed (RFC 9440; none)
  RESOURCEAPI_KEY_ENCRYPTION_KEYS   base64 keys of 32 bytes, the current one first, that seal secrets of webhooks, what
                                    people avoid and who was invited by mail; without any, changing
                                    RESOURCEAPI_CLIENT_SECRET makes those unreadable
  RESOURCEAPI_AUDIT_RETENTION       for how many days the families' audit logs are kept: 90 to 3650 (400)
  RESOURCEAPI_INVITATION_URL        the front end's page that takes an invitation from its fragment, #invitation=…
  RESOURCEAPI_SMTP_URL              mail server for invitations by e-mail: smtps://user:password@host:465, or
                                    smtp://…:587, which begins TLS; without it none are sent
  RESOURCEAPI_MAIL_FROM             whom they come from, such as Larder <no-reply@example.com>
  RESOURCEAPI_BRAND_NAME            what the service is called in them (Larder)
  RESOURCEAPI_MAIL_DIR              in place of a mail server, a folder for them as files, for development
  RESOURCEAPI_POLICY_DIR            a folder of .cedar files that say what roles may do, read again when changed
  RESOURCEAPI_LOG_LEVEL             debug, info, warn or error (info)
  RESOURCEAPI_DEVELOPMENT           true allows plain http on loopback, and demo seeding

A first server:
  resourceapi migrate && resourceapi serve
  curl -s localhost:9100/openapi.json
`

// run does what args say. It is main without the process: tests call it.
func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out, errOut io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(errOut, usage)
		return errUsage
	}
	if args[0] == "policy" {
		tool := &policytool.Tool{Dir: getenv("RESOURCEAPI_POLICY_DIR"), Now: clock, Out: out, ErrOut: errOut}
		if err := tool.Run(ctx, args[1:]); !errors.Is(err, policytool.ErrTold) {
			return err
		}
		return errUsage
	}
	help := []string{"help", "--help", "-help", "-h"}
	if slices.ContainsFunc(args, func(a string) bool { return slices.Contains(help, a) }) {
		fmt.Fprint(out, usage)
		return nil
	}
	if args[0] == "audit" {
		return runAudit(ctx, args[1:], getenv, out, errOut)
	}
	if len(args) > 1 {
		fmt.Fprintf(errOut, "resourceapi: %s takes no arguments. Try: resourceapi help\n", args[0])
		return errUsage
	}
	switch args[0] {
	case "serve":
		return serve(ctx, getenv, errOut)
	case "migrate":
		cfg, err := loadConfig(getenv, needOwner)
		if err != nil {
			return err
		}
		return postgres.Migrate(ctx, cfg.MigrateDatabaseURL, schema, migrations.ResourceAPI())
	case "demo":
		return runDemo(ctx, getenv, in, out)
	case "version":
		fmt.Fprintln(out, "resourceapi", version())
		return nil
	}
	fmt.Fprintf(errOut, "resourceapi: there is no command %q. Try: resourceapi help\n", args[0])
	return errUsage
}

func serve(ctx context.Context, getenv func(string) string, logTo io.Writer) error {
	cfg, err := loadConfig(getenv, needServe)
	if err != nil {
		return err
	}
	out := telemetry.NewBuffer(logTo)
	defer out.Close()
	log := telemetry.Logger(out, cfg.LogLevel, "resourceapi")
	if getenv("GOGC") == "" { // else the operator has said what he wants
		go headroom.Keep(ctx, gcRoom)
	}
	s, err := newServer(ctx, cfg, log, clock)
	if err != nil {
		return err
	}
	return s.serve(ctx)
}

// gcRoom is what may be allocated between two collections. With more, requests
// were hardly any faster.
const gcRoom = 20 << 20

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}
