package env

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

	"larder/internal/devstack/demo"
	"larder/internal/secret"
)

// Reader reads variables and gathers what is wrong with them.
type Reader struct {
	getenv func(string) string
	faults []error
}

// New returns a reader over getenv, which is os.Getenv or a test's.
func New(getenv func(string) string) *Reader { return &Reader{getenv: getenv} }

// Fault notes what is wrong with a variable. It must not repeat a secret.
func (r *Reader) Fault(name, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("  %s: %s", name, fmt.Sprintf(format, args...)))
}

// Err names every fault noted so far, nil when there is none.
func (r *Reader) Err() error {
	if len(r.faults) == 0 {
		return nil
	}
	return fmt.Errorf("the configuration has %d fault(s):\n%w", len(r.faults), errors.Join(r.faults...))
}

// String reads a variable as it is.
func (r *Reader) String(name string) string { return r.getenv(name) }

// Required reads a variable that must be set where it is needed.
func (r *Reader) Required(name string, needed bool) string {
	v := r.getenv(name)
	if v == "" && needed {
		r.Fault(name, "must be set")
	}
	return v
}

// Bool reads true or false; unset is false.
func (r *Reader) Bool(name string) bool {
	v := r.getenv(name)
	if v == "" {
		return false
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		r.Fault(name, "must be true or false")
	}
	return b
}

// Count reads a whole number from 2 to 1000.
func (r *Reader) Count(name string, usual int32) int32 {
	v := r.getenv(name)
	if v == "" {
		return usual
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 2 || n > 1000 {
		r.Fault(name, "must be a whole number from 2 to 1000")
		return usual
	}
	return int32(n)
}

// Quota reads how many in a while are let in, at least 1; unset is usual.
func (r *Reader) Quota(name string, usual int) int {
	v := r.getenv(name)
	if v == "" {
		return usual
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 1_000_000 {
		r.Fault(name, "must be a whole number from 1 to 1000000")
		return usual
	}
	return n
}

// Duration reads a duration within bounds; unset is 0, which leaves the choice
// to its user.
func (r *Reader) Duration(name string, least, most time.Duration) time.Duration {
	v := r.getenv(name)
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		r.Fault(name, "must be a duration from %s to %s, such as 5m", least, most)
	}
	return d
}

// usualDelay is a little more than load balancers take from one look at /readyz to the next.
const usualDelay = 5 * time.Second

// Delay reads how long to serve on when told to stop; unset is a few seconds, and
// none in development.
func (r *Reader) Delay(name string, most time.Duration, development bool) time.Duration {
	if r.getenv(name) == "" && !development {
		return usualDelay
	}
	return r.Duration(name, 0, most)
}

// Days reads a whole number of days within bounds; unset is usual.
func (r *Reader) Days(name string, usual, least, most int) time.Duration {
	const day = 24 * time.Hour
	v := r.getenv(name)
	if v == "" {
		return time.Duration(usual) * day
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		r.Fault(name, "must be a whole number of days from %d to %d", least, most)
		return time.Duration(usual) * day
	}
	return time.Duration(n) * day
}

// Level reads a log level; unset is info.
func (r *Reader) Level(name string) (level slog.Level) {
	if v := r.getenv(name); v != "" {
		if err := level.UnmarshalText([]byte(v)); err != nil {
			r.Fault(name, "must be debug, info, warn or error")
		}
	}
	return level
}

// Addr reads host:port.
func (r *Reader) Addr(name, usual string) string {
	v := r.getenv(name)
	if v == "" {
		return usual
	}
	_, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.Fault(name, "must be host:port")
	}
	return v
}

// Postgres reads the URL of a PostgreSQL database.
func (r *Reader) Postgres(name string, needed bool) secret.String {
	v := r.Required(name, needed)
	if v != "" {
		if _, err := pgxpool.ParseConfig(v); err != nil {
			r.Fault(name, "is not a PostgreSQL URL") // the parser's error may repeat the password
		}
	}
	return secret.String(v)
}

// Redis reads the URL of a Redis server.
func (r *Reader) Redis(name string, needed bool) secret.String {
	v := r.Required(name, needed)
	if v != "" {
		if _, err := redis.ParseURL(v); err != nil {
			r.Fault(name, "is not a Redis URL")
		}
	}
	return secret.String(v)
}

// Prefixes reads comma-separated addresses and networks.
func (r *Reader) Prefixes(name string) []netip.Prefix {
	var all []netip.Prefix
	for part := range strings.SplitSeq(r.getenv(name), ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			addr, addrErr := netip.ParseAddr(part)
			if addrErr != nil {
				r.Fault(name, "%q is neither an address nor a network such as 10.0.0.0/8", part)
				continue
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		all = append(all, prefix)
	}
	return all
}

// KeyPair reads the names of the files of a TLS certificate and its key: both,
// or neither.
func (r *Reader) KeyPair(certName, keyName string) (cert, key string) {
	cert, key = r.getenv(certName), r.getenv(keyName)
	switch {
	case cert == "" && key != "":
		r.Fault(certName, "must be set with %s", keyName)
	case cert != "" && key == "":
		r.Fault(keyName, "must be set with %s", certName)
	}
	return cert, key
}

// Address reads a public address that tokens repeat character by character:
// https, save in development on loopback.
func (r *Reader) Address(name string, development, needed bool) string {
	v := r.Required(name, needed)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(v, "?#") || strings.HasSuffix(v, "/"):
		r.Fault(name, "must be an address such as https://api.example.com, with no slash, query or fragment at the end")
	case u.Scheme == "https":
	case u.Scheme == "http" && development && demo.Loopback(net.JoinHostPort(u.Hostname(), "0")):
	case u.Scheme == "http":
		r.Fault(name, "must be https; plain http serves only loopback in development")
	default:
		r.Fault(name, "must be https")
	}
	return v
}
