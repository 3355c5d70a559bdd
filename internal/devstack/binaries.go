package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"larder/internal/devstack/process"
)

// resourceAPIClient is the client as which the resource API asks the introspection endpoint.
const resourceAPIClient = "resourceapi"

// binary is one of the two services as a program with its environment.
type binary struct {
	name string
	path string
	env  []string
}

// build compiles both services into the development directory.
func (s *Stack) build(ctx context.Context) error {
	bin := filepath.Join(s.Dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin+string(filepath.Separator), "./authserver", "./resourceapi")
	cmd.Dir = s.Root
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, output)
	}
	return nil
}

func (s *Stack) authServer(p plan, kept *secrets, db databases, redisURL string, providers map[string]string) binary {
	settings := map[string]string{
		"AUTHSERVER_ADDR":                    p.authServer,
		"AUTHSERVER_INTERNAL_ADDR":           p.authServerInternal,
		"AUTHSERVER_ISSUER":                  p.issuer,
		"AUTHSERVER_DATABASE_URL":            db.auth,
		"AUTHSERVER_MIGRATE_DATABASE_URL":    db.owner,
		"AUTHSERVER_REDIS_URL":               redisURL,
		"AUTHSERVER_KEY_ENCRYPTION_KEYS":     kept.KeyEncryptionKey,
		"AUTHSERVER_RESOURCE_SERVERS":        p.api + "=family:read family:write lists:read lists:write audit:read",
		"AUTHSERVER_DATA_HOLDERS":            p.api,
		"AUTHSERVER_DEVELOPMENT":             "true",
		"AUTHSERVER_MAIL_DIR":                filepath.Join(s.Dir, "mail"),
		"AUTHSERVER_SMS_DIR":                 filepath.Join(s.Dir, "sms"),
		"AUTHSERVER_DEMO_RESOURCEAPI_SECRET": kept.ResourceAPIClientSecret,
	}
	maps.Copy(settings, providers)
	return s.binary("authserver", settings)
}

func (s *Stack) resourceAPI(p plan, kept *secrets, db databases, redisURL string) binary {
	return s.binary("resourceapi", map[string]string{
		"RESOURCEAPI_ADDR":                 p.resourceAPI,
		"RESOURCEAPI_INTERNAL_ADDR":        p.resourceAPIInternal,
		"RESOURCEAPI_ISSUER":               p.issuer,
		"RESOURCEAPI_RESOURCE":             p.api,
		"RESOURCEAPI_DATABASE_URL":         db.grocery,
		"RESOURCEAPI_MIGRATE_DATABASE_URL": db.owner,
		"RESOURCEAPI_REDIS_URL":            redisURL,
		"RESOURCEAPI_CLIENT_ID":            resourceAPIClient,
		"RESOURCEAPI_CLIENT_SECRET":        kept.ResourceAPIClientSecret,
		"RESOURCEAPI_INVITATION_URL":       "http://localhost:3000/join", // a page of the front end, whose client "web" is
		"RESOURCEAPI_MAIL_DIR":             filepath.Join(s.Dir, "mail"),
		"RESOURCEAPI_DEVELOPMENT":          "true",
	})
}

// binary adds the settings to our own environment, so that a developer may set whatever is not ours to decide.
func (s *Stack) binary(name string, settings map[string]string) binary {
	env := os.Environ()
	for key, value := range settings {
		env = append(env, key+"="+value)
	}
	return binary{name: name, path: filepath.Join(s.Dir, "bin", name), env: env}
}

// once runs a subcommand to its end and returns what it prints.
func (b binary) once(ctx context.Context, stdin io.Reader, subcommand string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, b.path, subcommand)
	cmd.Env, cmd.Stdin = b.env, stdin
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = process.DefaultGrace
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", b.name, subcommand, err, strings.TrimSpace(complaint.String()))
	}
	return output, nil
}

// serve starts the service; what it says goes to its log file, and to the terminal behind its name.
func (s *Stack) serve(ctx context.Context, b binary, terminal *sync.Mutex) (*process.Process, error) {
	dir := filepath.Join(s.Dir, "log")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, b.name+".log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return process.Start(ctx, process.Spec{
		Name: b.name, Path: b.path, Args: []string{"serve"}, Env: b.env, Dir: s.Root,
		Output: &labelled{label: b.name, log: log, terminal: s.Stdout, mu: terminal},
	})
}

// labelled writes each line to the log as it is and to the terminal with a label.
type labelled struct {
	label    string
	log      io.Writer
	terminal io.Writer
	mu       *sync.Mutex
}

func (l *labelled) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, logErr := l.log.Write(line)
	_, terminalErr := fmt.Fprintf(l.terminal, "%-11s | %s", l.label, line)
	return len(line), errors.Join(logErr, terminalErr)
}
