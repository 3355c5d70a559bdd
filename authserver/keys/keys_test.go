package keys_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/keys"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/pgtest"
	"larder/internal/sealed"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock {
	return &clock{t: time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func kek(t *testing.T, seeds ...byte) *sealed.Keyring {
	t.Helper()
	var all [][]byte
	for _, seed := range seeds {
		all = append(all, []byte(strings.Repeat(string(rune('a'+seed)), sealed.KeySize)))
	}
	ring, err := sealed.NewKeyring(all...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func replica(t *testing.T, db *pgtest.DB, c *clock) *keys.Keys {
	t.Helper()
	k := &keys.Keys{DB: db.Auth, KEK: kek(t, 1), Now: c.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

var operator = audit.Actor{Kind: "operator", ID: "test"}

func kid(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ Alg, KID, Typ string }
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	return h.KID
}

func TestEveryAlgorithmSignsWhatOthersCanVerify(t *testing.T) {
	t.Parallel()
	k := replica(t, pgtest.New(t), newClock())
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(k.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(k.JWKS()), `"d"`) {
		t.Fatal("the published set holds a private key")
	}
	for _, alg := range k.Algorithms() {
		for range 50 { // ECDSA values with leading zeros come now and then
			payload := fmt.Appendf(nil, `{"jti":%q}`, time.Now())
			token, err := k.Sign(t.Context(), alg, "at+jwt", payload)
			if err != nil {
				t.Fatal(err)
			}
			jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatal(err)
			}
			got, err := jws.Verify(set.Key(kid(t, token))[0])
			if err != nil || string(got) != string(payload) {
				t.Fatalf("%s with the published key: %q, %v", alg, got, err)
			}
			if got, signedWith, err := k.Verify(token, "at+jwt"); err != nil || string(got) != string(payload) || signedWith != alg {
				t.Fatalf("Verify(%s) = %q, %q, %v", alg, got, signedWith, err)
			}
		}
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	k := replica(t, pgtest.New(t), newClock())
	good, err := k.Sign(t.Context(), "ES256", "at+jwt", []byte(`{"sub":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	head := func(format string, args ...any) string {
		return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, format, args...)) + "." + parts[1] + "."
	}
	own := kid(t, good)
	foreign := replica(t, pgtest.New(t), newClock())
	other, err := foreign.Sign(t.Context(), "ES256", "at+jwt", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	embedded := func() string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, nil)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign([]byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		s, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, token := range map[string]string{
		"empty":               "",
		"not a JWS":           "a.b",
		"alg none":            head(`{"alg":"none","kid":%q,"typ":"at+jwt"}`, own),
		"empty signature":     parts[0] + "." + parts[1] + ".",
		"HS256":               embedded(),
		"alg of another key":  head(`{"alg":"EdDSA","kid":%q,"typ":"at+jwt"}`, own) + parts[2],
		"jku":                 head(`{"alg":"ES256","kid":%q,"typ":"at+jwt","jku":"http://127.0.0.1/"}`, own) + parts[2],
		"x5u":                 head(`{"alg":"ES256","kid":%q,"typ":"at+jwt","x5u":"http://127.0.0.1/"}`, own) + parts[2],
		"crit":                head(`{"alg":"ES256","kid":%q,"typ":"at+jwt","crit":["x"],"x":1}`, own) + parts[2],
		"unknown kid":         head(`{"alg":"ES256","kid":"../../etc/passwd","typ":"at+jwt"}`) + parts[2],
		"another issuer's":    other,
		"changed payload":     parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"y"}`)) + "." + parts[2],
		"larger than allowed": good + strings.Repeat("A", 20<<10),
	} {
		if _, _, err := k.Verify(token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v, want Unauthenticated", name, err)
		}
	}
	if _, _, err := k.Verify(good, "JWT"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a token of another type: %v", err)
	}
}

func TestReplicasThatStartTogetherShareOneSetOfKeys(t *testing.T) {
	t.Parallel()
	db, c := pgtest.New(t), newClock()
	const n = 4
	all := make([]*keys.Keys, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i] = replica(t, db, c) })
	}
	wg.Wait()
	for _, k := range all[1:] {
		if string(k.JWKS()) != string(all[0].JWKS()) {
			t.Fatalf("two sets:\n%s\n%s", all[0].JWKS(), k.JWKS())
		}
	}
	box := all[0].DataKeys("session").Seal("here", []byte("secret"))
	if got, err := all[1].DataKeys("session").Open("here", box); err != nil || string(got) != "secret" {
		t.Fatalf("sealed by one replica, opened by another: %q, %v", got, err)
	}
	if len(all[0].MACKeys("refresh_token")) != 1 {
		t.Fatal("want one MAC key")
	}
}

func TestReplicasThatRotateTogetherRotateOnce(t *testing.T) {
	t.Parallel()
	db, c := pgtest.New(t), newClock()
	a, b := replica(t, db, c), replica(t, db, c)
	for round := range 5 {
		c.Advance(30 * 24 * time.Hour)
		var wg sync.WaitGroup
		for _, k := range []*keys.Keys{a, b, a, b} {
			wg.Go(func() {
				if err := k.Load(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		status, err := a.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pending := map[string]int{}
		for _, s := range status {
			if s.State == "pending" {
				pending[s.Alg]++
			}
		}
		for _, alg := range a.Algorithms() {
			if pending[alg] != 1 {
				t.Fatalf("round %d: %d new keys of %s, want 1: %+v", round, pending[alg], alg, status)
			}
		}
		c.Advance(time.Hour)
	}
}

// verifier is a resource server that keeps a key set for as long as it may.
type verifier struct {
	fetch   func() []byte
	now     func() time.Time
	set     jose.JSONWebKeySet
	fetched time.Time
}

func (v *verifier) check(token, kid string) error {
	if v.now().Sub(v.fetched) >= keys.JWKSLifetime {
		v.set = jose.JSONWebKeySet{}
		if err := json.Unmarshal(v.fetch(), &v.set); err != nil {
			return err
		}
		v.fetched = v.now()
	}
	found := v.set.Key(kid)
	if len(found) == 0 {
		return fmt.Errorf("key %s is not in the cached set", kid)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	_, err = jws.Verify(found[0])
	return err
}

// Ten rotations while tokens are made on two replicas all the time, and checked
// by a verifier with a cached key set, at once and at the end of their lives.
func TestTenRotationsFailNoValidation(t *testing.T) {
	t.Parallel()
	db, c := pgtest.New(t), newClock()
	replicas := []*keys.Keys{replica(t, db, c), replica(t, db, c)}
	v := &verifier{now: c.Now, fetch: func() []byte { return replicas[1].JWKS() }}
	type issued struct {
		token string
		dies  time.Time
	}
	var alive []issued
	signers := map[string]bool{}
	const step, rounds = 20 * time.Second, 10
	for round := range rounds {
		if err := replicas[round%2].Rotate(t.Context(), false, operator); err != nil {
			t.Fatal(err)
		}
		for elapsed := time.Duration(0); elapsed < 20*time.Minute; elapsed += step {
			c.Advance(step)
			// Either replica may be late with reading the tables, never by long.
			if err := replicas[int(elapsed/step)%2].Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, k := range replicas {
				token, err := k.Sign(t.Context(), "ES256", "at+jwt", []byte(`{}`))
				if err != nil {
					t.Fatal(err)
				}
				alive = append(alive, issued{token, c.Now().Add(5 * time.Minute)})
				signers[kid(t, token)] = true
			}
			for len(alive) > 0 && alive[0].dies.Before(c.Now()) {
				alive = alive[1:]
			}
			for _, i := range alive {
				if err := v.check(i.token, kid(t, i.token)); err != nil {
					t.Fatalf("round %d after %s: %v", round, elapsed, err)
				}
			}
		}
	}
	if len(signers) != rounds+1 {
		t.Fatalf("%d keys have signed, want %d", len(signers), rounds+1)
	}
}

func TestANewKeyIsPublishedBeforeItSignsAndTheOldOneAfter(t *testing.T) {
	t.Parallel()
	db, c := pgtest.New(t), newClock()
	k := replica(t, db, c)
	sign := func() string {
		token, err := k.Sign(t.Context(), "ES256", "JWT", []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := sign()
	if err := k.Rotate(t.Context(), false, operator); err != nil {
		t.Fatal(err)
	}
	c.Advance(keys.JWKSLifetime)
	if kid(t, sign()) != kid(t, first) {
		t.Fatal("the new key signs while a verifier may still hold the old set")
	}
	c.Advance(5 * time.Minute)
	second := sign()
	if kid(t, second) == kid(t, first) {
		t.Fatal("the new key does not sign when its time has come")
	}
	c.Advance(23 * time.Hour)
	if _, _, err := k.Verify(first); err != nil {
		t.Fatalf("a token of the replaced key: %v", err)
	}
	c.Advance(2 * time.Hour)
	if _, _, err := k.Verify(first); err == nil {
		t.Fatal("a retired key still verifies")
	}
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(k.JWKS()), kid(t, first)) || !strings.Contains(string(k.JWKS()), kid(t, second)) {
		t.Fatalf("published: %s", k.JWKS())
	}
	var left int
	if err := db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.signing_keys WHERE kid = $1`, kid(t, first)).Scan(&left); err != nil || left != 0 {
		t.Fatalf("the retired private key still lies in the database: %d, %v", left, err)
	}
}

func TestAnEmergencyRotationSignsAtOnceAndOtherReplicasVerify(t *testing.T) {
	t.Parallel()
	db, c := pgtest.New(t), newClock()
	a, b := replica(t, db, c), replica(t, db, c)
	old, err := a.Sign(t.Context(), "ES256", "JWT", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Rotate(t.Context(), false, operator); err != nil { // a pending key must not come back later
		t.Fatal(err)
	}
	c.Advance(2 * time.Second)
	if err := a.Rotate(t.Context(), true, operator); err != nil {
		t.Fatal(err)
	}
	token, err := a.Sign(t.Context(), "ES256", "JWT", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if kid(t, token) == kid(t, old) {
		t.Fatal("the old key signs on")
	}
	if _, _, err := b.Verify(token); err != nil { // b has not read the tables since
		t.Fatalf("at the other replica: %v", err)
	}
	c.Advance(time.Hour)
	later, err := a.Sign(t.Context(), "ES256", "JWT", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if kid(t, later) != kid(t, token) {
		t.Fatal("the key that was pending took over")
	}
	if err := a.Withdraw(t.Context(), kid(t, token), operator); !fault.Is(err, fault.Conflict) {
		t.Fatalf("withdrawing the active key: %v", err)
	}
	if err := a.Withdraw(t.Context(), kid(t, old), operator); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Verify(old); err == nil {
		t.Fatal("a withdrawn key still verifies")
	}
}

func TestUnknownKeyIDsCauseAtMostOneReadASecond(t *testing.T) {
	t.Parallel()
	db, c := pgtest.New(t), newClock()
	k := replica(t, db, c)
	c.Advance(time.Minute)
	foreign := replica(t, pgtest.New(t), c)
	token, err := foreign.Sign(t.Context(), "ES256", "JWT", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	_, _, _ = k.Verify(token)
	// With the database closed a further read could only fail and be logged;
	// the count of acquired connections tells that none was tried.
	before := db.Auth.Stat().AcquireCount()
	for range 1000 {
		if _, _, err := k.Verify(token); err == nil {
			t.Fatal("a foreign token verifies")
		}
	}
	if after := db.Auth.Stat().AcquireCount(); after != before {
		t.Fatalf("%d reads within one second", after-before)
	}
}

func TestSessionKeysRotateEverySevenDaysAndOldOnesStillOpen(t *testing.T) {
	t.Parallel()
	db, c := pgtest.New(t), newClock()
	a, b := replica(t, db, c), replica(t, db, c)
	old := a.DataKeys("session").Seal("p", []byte("x"))
	c.Advance(7 * 24 * time.Hour)
	if err := a.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	// b has not read the new key yet and must still open what a seals.
	if _, err := b.DataKeys("session").Open("p", a.DataKeys("session").Seal("p", []byte("y"))); err != nil {
		t.Fatalf("a replica that is behind: %v", err)
	}
	c.Advance(2 * time.Minute)
	for _, k := range []*keys.Keys{a, b} {
		if err := k.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := k.DataKeys("session").Open("p", old); err != nil {
			t.Fatalf("what the old key sealed: %v", err)
		}
	}
	fresh := a.DataKeys("session").Seal("p", []byte("z"))
	if string(fresh[1:5]) == string(old[1:5]) {
		t.Fatal("the new key does not seal")
	}
	c.Advance(32 * 24 * time.Hour)
	if err := a.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.DataKeys("session").Open("p", old); err == nil {
		t.Fatal("the old key is kept beyond its time")
	}
}

func TestRewrapLetsTheOldKeyEncryptionKeyGo(t *testing.T) {
	t.Parallel()
	db, c := pgtest.New(t), newClock()
	first := replica(t, db, c)
	token, err := first.Sign(t.Context(), "EdDSA", "JWT", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	load := func(ring *sealed.Keyring) (*keys.Keys, error) {
		k := &keys.Keys{DB: db.Auth, KEK: ring, Now: c.Now, Log: slog.New(slog.DiscardHandler)}
		return k, k.Load(context.WithoutCancel(t.Context()))
	}
	if _, err := load(kek(t, 2)); err == nil {
		t.Fatal("keys open under a key-encryption key that never sealed them")
	}
	both, err := load(kek(t, 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := both.Rewrap(t.Context()); err != nil || n < 3 {
		t.Fatalf("Rewrap = %d, %v", n, err)
	}
	alone, err := load(kek(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := alone.Verify(token); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutAnyKeysNothingIsSignedAndReadySaysSo(t *testing.T) {
	t.Parallel()
	k := &keys.Keys{Now: time.Now}
	if _, err := k.Sign(t.Context(), "ES256", "JWT", nil); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("Sign: %v", err)
	}
	if err := k.Ready(); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("Ready: %v", err)
	}
}

func BenchmarkSignES256(b *testing.B) {
	db := pgtest.New(b)
	ring, err := sealed.NewKeyring([]byte(strings.Repeat("k", sealed.KeySize)))
	if err != nil {
		b.Fatal(err)
	}
	k := &keys.Keys{DB: db.Auth, KEK: ring, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if err := k.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	payload := []byte(`{"iss":"http://localhost:9000","sub":"machine","aud":"http://localhost:9100","exp":1,"iat":1,"jti":"x","client_id":"machine","scope":"lists:read"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Sign(b.Context(), "ES256", "at+jwt", payload); err != nil {
			b.Fatal(err)
		}
	}
}
