package oauth

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/internal/revocation"
)

func tokenName(n int) (name [sha256.Size]byte) {
	binary.BigEndian.PutUint64(name[:], uint64(n))
	return name
}

func TestVerifiedTokensAreBounded(t *testing.T) {
	t.Parallel()
	var v verifiedTokens
	keys := []byte("keys")
	for n := range 10 * verifiedLimit {
		v.remember(keys, tokenName(n), &accessClaims{})
	}
	if held := len(v.young) + len(v.old); held > 2*verifiedLimit || held < verifiedLimit {
		t.Errorf("%d tokens held", held)
	}
	if v.find(keys, tokenName(10*verifiedLimit-1)) == nil || v.find(keys, tokenName(0)) != nil {
		t.Error("the newest is forgotten or the oldest is not")
	}
}

// A token that was seen with a good signature is looked at anew for all else.
func TestRememberedTokenStillExpiresAndIsRevoked(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	claims := h.claims(h.addUser("Ada").ID)
	token := h.sign(accessTokenType, claims)
	for range 3 {
		if a := h.userinfo(token); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if _, err := h.p.VerifyAccessToken(t.Context(), token, "https://other.test"); err == nil {
		t.Error("a remembered token passes for another audience")
	}
	tampered := token[:len(token)-4] + "AAAA"
	expectInvalidToken(t, "another signature", h.userinfo(tampered))

	h.p.Revocations.Add(h.clock.Now(), revocation.Entry{
		Kind: revocation.JTI, Value: claims.JTI, RevokedAt: h.clock.Now(), ExpiresAt: h.clock.Now().Add(time.Hour),
	})
	expectInvalidToken(t, "revoked", h.userinfo(token))

	claims.JTI = "second"
	second := h.sign(accessTokenType, claims)
	if a := h.userinfo(second); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	h.clock.Advance(6 * time.Minute)
	expectInvalidToken(t, "expired", h.userinfo(second))
}

func TestWithdrawnKeyTakesRememberedTokensWithIt(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	token := h.sign(accessTokenType, h.claims(h.addUser("Ada").ID))
	if a := h.userinfo(token); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	delete(h.keys.byAlg, "ES256")
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(h.keys.jwks, &set); err != nil {
		t.Fatal(err)
	}
	set.Keys = set.Keys[1:]
	var err error
	if h.keys.jwks, err = json.Marshal(set); err != nil {
		t.Fatal(err)
	}
	expectInvalidToken(t, "key withdrawn", h.userinfo(token))
}
