package devstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"larder/internal/devstack/demo"
	"larder/internal/devstack/engine"
	"larder/internal/devstack/process"
)

// readyLimit bounds how long a service may take from its start to its first 200 on /readyz.
const readyLimit = 2 * time.Minute

// Run is the main job: everything up, seeded and served until the context ends.
func (s *Stack) Run(ctx context.Context) error {
	dir, err := openDirectory(s.Dir)
	if errors.Is(err, errBusy) {
		return fmt.Errorf("%w; a second copy needs a LARDER_DEV_DIR, AUTHSERVER_ADDR and RESOURCEAPI_ADDR of its own", err)
	}
	if err != nil {
		return err
	}
	defer dir.close()
	p, err := s.plan(ctx)
	if err != nil {
		return err
	}
	kept, err := dir.loadSecrets()
	if err != nil {
		return err
	}
	// Whoever waits for demo.json must not be given that of last time.
	document, err := takeDemo(dir)
	if err != nil {
		return err
	}
	up, err := s.buildAndBringUp(ctx, dir, kept)
	if err != nil {
		return stopped(ctx, err)
	}
	defer up.Stop()
	children, err := s.start(ctx, dir, p, kept, up, document)
	defer stopTogether(children)
	if err != nil {
		return stopped(ctx, err)
	}
	return s.watch(ctx, append(children, up.Children()...))
}

// stopped makes Ctrl-C during the start what it is later: no error.
func stopped(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		err = nil
	}
	return err
}

func (s *Stack) buildAndBringUp(ctx context.Context, dir *directory, kept *secrets) (*engine.Engines, error) {
	s.say("Building both services and bringing up PostgreSQL and Redis.")
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.build(ctx) })
	var up *engine.Engines
	group.Go(func() (err error) {
		up, err = s.engines(ctx, dir, kept, true)
		return err
	})
	if err := group.Wait(); err != nil {
		if up != nil {
			up.Stop()
		}
		return nil, err
	}
	return up, nil
}

// start goes from bare servers to the finished demo.json. It returns the services that it started, on failure too.
func (s *Stack) start(ctx context.Context, dir *directory, p plan, kept *secrets, up *engine.Engines, document demo.Demo) ([]*process.Process, error) {
	db, err := prepareDatabase(ctx, up, kept, s.Dir)
	if err != nil {
		return nil, fmt.Errorf("prepare the database: %w", err)
	}
	providers, err := s.emulate(ctx)
	if err != nil {
		return nil, fmt.Errorf("emulate Google and Apple: %w", err)
	}
	services := []binary{s.authServer(p, kept, db, up.RedisURL, providers), s.resourceAPI(p, kept, db, up.RedisURL)}
	for _, service := range services {
		if _, err := service.once(ctx, nil, "migrate"); err != nil {
			return nil, err
		}
	}
	document.Issuer, document.API = p.issuer, p.api
	document.Metrics = demo.Metrics{AuthServer: "http://" + p.authServerInternal, ResourceAPI: "http://" + p.resourceAPIInternal}
	for _, service := range services {
		if document, err = seed(ctx, service, document); err != nil {
			return nil, err
		}
		// What was made up is kept now, whatever happens next: passwords must not change with a failed start.
		if err := writeJSON(dir.file(halfDemo), document); err != nil {
			return nil, err
		}
	}
	var children []*process.Process
	var terminal sync.Mutex
	// The API asks the issuer for its keys, so the issuer is up first. The internal listener comes after the public one, and
	// without TLS.
	for i, internal := range []string{p.authServerInternal, p.resourceAPIInternal} {
		child, err := s.serve(ctx, services[i], &terminal)
		if err != nil {
			return children, err
		}
		children = append(children, child)
		if err := waitReady(ctx, "http://"+internal, child); err != nil {
			return children, err
		}
	}
	if err := os.Rename(dir.file(halfDemo), dir.file(demoFile)); err != nil {
		return children, err
	}
	terminal.Lock()
	defer terminal.Unlock()
	s.greet(document)
	return children, nil
}

const (
	demoFile = "demo.json"
	halfDemo = "demo.half.json"
)

// takeDemo returns the document of an earlier run, which it puts aside, or the one to begin with.
func takeDemo(dir *directory) (demo.Demo, error) {
	err := os.Rename(dir.file(demoFile), dir.file(halfDemo))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return demo.Demo{}, err
	}
	raw, err := os.ReadFile(dir.file(halfDemo))
	if errors.Is(err, os.ErrNotExist) {
		return demo.New(), nil
	}
	if err != nil {
		return demo.Demo{}, err
	}
	var document demo.Demo
	if err := json.Unmarshal(raw, &document); err != nil {
		return demo.Demo{}, fmt.Errorf("%s: %w; remove it to start afresh", dir.file(halfDemo), err)
	}
	return document, nil
}

// seed has the service make sure that everything in the document exists, and returns it completed.
func seed(ctx context.Context, service binary, document demo.Demo) (demo.Demo, error) {
	raw, err := json.Marshal(document)
	if err != nil {
		return document, err
	}
	completed, err := service.once(ctx, bytes.NewReader(raw), "demo")
	if err != nil {
		return document, err
	}
	var got demo.Demo
	if err := json.Unmarshal(completed, &got); err != nil {
		return document, fmt.Errorf("%s demo printed no demo document: %w", service.name, err)
	}
	return got, nil
}

// waitReady polls /readyz until it answers 200.
func waitReady(ctx context.Context, base string, child *process.Process) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	client := &http.Client{Timeout: 5 * time.Second}
	for {
		why := ready(ctx, client, base+"/readyz")
		if why == nil {
			return nil
		}
		select {
		case <-child.Done():
			return child.Err()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; its last words:\n%s", child.Name(), why, child.Tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ready(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil || response.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("GET %s: %s %s", url, response.Status, body))
	}
	return nil
}

// stopTogether has the services drain at the same time.
func stopTogether(children []*process.Process) {
	var all sync.WaitGroup
	for _, child := range children {
		all.Go(child.Stop)
	}
	all.Wait()
}

func (s *Stack) greet(document demo.Demo) {
	fmt.Fprintf(s.Stdout, `
Larder runs.

  sign in    %s/login
  account    %s/account
  discovery  %s/.well-known/openid-configuration
  API        %s/openapi.json

  people     `, document.Issuer, document.Issuer, document.Issuer, document.API)
	for i, user := range document.Users {
		if i > 0 {
			fmt.Fprint(s.Stdout, "             ")
		}
		fmt.Fprintf(s.Stdout, "%s (%s)\n", user.Email, user.Role)
	}
	fmt.Fprintf(s.Stdout, `
Their passwords, the clients and an API key: %s
Mail and text messages: %s and %s
Ctrl-C stops it all; the data stays for the next run.

`, filepath.Join(s.Dir, demoFile), filepath.Join(s.Dir, "mail"), filepath.Join(s.Dir, "sms"))
}
