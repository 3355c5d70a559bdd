package oauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"larder/internal/id"
)

// A refresh token names its family and its place in it, and proves that we made
// it before any query is spent on it:
//
//	lrt_ base64url( grant id (16) | generation (4) | salt (16) | HMAC-SHA-256 (32) )
//
// The row holds the salt of the newest token and of the one before, and no
// token: who reads the table cannot make one without the key, and who has the
// key cannot without the row. The newest token can be made again from both,
// which is what makes rotation idempotent.
const (
	refreshPrefix  = "lrt_"
	refreshPurpose = "refresh_token"
	saltSize       = 16
	refreshBody    = 16 + 4 + saltSize
	refreshSize    = refreshBody + sha256.Size
)

type refreshToken struct {
	grantID    id.ID
	generation int32
	salt       [saltSize]byte
}

func newSalt() []byte {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: crypto/rand aborts the program instead
	return salt
}

func (t refreshToken) hasSalt(salt []byte) bool { return hmac.Equal(t.salt[:], salt) }

// encode writes the token out under the current key.
func (t refreshToken) encode(key []byte) string {
	b := make([]byte, 0, refreshSize)
	b = append(b, t.grantID[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(t.generation)) //nolint:gosec // never negative
	b = append(b, t.salt[:]...)
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(append(b, refreshMAC(key, b)...))
}

// readRefreshToken takes apart a token that was made under one of keys; ok is
// false for anything else.
func readRefreshToken(s string, keys [][]byte) (t refreshToken, ok bool) {
	encoded, ok := strings.CutPrefix(s, refreshPrefix)
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(refreshSize) {
		return refreshToken{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(b) != refreshSize {
		return refreshToken{}, false
	}
	body, mac := b[:refreshBody], b[refreshBody:]
	genuine := false
	for _, key := range keys {
		genuine = genuine || hmac.Equal(mac, refreshMAC(key, body))
	}
	generation := binary.BigEndian.Uint32(body[16:20])
	if !genuine || generation > 1<<31-2 {
		return refreshToken{}, false
	}
	t.grantID, t.generation = id.ID(body[:16]), int32(generation)
	copy(t.salt[:], body[20:])
	return t, true
}

func refreshMAC(key, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("larder refresh token v1\x00"))
	h.Write(body)
	return h.Sum(nil)
}
