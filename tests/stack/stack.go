package stack

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"larder/internal/devstack/demo"
	"larder/internal/loopback"
)

// Database reaches one database as its owner and as the services' runtime roles.
type Database struct{ OwnerURL, AuthURL, GroceryURL string }

// Config says what a stack is made of.
type Config struct {
	Binaries Binaries
	// Dir takes logs, mail and text messages.
	Dir string
	Database
	RedisURL string
	// AuthServers and ResourceAPIs are how many replicas there are of each; zero means one.
	AuthServers, ResourceAPIs int
	// Host is what callers call the services' machine, for browsers give passkeys to names only; 127.0.0.1 when empty.
	Host string
	// Direct leaves out fronts and lines, so that figures are those of the services alone. It takes one replica of each.
	Direct bool
	// Env is added to the environment of both services, as "NAME=value".
	Env []string
}

// Stack is a running copy of Larder with the demo family in it.
type Stack struct {
	Issuer, API               string
	Demo                      demo.Demo
	AuthServers, ResourceAPIs []*Service
	// Postgres and Redis are the lines that the services are connected by; nil in a Direct stack.
	Postgres, Redis *Line

	config Config
	fronts []*Front
	env    []string
	// releases give reserved addresses back.
	releases []func()
}

// Start migrates, seeds the demo family and starts every replica. What it has begun when it fails, it stops.
func Start(ctx context.Context, config Config) (_ *Stack, err error) {
	if config.Direct && (config.AuthServers > 1 || config.ResourceAPIs > 1) {
		return nil, errors.New("a direct stack has one replica of each service")
	}
	s := &Stack{config: config}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if err := s.lay(ctx); err != nil {
		return nil, err
	}
	if err := s.seed(ctx); err != nil {
		return nil, err
	}
	for _, service := range append(s.AuthServers, s.ResourceAPIs...) {
		if err := service.Start(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Stop drains every replica and reports each that ends with anything but exit code 0.
func (s *Stack) Stop() error {
	var faults []error
	for _, service := range append(s.AuthServers, s.ResourceAPIs...) {
		faults = append(faults, service.Stop())
	}
	for _, front := range s.fronts {
		faults = append(faults, front.Close())
	}
	for _, line := range []*Line{s.Postgres, s.Redis} {
		if line != nil {
			line.Close()
		}
	}
	for _, release := range s.releases {
		release()
	}
	return errors.Join(faults...)
}

// Env is the environment of both programs, for their subcommands too.
func (s *Stack) Env() []string { return slices.Clip(s.env) }

// Operate runs a subcommand of the authserver, as an operator does, and returns what it prints.
func (s *Stack) Operate(ctx context.Context, args ...string) (string, error) {
	return s.pipe(ctx, nil, s.config.Binaries.AuthServer(), args...)
}

// OwnerURL connects to the database as its owner, past the services.
func (s *Stack) OwnerURL() string { return s.config.OwnerURL }

// Logs is what all replicas wrote so far.
func (s *Stack) Logs() (string, error) {
	var all []byte
	for _, service := range append(s.AuthServers, s.ResourceAPIs...) {
		raw, err := os.ReadFile(service.logPath)
		if err != nil {
			return "", err
		}
		all = append(all, raw...)
	}
	return string(all), nil
}

// Mails is the folder that takes what the services write to people.
func (s *Stack) Mails() string { return filepath.Join(s.config.Dir, "mail") }

// Texts is the folder that takes the text messages.
func (s *Stack) Texts() string { return filepath.Join(s.config.Dir, "sms") }

func (s *Stack) pipe(ctx context.Context, stdin []byte, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // our own program
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.env, bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %v: %w\n%s%s", filepath.Base(program), args, err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// lay decides every address and writes the environment.
func (s *Stack) lay(ctx context.Context) error {
	runtimeURLs := []*string{&s.config.AuthURL, &s.config.GroceryURL, &s.config.RedisURL}
	if err := s.addresses(ctx); err != nil {
		return err
	}
	if !s.config.Direct {
		var err error
		if s.Postgres, err = lineTo(ctx, runtimeURLs[0], runtimeURLs[1]); err != nil {
			return err
		}
		if s.Redis, err = lineTo(ctx, runtimeURLs[2]); err != nil {
			return err
		}
	}
	s.env = append(s.environment(), s.config.Env...)
	s.AuthServers = s.replicas("authserver", s.config.Binaries.AuthServer(), s.Issuer, s.config.AuthServers, 0)
	s.ResourceAPIs = s.replicas("resourceapi", s.config.Binaries.ResourceAPI(), s.API, s.config.ResourceAPIs, 1)
	return nil
}

func (s *Stack) addresses(ctx context.Context) error {
	for _, base := range []*string{&s.Issuer, &s.API} {
		if s.config.Direct {
			addr, release, err := loopback.Reserve()
			if err != nil {
				return err
			}
			s.releases = append(s.releases, release)
			*base = "http://" + addr
			continue
		}
		front, err := NewFront(ctx)
		if err != nil {
			return err
		}
		s.fronts, *base = append(s.fronts, front), front.URL
		if s.config.Host != "" {
			*base = strings.Replace(front.URL, "127.0.0.1", s.config.Host, 1)
		}
	}
	return nil
}

// lineTo puts one line before the server that all the addresses name.
func lineTo(ctx context.Context, addresses ...*string) (*Line, error) {
	u, err := url.Parse(*addresses[0])
	if err != nil {
		return nil, errors.New("the server's address is not a URL")
	}
	line, err := NewLine(ctx, u.Host)
	if err != nil {
		return nil, err
	}
	for _, address := range addresses {
		u, err := url.Parse(*address)
		if err != nil {
			return nil, errors.New("the server's address is not a URL")
		}
		u.Host = line.Addr
		*address = u.String()
	}
	return line, nil
}

func (s *Stack) environment() []string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	secret := rand.Text()
	c := s.config
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.Dir, "TMPDIR=" + os.TempDir(),
		"AUTHSERVER_ADDR=" + s.Issuer[len("http://"):],
		"AUTHSERVER_ISSUER=" + s.Issuer,
		"AUTHSERVER_DATABASE_URL=" + c.AuthURL,
		"AUTHSERVER_MIGRATE_DATABASE_URL=" + c.OwnerURL,
		"AUTHSERVER_REDIS_URL=" + c.RedisURL,
		"AUTHSERVER_KEY_ENCRYPTION_KEYS=" + base64.StdEncoding.EncodeToString(key),
		"AUTHSERVER_RESOURCE_SERVERS=" + s.API + "=family:read family:write lists:read lists:write audit:read",
		"AUTHSERVER_DATA_HOLDERS=" + s.API,
		"AUTHSERVER_DEVELOPMENT=true",
		"AUTHSERVER_MAIL_DIR=" + s.Mails(),
		"AUTHSERVER_SMS_DIR=" + s.Texts(),
		"AUTHSERVER_DEMO_RESOURCEAPI_SECRET=" + secret,
		"RESOURCEAPI_ADDR=" + s.API[len("http://"):],
		"RESOURCEAPI_ISSUER=" + s.Issuer,
		"RESOURCEAPI_RESOURCE=" + s.API,
		"RESOURCEAPI_DATABASE_URL=" + c.GroceryURL,
		"RESOURCEAPI_MIGRATE_DATABASE_URL=" + c.OwnerURL,
		"RESOURCEAPI_REDIS_URL=" + c.RedisURL,
		"RESOURCEAPI_CLIENT_ID=resourceapi",
		"RESOURCEAPI_CLIENT_SECRET=" + secret,
		"RESOURCEAPI_DEVELOPMENT=true",
	}
}

func (s *Stack) replicas(name, program, base string, count, front int) []*Service {
	prefix := map[int]string{0: "AUTHSERVER", 1: "RESOURCEAPI"}[front]
	var replicas []*Service
	for n := range max(count, 1) {
		service := &Service{
			Name: name + " " + strconv.Itoa(n+1), URL: base, program: program, env: s.env, prefix: prefix,
			logPath: filepath.Join(s.config.Dir, name+"-"+strconv.Itoa(n+1)+".log"),
		}
		if !s.config.Direct {
			service.front = s.fronts[front]
		}
		replicas = append(replicas, service)
	}
	return replicas
}

// seed migrates both schemas and pipes the demo document through both programs, as `make run` does.
func (s *Stack) seed(ctx context.Context) error {
	programs := []string{s.config.Binaries.AuthServer(), s.config.Binaries.ResourceAPI()}
	for _, program := range programs {
		if _, err := s.pipe(ctx, nil, program, "migrate"); err != nil {
			return err
		}
	}
	s.Demo = demo.New()
	s.Demo.Issuer, s.Demo.API = s.Issuer, s.API
	for _, program := range programs {
		document, err := json.Marshal(s.Demo) //nolint:gosec // the document of the demo, for the demo
		if err != nil {
			return err
		}
		completed, err := s.pipe(ctx, document, program, "demo")
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(completed), &s.Demo); err != nil {
			return fmt.Errorf("%s demo printed no document: %w\n%s", filepath.Base(program), err, completed)
		}
	}
	return nil
}
