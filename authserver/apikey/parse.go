package apikey

import (
	"crypto/rand"
	"hash/crc32"
	"math/big"
	"strings"

	"larder/internal/secret"
)

// Prefix is how every key begins.
const Prefix = "lrd_live_"

const (
	alphabet     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomLength = 30 // 178 bits
	sumLength    = 6  // 62^6 > 2^32
	keyLength    = len(Prefix) + randomLength + sumLength
)

// Generate returns a new key.
func Generate() secret.String {
	b := make([]byte, 0, keyLength)
	b = append(b, Prefix...)
	base := big.NewInt(int64(len(alphabet)))
	for range randomLength {
		n, _ := rand.Int(rand.Reader, base) // never fails: crypto/rand aborts the program instead
		b = append(b, alphabet[n.Int64()])
	}
	return secret.String(append(b, checksum(b)...))
}

// checksum is the CRC-32 (IEEE) of what stands before it, in base62 with the
// most significant digit first.
func checksum(b []byte) []byte {
	n := crc32.ChecksumIEEE(b)
	sum := make([]byte, sumLength)
	for i := range sum {
		sum[sumLength-1-i] = alphabet[n%uint32(len(alphabet))]
		n /= uint32(len(alphabet))
	}
	return sum
}

// Parse reports whether s has the form of a key and its checksum. It says
// nothing of whether the key exists.
func Parse(s string) bool {
	if len(s) != keyLength || !strings.HasPrefix(s, Prefix) {
		return false
	}
	for _, c := range []byte(s[len(Prefix):]) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return string(checksum([]byte(s[:keyLength-sumLength]))) == s[keyLength-sumLength:]
}
