package audit

import (
	"crypto/sha256"
	"encoding/json"

	"github.com/gowebpki/jcs"

	"larder/internal/id"
)

// entry is an event as it is chained and exported.
type entry struct {
	FamilyID id.ID `json:"family_id"`
	Event
}

// hash is SHA-256 over the hash before and the entry in canonical JSON (RFC
// 8785). The first entry stands behind the hash of its family's id.
func (e *entry) hash(before []byte) ([]byte, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	canonical, err := jcs.Transform(raw)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	h.Write(before)
	h.Write(canonical)
	return h.Sum(nil), nil
}

// root is what stands before a family's first entry.
func root(family id.ID) []byte {
	sum := sha256.Sum256([]byte("larder audit chain of " + family.String()))
	return sum[:]
}
