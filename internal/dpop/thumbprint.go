package dpop

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"

	"github.com/go-jose/go-jose/v4"
)

// Thumbprint names a public key by the SHA-256 of its canonical form (RFC 7638),
// in base64url: the value of cnf.jkt (RFC 9449 §6.1) and dpop_jkt (§10).
func Thumbprint(key *jose.JSONWebKey) (string, error) {
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// IsThumbprint reports whether s could be one, as dpop_jkt must (RFC 9449 §10).
func IsThumbprint(s string) bool {
	if len(s) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return false // the decoder skips line breaks
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(sum) == sha256.Size
}

// AccessTokenHash returns the ath of an access token (RFC 9449 §4.2).
func AccessTokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
