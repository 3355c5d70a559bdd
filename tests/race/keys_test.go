package race_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/tests/stack"
)

const (
	rotations = 10
	loaders   = 4
	// headStart is how long replicas take at most to hear of new keys, with a margin.
	headStart = 8 * time.Second
	// between is the least time from one activation to the next.
	between = 500 * time.Millisecond
)

// pending spreads the activations of the published keys, which in life are minutes and days ahead, over the next
// seconds. Verifiers have had the whole publishing time by then: the API has read the key set since.
const pending = `
UPDATE auth.signing_keys k SET activate_at = $1::timestamptz + p.n * $2::interval
  FROM (SELECT kid, row_number() OVER (PARTITION BY alg ORDER BY published_at) AS n
          FROM auth.signing_keys WHERE activate_at > now()) p
 WHERE p.kid = k.kid`

func TestRotationsUnderLoadFailNoToken(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{AuthServers: 2, ResourceAPIs: 2})
	ctx, cancel := context.WithCancel(t.Context())
	var (
		load   sync.WaitGroup
		served atomic.Int64
		kids   sync.Map
	)
	defer load.Wait()
	defer cancel()
	for range loaders {
		load.Go(func() {
			for ctx.Err() == nil {
				kid, status, err := useFreshToken(ctx, s)
				if ctx.Err() != nil {
					return
				}
				if err != nil || status != http.StatusOK {
					t.Errorf("a token of key %q: status %d, %v", kid, status, err)
					return
				}
				served.Add(1)
				kids.Store(kid, true)
			}
		})
	}
	for range rotations {
		if _, err := s.Operate(ctx, "keys", "rotate"); err != nil {
			t.Fatal(err)
		}
	}
	for _, api := range s.ResourceAPIs { // one after the other, so that the other serves
		if err := api.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := api.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	// Each key is to sign a few tokens, however busy the machine.
	began, before := time.Now(), served.Load()
	for served.Load() < before+3*loaders && !t.Failed() {
		time.Sleep(10 * time.Millisecond)
	}
	pace := max(between, time.Since(began))
	activate(t, s, headStart+pace, pace)
	select {
	case <-time.After(headStart + (rotations+3)*pace):
	case <-ctx.Done():
	}
	cancel()
	load.Wait()
	used := 0
	for range kids.Range {
		used++
	}
	if used < rotations || served.Load() == 0 {
		t.Errorf("%d tokens of %d keys were accepted, want those of more than %d keys", served.Load(), used, rotations)
	}
}

func activate(t *testing.T, s *stack.Stack, first, pace time.Duration) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.OwnerURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	tag, err := conn.Exec(t.Context(), pending, time.Now().Add(first), pace)
	if err != nil || tag.RowsAffected() < rotations {
		t.Fatalf("%d keys wait for their turn, want at least %d; %v", tag.RowsAffected(), rotations, err)
	}
}

// useFreshToken gets a token and reads the family with it; kid is that of the key which signed the token.
func useFreshToken(ctx context.Context, s *stack.Stack) (kid string, status int, err error) {
	resp, err := s.Client(s.Demo.Clients.Machine).Token(ctx, url.Values{"grant_type": {"client_credentials"}, "scope": {"family:read"}})
	if err != nil {
		return "", 0, err
	}
	tokens, err := resp.Tokens()
	if err != nil {
		return "", 0, err
	}
	head, _, _ := strings.Cut(tokens.AccessToken, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return "", 0, err
	}
	var header struct{ KID string }
	if err := json.Unmarshal(raw, &header); err != nil {
		return "", 0, err
	}
	got, err := s.Call(ctx, tokens.AccessToken, http.MethodGet, "/v1/families/"+s.Demo.FamilyID, "")
	if err != nil {
		return header.KID, 0, err
	}
	return header.KID, got.Status, nil
}
