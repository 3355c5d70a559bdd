package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// KeySize is the length of a key in bytes (AES-256).
const KeySize = 32

const (
	version = 1
	idSize  = 4
	header  = 1 + idSize
)

// ErrOpen says that a value was not sealed by this keyring for this place, or
// was changed since.
var ErrOpen = errors.New("sealed: value does not open")

// Keyring seals with its first key and opens with any.
type Keyring struct {
	keys []key
}

type key struct {
	id   [idSize]byte
	aead cipher.AEAD
}

// NewKeyring builds a keyring from 32-byte keys, the current one first.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("sealed: a keyring needs a key")
	}
	ring := &Keyring{}
	for _, k := range keys {
		if len(k) != KeySize {
			return nil, fmt.Errorf("sealed: a key has %d bytes, want %d", len(k), KeySize)
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte("larder key id\x00"), k...))
		ring.keys = append(ring.keys, key{id: [idSize]byte(sum[:idSize]), aead: aead})
	}
	return ring, nil
}

// ParseKeys reads comma-separated base64 keys, as configuration gives them.
func ParseKeys(s string) ([][]byte, error) {
	var keys [][]byte
	for part := range strings.SplitSeq(s, ",") {
		k, err := base64.StdEncoding.DecodeString(strings.TrimSpace(part))
		if err != nil || len(k) != KeySize {
			return nil, fmt.Errorf("key %d is not base64 of %d bytes", len(keys)+1, KeySize)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Seal encrypts plaintext for one place, such as "auth.signing_keys/private/"
// followed by the row's id.
func (r *Keyring) Seal(place string, plaintext []byte) []byte {
	k := r.keys[0]
	out := make([]byte, 0, header+len(plaintext)+k.aead.Overhead())
	out = append(out, version)
	out = append(out, k.id[:]...)
	return k.aead.Seal(out, nil, plaintext, []byte(place)) //nolint:gosec // NewGCMWithRandomNonce makes the nonce itself
}

// Open decrypts what Seal made for the same place. Its error is ErrOpen.
func (r *Keyring) Open(place string, box []byte) ([]byte, error) {
	if len(box) < header || box[0] != version {
		return nil, ErrOpen
	}
	for _, k := range r.keys {
		if !bytes.Equal(box[1:header], k.id[:]) {
			continue
		}
		if plaintext, err := k.aead.Open(nil, nil, box[header:], []byte(place)); err == nil {
			return plaintext, nil
		}
	}
	return nil, ErrOpen
}
