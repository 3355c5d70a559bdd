package invite

import (
	"crypto/rand"
	"encoding/base64"

	"larder/internal/id"
	"larder/internal/secret"
)

const (
	tokenPrefix = "lri_" // so that scanners know a leaked one
	secretSize  = 32
)

// newToken returns an invitation token for the family and the hash it is
// stored by.
func newToken(family id.ID) (token secret.String, hash []byte) {
	raw := make([]byte, len(family)+secretSize)
	copy(raw, family[:])
	_, _ = rand.Read(raw[len(family):]) // never fails: crypto/rand aborts the program instead
	s := tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
	return secret.String(s), secret.Sum(s)
}

// parseToken tells which family a token is for, and its hash.
func parseToken(token string) (family id.ID, hash []byte, ok bool) {
	if len(token) < len(tokenPrefix) || token[:len(tokenPrefix)] != tokenPrefix || len(token) > 128 {
		return id.ID{}, nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token[len(tokenPrefix):])
	if err != nil || len(raw) != len(family)+secretSize {
		return id.ID{}, nil, false
	}
	copy(family[:], raw)
	return family, secret.Sum(token), !family.IsZero()
}
