package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"larder/internal/pgtest"
)

const testAPI = "http://localhost:9100"

// world is one installation: a database, a Redis and an environment.
type world struct {
	db  *pgtest.DB
	env map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := pgtest.New(t)
	return &world{db: db, env: map[string]string{
		"AUTHSERVER_ADDR":                    "127.0.0.1:0",
		"AUTHSERVER_INTERNAL_ADDR":           "127.0.0.1:0",
		"AUTHSERVER_ISSUER":                  "http://localhost:9000",
		"AUTHSERVER_DEVELOPMENT":             "true",
		"AUTHSERVER_DATABASE_URL":            db.AuthURL,
		"AUTHSERVER_REDIS_URL":               pgtest.RedisURL(t),
		"AUTHSERVER_KEY_ENCRYPTION_KEYS":     kekText(),
		"AUTHSERVER_RESOURCE_SERVERS":        testAPI + "=family:read lists:read lists:write",
		"AUTHSERVER_DEMO_RESOURCEAPI_SECRET": "the secret of the API",
		"USER":                               "tester",
	}}
}

// with returns the same installation under other settings.
func (w *world) with(settings ...string) *world {
	env := maps.Clone(w.env)
	for i := 0; i < len(settings); i += 2 {
		env[settings[i]] = settings[i+1]
	}
	return &world{db: w.db, env: env}
}

// run does what args say and returns what was printed.
func (w *world) run(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	err = run(t.Context(), args, &terminal{getenv: lookup(w.env), in: strings.NewReader(stdin), out: &out, errOut: &errOut, now: time.Now})
	return out.String(), errOut.String(), err
}

// must is run for commands that succeed; it reads their JSON into v.
func (w *world) must(t *testing.T, v any, stdin string, args ...string) {
	t.Helper()
	out, errOut, err := w.run(t, stdin, append(args, "--json")...)
	if err != nil {
		t.Fatalf("authserver %s: %v\n%s", strings.Join(args, " "), err, errOut)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		t.Fatalf("authserver %s printed %q: %v", strings.Join(args, " "), out, err)
	}
}
