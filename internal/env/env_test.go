package env_test

import (
	"strings"
	"testing"
	"time"

	"larder/internal/env"
)

func TestEveryFaultIsNamedTogetherAndNoSecretAmongThem(t *testing.T) {
	t.Parallel()
	vars := map[string]string{
		"BOOL": "perhaps", "COUNT": "1", "DURATION": "3h", "LEVEL": "loud", "ADDR": "nowhere",
		"DATABASE": "postgres://ada:hush@[", "REDIS": "redis://:hush@host:port", "PROXIES": "10.0.0.0/8,here", "PUBLIC": "http://example.com",
	}
	r := env.New(func(name string) string { return vars[name] })
	r.Required("MISSING", true)
	r.Required("OPTIONAL", false)
	r.Bool("BOOL")
	r.Count("COUNT", 16)
	r.Duration("DURATION", time.Minute, time.Hour)
	r.Level("LEVEL")
	r.Addr("ADDR", "localhost:1")
	r.Postgres("DATABASE", true)
	r.Redis("REDIS", true)
	r.Prefixes("PROXIES")
	r.Address("PUBLIC", true, true)

	err := r.Err()
	if err == nil {
		t.Fatal("no fault was reported")
	}
	for _, name := range []string{"MISSING", "BOOL", "COUNT", "DURATION", "LEVEL", "ADDR", "DATABASE", "REDIS", "PROXIES", "PUBLIC", "10 fault(s)"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "OPTIONAL") {
		t.Errorf("too much is told:\n%v", err)
	}
}

func TestWhatIsUnsetHasItsDefault(t *testing.T) {
	t.Parallel()
	r := env.New(func(string) string { return "" })
	if got := r.Addr("ADDR", "localhost:9000"); got != "localhost:9000" {
		t.Errorf("Addr = %q", got)
	}
	if got := r.Count("COUNT", 16); got != 16 {
		t.Errorf("Count = %d", got)
	}
	if r.Bool("BOOL") || r.Duration("DURATION", 0, time.Hour) != 0 || r.Postgres("DB", false) != "" {
		t.Error("an unset variable is not the zero value")
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}
