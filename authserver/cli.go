package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/headroom"
	"larder/internal/telemetry"
)

// errUsage says that the command line was wrong and that the user was told.
var errUsage = errors.New("usage")

// command is one subcommand. flags declares its flags and returns what to do
// once they are parsed.
type command struct {
	name  string // "client create"
	args  string // what stands behind the flags, "" for nothing
	short string // one line for the overview
	long  string // what help adds: an explanation and examples
	needs need
	bare  bool // it works on nothing, or opens that itself
	flags func(*flag.FlagSet) action
}

type action func(ctx context.Context, t *terminal, args []string) error

// terminal is where a subcommand runs.
type terminal struct {
	program string // this one, to be started again; empty in tests
	cfg     Config
	getenv  func(string) string
	in      io.Reader
	out     io.Writer
	errOut  io.Writer
	now     func() time.Time
	json    bool
	core    *core // what the subcommand works on; nil for one that is bare
}

func commands() []command {
	var all []command
	for _, group := range [][]command{serverCommands(), keyCommands(), clientCommands(), registrationCommands(), userCommands(), apiKeyCommands(), grantCommands(), erasureCommands(), auditCommands()} {
		all = append(all, group...)
	}
	return all
}

// parse reads flags wherever they stand, before or behind the arguments.
func parse(flags *flag.FlagSet, args []string) (positional []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if args = flags.Args(); len(args) == 0 {
			return positional, nil
		}
		positional, args = append(positional, args[0]), args[1:]
	}
}

// find returns the command whose words args begin with, and what is behind.
func find(all []command, args []string) (command, []string, bool) {
	for _, c := range all {
		words := strings.Fields(c.name)
		if len(args) >= len(words) && slices.Equal(words, args[:len(words)]) {
			return c, args[len(words):], true
		}
	}
	return command{}, nil, false
}

// unknown explains a group such as "client", or what is wrong.
func unknown(all []command, args []string, out, errOut io.Writer) error {
	group := args[0] + " "
	if slices.ContainsFunc(all, func(c command) bool { return strings.HasPrefix(c.name, group) }) {
		if len(args) > 1 && strings.HasPrefix(args[1], "-") {
			overview(out, all, group)
			return nil
		}
		overview(errOut, all, group)
		return errUsage
	}
	fmt.Fprintf(errOut, "authserver: there is no command %q. Try: authserver help\n", strings.Join(args, " "))
	return errUsage
}

func overview(w io.Writer, all []command, group string) {
	fmt.Fprint(w, "authserver is Larder's OpenID Provider.\n\nUsage: authserver COMMAND [--flags] [arguments]\n\nCommands:\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range all {
		if strings.HasPrefix(c.name, group) {
			fmt.Fprintf(table, "  %s %s\t%s\n", c.name, c.args, c.short)
		}
	}
	_ = table.Flush()
	fmt.Fprint(w, "\nauthserver COMMAND --help tells more, with examples. --json prints JSON for programs.\n")
	if group == "" {
		fmt.Fprint(w, environment)
	}
}

const environment = `
Environment (every fault is reported at once):
  AUTHSERVER_ISSUER                public address, such as https://login.example.com
  AUTHSERVER_ADDR                  public listener (localhost:9000)
  AUTHSERVER_INTERNAL_ADDR         health and metrics (127.0.0.1:9001); not loopback only with
                                   AUTHSERVER_INTERNAL_PRIVATE=true
  AUTHSERVER_SHUTDOWN_DELAY        how long to serve on after SIGTERM, while /readyz says 503 (5s; none in
                                   development; 1m at most)
  AUTHSERVER_DATABASE_URL          PostgreSQL, as a LOGIN role that is only a member of larder_auth
  AUTHSERVER_MIGRATE_DATABASE_URL  PostgreSQL, as the owner; if set, serve migrates at its start
  AUTHSERVER_DATABASE_CONNECTIONS  size of the pool (16)
  AUTHSERVER_REDIS_URL             Redis
  AUTHSERVER_KEY_ENCRYPTION_KEYS   base64 of 32 bytes (openssl rand -base64 32); several with commas, the
                                   first seals, all open
  AUTHSERVER_AUDIT_RETENTION       for how many days the audit log is kept: 90 to 3650 (400)
  AUTHSERVER_RESOURCE_SERVERS      APIs and their scopes: https://api.example=lists:read lists:write;https://…
  AUTHSERVER_DATA_HOLDERS          those of them that hold data of people, and where we reach them:
                                   https://api.example=http://resourceapi.internal:9100;https://…
  AUTHSERVER_TRUSTED_PROXIES       networks whose X-Forwarded-For is believed: 10.0.0.0/8,…
  AUTHSERVER_TLS_CERT, AUTHSERVER_TLS_KEY  PEM files, read again when they change (none: a proxy speaks TLS)
  AUTHSERVER_MTLS_URL              https address at which clients show certificates (RFC 8705; none)
  AUTHSERVER_MTLS_ADDR             our own listener for that address (none: a proxy's)
  AUTHSERVER_CLIENT_CERT_PROXIES   networks whose Client-Cert header is believed (RFC 9440; none)
  AUTHSERVER_CLIENT_CA             PEM file of the CAs that vouch for clients with tls_client_auth (none)
  AUTHSERVER_CLIENT_CRL            PEM file with the revocation list of each of them (none: nobody looks)
  AUTHSERVER_ACCESS_TOKEN_LIFESPAN 1m to 1h (5m)
  AUTHSERVER_REGISTRATION          who may register clients: off, initial_access_token or, in development, open (off)
  AUTHSERVER_REGISTRATION_WITHOUT_PKCE  true lets confidential ones that register do without PKCE (false)
  AUTHSERVER_IMPLICIT_FLOW         true lets clients have the implicit and hybrid flow of OpenID Connect (false)
  AUTHSERVER_SESSION_MANAGEMENT    true lets apps watch the session in a frame (false; true in development)
  AUTHSERVER_DPOP_NONCE_REQUIRED   true demands a nonce of ours in every DPoP proof (false)
  AUTHSERVER_LOG_LEVEL             debug, info, warn or error (info)
  AUTHSERVER_DEVELOPMENT           true allows plain http on loopback, and demo seeding
  AUTHSERVER_SMTP_URL              mail server: smtps://user:password@host:465 or smtp://user:password@host:587
  AUTHSERVER_MAIL_FROM             whom mails come from (Larder <no-reply@host of the issuer>)
  AUTHSERVER_BRAND_NAME            what the service is called, on pages, in mails, authenticator apps and passkeys (Larder)
  AUTHSERVER_BRAND_ACCENT_LIGHT    colour of links and buttons on light pages, such as #2b6643; WCAG AA contrast is checked
  AUTHSERVER_BRAND_ACCENT_DARK     the same on dark pages, such as #93cfa6
  AUTHSERVER_BRAND_LOGO            file of an SVG drawing or a PNG picture, 128 KiB at most (a drawing of ours)
  AUTHSERVER_BRAND_CONTACT         where people get help: an e-mail or https address (none)
  AUTHSERVER_BRAND_TERMS_URL, AUTHSERVER_BRAND_PRIVACY_URL   https addresses, linked on pages and at registration (none)
  AUTHSERVER_SMS_URL               text messages, by Twilio's API: https://ACCOUNT:TOKEN@api.twilio.com?from=%2B4915112345678 (none)
  AUTHSERVER_BREACHED_PASSWORDS_URL  range service of stolen passwords, such as https://api.pwnedpasswords.com (none)
  AUTHSERVER_GEOIP_DATABASE        a MaxMind City database, for places of sign-ins (none)
  GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET    Sign in with Google (none); see docs/federation.md
  APPLE_CLIENT_ID, APPLE_TEAM_ID, APPLE_KEY_ID, APPLE_PRIVATE_KEY   Sign in with Apple (none)
  AUTHSERVER_MAIL_DIR, AUTHSERVER_SMS_DIR   where messages land in development
  AUTHSERVER_GOOGLE_URL, AUTHSERVER_APPLE_URL   where these two are emulated in development

A first server:
  authserver migrate && authserver serve &
  authserver user create --name "Olive Ops" --email olive@example.com --operator
  authserver client create --name "Web" --redirect-uri https://app.example.com/callback --scope "openid profile email"
`

func explain(w io.Writer, c command, flags *flag.FlagSet) {
	fmt.Fprintf(w, "Usage: authserver %s [--flags] %s\n\n%s\n", c.name, c.args, c.short)
	if c.long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.long))
	}
	fmt.Fprint(w, "\nFlags:\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	flags.VisitAll(func(f *flag.Flag) {
		placeholder, text := flag.UnquoteUsage(f)
		if placeholder != "" {
			placeholder = " " + placeholder
		}
		fmt.Fprintf(table, "  --%s%s\t%s\n", f.Name, placeholder, text)
	})
	_ = table.Flush()
}

// told is err for people: its message, and behind it the faults of single fields. What caused it is for them too only where
// something of theirs is away or broken.
func told(err error) error {
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind == fault.Internal || e.Kind == fault.Unavailable {
		return err
	}
	lines := []string{e.Message}
	for _, f := range e.Fields {
		lines = append(lines, fmt.Sprintf("  %s %s", strings.TrimPrefix(f.Pointer, "/"), f.Detail))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// operator is who the audit log will name.
func (t *terminal) operator() audit.Actor {
	name := t.getenv("SUDO_USER")
	if name == "" {
		name = t.getenv("USER")
	}
	return audit.Actor{Kind: "operator", ID: "cli:" + name}
}

// print shows v as JSON, or with human when a person reads.
func (t *terminal) print(v any, human func(w io.Writer)) error {
	if t.json {
		enc := json.NewEncoder(t.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	human(table)
	return table.Flush()
}

// only returns the one argument that a command takes.
func only(args []string, what string) (string, error) {
	if len(args) != 1 || args[0] == "" {
		return "", fmt.Errorf("give exactly one %s", what)
	}
	return args[0], nil
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(s string) error {
	*l = append(*l, s)
	return nil
}

// day shows a time for people, "-" for none.
func day(at *time.Time) string {
	if at == nil || at.IsZero() {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04Z")
}

// gcRoom is what may be allocated between two collections. With twice as much,
// requests are a twentieth faster, and the process grows to 75 MiB under load
// instead of 58.
const gcRoom = 12 << 20

func serverCommands() []command {
	return []command{
		{
			name: "serve", bare: true, short: "Answer requests until told to stop (SIGTERM, Ctrl-C), then drain.", needs: needServe,
			long: "Starts without PostgreSQL or Redis too: /readyz answers 503 until they are there.",
			flags: func(*flag.FlagSet) action {
				return func(ctx context.Context, t *terminal, args []string) error {
					out := telemetry.NewBuffer(t.errOut)
					defer out.Close()
					log := telemetry.Logger(out, t.cfg.LogLevel, "authserver")
					cfg := t.cfg
					cfg.program = t.program
					if os.Getenv("GOGC") == "" { // else the operator has said what he wants
						go headroom.Keep(ctx, gcRoom)
					}
					return serve(ctx, cfg, t.now, log, nil)
				}
			},
		},
		{
			name: "migrate", bare: true, short: "Bring the database schema to this program's version.", needs: needOwner,
			long: "Safe to run from several places at once, and while an older release serves.",
			flags: func(*flag.FlagSet) action {
				return func(ctx context.Context, t *terminal, args []string) error {
					return migrate(ctx, t.cfg)
				}
			},
		},
		{
			name: "demo", short: "Seed the demo family (development on loopback only).", needs: needServe,
			long: "Reads the demo document on standard input, makes sure that everything in it exists, fills in what is\n" +
				"missing and prints the completed document. `make run` does this for you.",
			flags: func(*flag.FlagSet) action { return seedDemo },
		},
		{
			name: "version", bare: true, short: "Say which build this is.",
			flags: func(*flag.FlagSet) action {
				return func(_ context.Context, t *terminal, _ []string) error { return t.print(build()) }
			},
		},
	}
}

// build returns what the Go toolchain noted of this build.
func build() (any, func(io.Writer)) {
	v := struct {
		Version  string `json:"version"`
		Revision string `json:"revision,omitempty"`
		Go       string `json:"go"`
	}{Version: "devel"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version, v.Go = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return v, func(w io.Writer) { fmt.Fprintf(w, "authserver %s %s %s\n", v.Version, v.Revision, v.Go) }
}
