package oauth

import (
	"bytes"
	"crypto/sha256"
	"sync"
)

// verifiedLimit bounds each of the two generations of verifiedTokens, some two
// megabytes in all.
const verifiedLimit = 2048

// verifiedTokens remembers access tokens whose signature was right, because a
// client shows the same token many times in its five minutes and checking a
// signature is most of the work. It remembers nothing else: times and
// revocations are looked at on every use. It holds for one key set, and a key
// that is withdrawn takes all memory with it. Its zero value is ready for use.
type verifiedTokens struct {
	mu         sync.RWMutex
	jwks       []byte
	young, old map[[sha256.Size]byte]*accessClaims
}

// find returns the claims of a token that was verified with these keys, nil if
// it is not remembered. They must not be changed.
func (v *verifiedTokens) find(jwks []byte, name [sha256.Size]byte) *accessClaims {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if !bytes.Equal(v.jwks, jwks) {
		return nil
	}
	if c, ok := v.young[name]; ok {
		return c
	}
	return v.old[name]
}

// remember takes in a token that was verified. When the young generation is
// full it becomes the old one, which is forgotten whole.
func (v *verifiedTokens) remember(jwks []byte, name [sha256.Size]byte, c *accessClaims) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !bytes.Equal(v.jwks, jwks) {
		v.jwks, v.young, v.old = bytes.Clone(jwks), nil, nil
	}
	if v.young == nil || len(v.young) >= verifiedLimit {
		v.young, v.old = make(map[[sha256.Size]byte]*accessClaims, verifiedLimit/16), v.young
	}
	v.young[name] = c
}
