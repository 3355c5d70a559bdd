package oauth

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestJWKSHoldsPublicKeysOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	a := h.get(nil, "/jwks")
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "public, max-age=300" || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(a.body), &set); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, key := range set.Keys {
		if !key.IsPublic() || key.KeyID == "" || seen[key.KeyID] || key.Use != "sig" || key.Algorithm == "" {
			t.Errorf("key %+v", key)
		}
		seen[key.KeyID] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d keys, want 4", len(seen))
	}
}

func TestJWKSFollowsTheRotation(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	before := h.get(nil, "/jwks")
	h.keys.jwks = []byte(`{"keys":[]}`)
	after := h.get(nil, "/jwks")
	if after.body != `{"keys":[]}` || after.header.Get("Etag") == before.header.Get("Etag") {
		t.Errorf("after a rotation: %q %v", after.body, after.header)
	}
	h.keys.jwks = nil
	if a := h.get(nil, "/jwks"); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("before the keys are loaded: %d %v", a.status, a.header)
	}
}

func TestJWKSMaxAgeIsWhatTheRotationCountsOn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.p.Config.JWKSLifetime = 10 * time.Minute
	if got := h.get(nil, "/jwks").header.Get("Cache-Control"); got != "public, max-age=600" {
		t.Errorf("Cache-Control %q", got)
	}
}

func BenchmarkJWKS(b *testing.B)      { benchmarkGet(b, "/jwks") }
func BenchmarkDiscovery(b *testing.B) { benchmarkGet(b, "/.well-known/openid-configuration") }
