package audit

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/internal/id"
)

const checkpointType = "audit-checkpoint+jws"

// Checkpoint says that a family's chain had this entry at a time.
type Checkpoint struct {
	FamilyID id.ID     `json:"family_id"`
	Seq      int64     `json:"seq"`
	Hash     []byte    `json:"hash"`
	At       time.Time `json:"at"`
}

// Seals signs checkpoints (EdDSA) with its first key and reads those of any.
type Seals struct {
	signer jose.Signer
	keys   []ed25519.PublicKey
}

// NewSeals takes seeds of 32 bytes, the current one first. All replicas hold
// the same.
func NewSeals(seeds ...[]byte) (*Seals, error) {
	if len(seeds) == 0 {
		return nil, errors.New("checkpoints need a key")
	}
	s := &Seals{}
	for _, seed := range seeds {
		if len(seed) != ed25519.SeedSize {
			return nil, errors.New("the key of checkpoints has another length")
		}
		public, _ := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
		s.keys = append(s.keys, public)
	}
	var err error
	s.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: ed25519.NewKeyFromSeed(seeds[0])},
		(&jose.SignerOptions{}).WithType(checkpointType))
	return s, err
}

// Key is the public key that new checkpoints can be verified with.
func (s *Seals) Key() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.keys[0], Algorithm: string(jose.EdDSA), Use: "sig"}
}

func (s *Seals) sign(c Checkpoint) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	signed, err := s.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (s *Seals) open(token string) (c Checkpoint, err error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return c, err
	}
	if signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != checkpointType {
		return c, errors.New("it is not a checkpoint")
	}
	for _, key := range s.keys {
		if payload, err := signed.Verify(key); err == nil {
			return c, json.Unmarshal(payload, &c)
		}
	}
	return c, errors.New("no key of ours signed it")
}
