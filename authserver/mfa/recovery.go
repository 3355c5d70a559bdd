package mfa

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"strings"

	"larder/internal/id"
)

const (
	recoveryCodes  = 10
	recoveryLength = 12 // characters of 5 bits
	// Without i, l, o and u, which people misread or take for words.
	recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

// newRecoveryCode is 60 random bits as abcd-efgh-jkmn. Online guesses are
// limited, and offline there is nothing to guess against without the key.
func newRecoveryCode() string {
	raw := make([]byte, recoveryLength)
	_, _ = rand.Read(raw) // never fails: crypto/rand aborts the program instead
	var b strings.Builder
	for i, c := range raw {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(recoveryAlphabet[int(c)%len(recoveryAlphabet)]) // 32 divides 256
	}
	return b.String()
}

// recoveryHashes are the forms in which a code may be stored, one for each key,
// the present one first. A code counts however it is spaced or capitalised.
func recoveryHashes(keys [][]byte, user id.ID, code string) [][]byte {
	plain := strings.NewReplacer("-", "", " ", "", "o", "0", "i", "1", "l", "1").Replace(strings.ToLower(code))
	hashes := make([][]byte, 0, len(keys))
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("recovery code\x00" + user.String() + "\x00" + plain))
		hashes = append(hashes, mac.Sum(nil))
	}
	return hashes
}
