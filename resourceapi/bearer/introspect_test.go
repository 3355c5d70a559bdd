package bearer_test

import (
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/revocation"
	"larder/resourceapi/bearer"
	"larder/resourceapi/bearer/bearertest"
)

func TestAPIKeySaysWhoCalls(t *testing.T) {
	b := setup(t)
	family := id.New()
	key, keyID := b.issuer.APIKey(family, "lists:read", "family:read")
	c := b.accepts(t, key)
	want := &bearer.Caller{
		Kind: bearer.APIKey, Subject: c.Subject, Scopes: []string{"lists:read", "family:read"}, Family: family, JTI: keyID, APIKeyID: keyID,
		IssuedAt: c.IssuedAt,
	}
	if diff := cmp.Diff(want, c); diff != "" || c.Subject == "" || c.IssuedAt.IsZero() {
		t.Errorf("caller (-want +got):\n%s", diff)
	}
	b.run(t)
	eventually(t, "cached", func() bool {
		before := b.issuer.Count().Introspection
		b.accepts(t, key)
		return b.issuer.Count().Introspection == before
	})
}

func TestAPersonsOwnKeySpeaksForThePersonInOneFamily(t *testing.T) {
	b := setup(t)
	family := id.New()
	key, keyID := b.issuer.PersonalKey("nina", family, "lists:read")
	c := b.accepts(t, key)
	want := &bearer.Caller{
		Kind: bearer.User, Subject: "nina", Scopes: []string{"lists:read"}, Family: family, JTI: keyID, APIKeyID: keyID, IssuedAt: c.IssuedAt,
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("caller (-want +got):\n%s", diff)
	}
	for name, claims := range map[string]bearertest.Claims{
		"of no family":         {"personal_key_id": keyID},
		"that is both":         {"personal_key_id": keyID, "api_key_id": keyID, "family_id": family.String()},
		"without an id":        {"family_id": family.String()},
		"of no possible place": {"personal_key_id": keyID, "family_id": "everywhere"},
	} {
		bad := bearertest.NewAPIKey()
		answer := bearertest.Claims{
			"active": true, "token_type": "api_key", "iss": b.issuer.URL, "aud": b.issuer.Resource, "sub": "nina", "scope": "lists:read",
			"iat": c.IssuedAt.Unix(), "jti": keyID,
		}
		maps.Copy(answer, claims)
		b.issuer.Introspect(bad, answer)
		t.Run(name, func(t *testing.T) { b.refuses(t, bad, fault.Unauthenticated) })
	}
}

func TestMalformedAPIKeysNeverReachTheIssuer(t *testing.T) {
	b := setup(t)
	key := bearertest.NewAPIKey()
	mistyped := key[:12] + "0" + key[13:]
	if key[12] == '0' {
		mistyped = key[:12] + "1" + key[13:]
	}
	for name, bad := range map[string]string{
		"prefix":         "lrd_live_",
		"too short":      key[:len(key)-1],
		"too long":       key + "0",
		"other alphabet": key[:20] + "-" + key[21:],
		"mistyped":       mistyped,
		"with dots":      "lrd_live_" + strings.Repeat(".", 36),
		"two dots":       "lrd_live_a.b.c",
	} {
		t.Run(name, func(t *testing.T) { b.refuses(t, bad, fault.Unauthenticated) })
	}
	if n := b.issuer.Count().Introspection; n != 0 {
		t.Errorf("%d introspections", n)
	}
	b.refuses(t, key, fault.Unauthenticated)
	b.refuses(t, key, fault.Unauthenticated)
	if n := b.issuer.Count().Introspection; n != 1 {
		t.Errorf("%d introspections of an unknown key, want 1", n)
	}
	b.clock.Advance(6 * time.Second)
	b.refuses(t, key, fault.Unauthenticated)
	if n := b.issuer.Count().Introspection; n != 2 {
		t.Errorf("%d introspections after the negative answer's time, want 2", n)
	}
}

func TestActiveIsNotEnough(t *testing.T) {
	b := setup(t)
	now := b.clock.Now()
	apiKey := func(c bearertest.Claims) bearertest.Claims {
		answer := bearertest.Claims{
			"active": true, "token_type": "api_key", "iss": b.issuer.URL, "aud": resource, "sub": "s", "iat": now.Unix(),
			"jti": "k", "api_key_id": "k", "family_id": id.New().String(),
		}
		for name, v := range c {
			if answer[name] = v; v == nil {
				delete(answer, name)
			}
		}
		return answer
	}
	for name, answer := range map[string]bearertest.Claims{
		"refresh token":   apiKey(bearertest.Claims{"token_type": "refresh_token"}),
		"no type":         apiKey(bearertest.Claims{"token_type": nil}),
		"other audience":  apiKey(bearertest.Claims{"aud": "http://other.test"}),
		"no audience":     apiKey(bearertest.Claims{"aud": nil}),
		"other issuer":    apiKey(bearertest.Claims{"iss": "http://other.test"}),
		"expired":         apiKey(bearertest.Claims{"exp": now.Add(-time.Second).Unix()}),
		"no family":       apiKey(bearertest.Claims{"family_id": nil}),
		"nil family":      apiKey(bearertest.Claims{"family_id": id.ID{}.String()}),
		"no key id":       apiKey(bearertest.Claims{"api_key_id": nil}),
		"no iat":          apiKey(bearertest.Claims{"iat": nil}),
		"no sub":          apiKey(bearertest.Claims{"sub": nil}),
		"bound":           apiKey(bearertest.Claims{"cnf": map[string]string{"jkt": "x"}}),
		"token, no exp":   apiKey(bearertest.Claims{"token_type": "Bearer", "client_id": "web"}),
		"DPoP token":      apiKey(bearertest.Claims{"token_type": "DPoP", "client_id": "web", "exp": now.Add(time.Minute).Unix()}),
		"inactive":        apiKey(bearertest.Claims{"active": false}),
		"token, no owner": apiKey(bearertest.Claims{"token_type": "Bearer", "exp": now.Add(time.Minute).Unix()}),
	} {
		t.Run(name, func(t *testing.T) {
			token := "opaque-" + strings.NewReplacer(" ", "-", ",", "").Replace(name)
			b.issuer.Introspect(token, answer)
			b.refuses(t, token, fault.Unauthenticated)
		})
	}
	opaque := bearertest.Claims{"token_type": "Bearer", "client_id": "web", "exp": now.Add(time.Minute).Unix()}
	b.issuer.Introspect("exchanged", apiKey(opaque))
	if c := b.accepts(t, "exchanged"); c.Kind != bearer.APIKey || c.ClientID != "web" || c.Family.IsZero() || c.APIKeyID != "k" {
		t.Errorf("a token that a key was exchanged for: %+v", c)
	}
	opaque["family_id"], opaque["api_key_id"] = nil, nil
	b.issuer.Introspect("opaque", apiKey(opaque))
	if c := b.accepts(t, "opaque"); c.Kind != bearer.User || c.ClientID != "web" || !c.Family.IsZero() {
		t.Errorf("an opaque token's caller is %+v", c)
	}
}

func TestRevokedAPIKeyDiesInTheCache(t *testing.T) {
	b := setup(t)
	b.run(t)
	key, keyID := b.issuer.APIKey(id.New(), "lists:read")
	eventually(t, "cached", func() bool {
		before := b.issuer.Count().Introspection
		b.accepts(t, key)
		return b.issuer.Count().Introspection == before
	})
	b.issuer.Revoke(revocation.APIKey, keyID)
	eventually(t, "the key is dead", func() bool {
		_, err := b.ask(t, key)
		return fault.Is(err, fault.Unauthenticated)
	})
}

// A cached yes is worth nothing while revocations may be missed, and an issuer
// that is away is neither a no nor a yes.
func TestCachedAnswersNeedAFreshFeed(t *testing.T) {
	b := setup(t)
	key, _ := b.issuer.APIKey(id.New(), "lists:read")
	b.accepts(t, b.issuer.Token(nil)) // reads the feed once
	b.accepts(t, key)
	b.accepts(t, key)
	if n := b.issuer.Count().Introspection; n != 1 {
		t.Fatalf("%d introspections with a fresh feed, want 1", n)
	}
	b.clock.Advance(5 * time.Second)
	b.accepts(t, key)
	if n := b.issuer.Count().Introspection; n != 2 {
		t.Errorf("%d introspections with a stale feed, want 2", n)
	}
	b.issuer.SetDown("", true)
	b.refuses(t, key, fault.Unavailable)
	b.issuer.SetDown("", false)
	b.accepts(t, key)
}

func TestConcurrentIntrospectionsAreOne(t *testing.T) {
	b := setup(t)
	b.accepts(t, b.issuer.Token(nil))
	key, _ := b.issuer.APIKey(id.New(), "lists:read")
	b.issuer.SetDelay(100 * time.Millisecond)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, err := b.Authenticate(request(t, key)); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
	wg.Wait()
	if n := b.issuer.Count().Introspection; n != 1 {
		t.Errorf("%d introspections, want 1", n)
	}
}

// Guesses do not become a flood at the issuer.
func TestIntrospectionsUnderWayAreBounded(t *testing.T) {
	b := setup(t)
	b.refuses(t, "warm-up", fault.Unauthenticated)
	release := b.issuer.Hold()
	const all, atOnce = 200, 64
	var (
		wg         sync.WaitGroup
		turnedAway = make(chan error, all)
	)
	for range all {
		wg.Go(func() {
			_, err := b.Authenticate(request(t, bearertest.NewAPIKey()))
			turnedAway <- err
		})
	}
	for range all - atOnce { // while the others wait for their answers
		if err := <-turnedAway; !fault.Is(err, fault.Unavailable) {
			t.Errorf("answered %v", err)
		}
	}
	release()
	wg.Wait()
	if n := b.issuer.Count().Introspection - 1; n > atOnce {
		t.Errorf("%d introspections at once, want %d", n, atOnce)
	}
}
