package auditchain

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/internal/id"
)

// What a statement about a chain is for: one type is never taken for another.
const (
	checkpointType = "audit-checkpoint+jws"
	baseType       = "audit-base+jws"
)

// Checkpoint says that a family's chain had this entry at a time.
type Checkpoint struct {
	FamilyID id.ID     `json:"family_id"`
	Seq      int64     `json:"seq"`
	Hash     []byte    `json:"hash"`
	At       time.Time `json:"at"`
}

// Seals signs checkpoints (EdDSA) with its first key and reads those of any.
type Seals struct {
	signer ed25519.PrivateKey
	keys   []ed25519.PublicKey
}

// NewSeals derives the keys of a service's checkpoints from secrets that all
// its replicas hold, the current one first; empty ones are left out.
func NewSeals(service string, secrets ...[]byte) (*Seals, error) {
	s := &Seals{}
	for _, from := range secrets {
		if len(from) == 0 {
			continue
		}
		seed, err := hkdf.Key(sha256.New, from, nil, "larder "+service+" audit checkpoint", ed25519.SeedSize)
		if err != nil {
			return nil, err
		}
		key := ed25519.NewKeyFromSeed(seed)
		if s.signer == nil {
			s.signer = key
		}
		public, _ := key.Public().(ed25519.PublicKey)
		s.keys = append(s.keys, public)
	}
	if s.signer == nil {
		return nil, errors.New("checkpoints need a key")
	}
	return s, nil
}

// Key is the public key that new checkpoints can be verified with.
func (s *Seals) Key() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.keys[0], Algorithm: string(jose.EdDSA), Use: "sig"}
}

func (s *Seals) sign(what jose.ContentType, c Checkpoint) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: s.signer}, (&jose.SignerOptions{}).WithType(what))
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (s *Seals) open(what, token string) (c Checkpoint, err error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return c, err
	}
	if signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != what {
		return c, errors.New("it says something else")
	}
	for _, key := range s.keys {
		if payload, err := signed.Verify(key); err == nil {
			return c, json.Unmarshal(payload, &c)
		}
	}
	return c, errors.New("no key of ours signed it")
}
