package keys

import (
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"larder/internal/sealed"
)

// spread is how long a new data key only opens before it seals, so that every
// replica has it by then.
const spread = time.Minute

// purpose is one use of symmetric keys.
type purpose struct {
	name   string
	rotate time.Duration // how often a new key comes
	keep   time.Duration // how long the one before it still opens
}

var purposes = [...]purpose{ //nolint:gochecknoglobals // a constant that Go cannot spell
	{"session", 7 * 24 * time.Hour, 31 * 24 * time.Hour},         // a session lives 30 days at most
	{"flow", 7 * 24 * time.Hour, 24 * time.Hour},                 // minutes
	{"code", 7 * 24 * time.Hour, 24 * time.Hour},                 // minutes
	{"dpop_nonce", 7 * 24 * time.Hour, 24 * time.Hour},           // minutes
	{"mail_link", 7 * 24 * time.Hour, 3 * 24 * time.Hour},        // a link lasts a day at most
	{"cursor", 30 * 24 * time.Hour, 24 * time.Hour},              // while somebody turns pages
	{"refresh_token", 90 * 24 * time.Hour, 180 * 24 * time.Hour}, // 90 days absolute
	// What these seal and hash lasts as long as people keep their factors and
	// clients their secrets, so they are never replaced; "keys rewrap" seals them
	// anew under another KEK.
	{"client_secret", 100 * 365 * 24 * time.Hour, 100 * 365 * 24 * time.Hour},
	{"mfa", 100 * 365 * 24 * time.Hour, 100 * 365 * 24 * time.Hour},
	// Pairwise subjects come from it, which clients keep for ever.
	{"pairwise", 100 * 365 * 24 * time.Hour, 100 * 365 * 24 * time.Hour},
	{"federation", 100 * 365 * 24 * time.Hour, 100 * 365 * 24 * time.Hour}, // as long as people stay linked
}

// dataKey is an opened row of auth.data_keys.
type dataKey struct {
	dataRow
	secret []byte
}

// DataKeys returns the keyring that seals for a purpose: session, flow, code,
// cursor, refresh_token, client_secret, mfa or federation. It may be another one after a rotation, so ask each
// time.
func (k *Keys) DataKeys(purpose string) *sealed.Keyring {
	if s := k.state.Load(); s != nil && s.rings[purpose] != nil {
		return s.rings[purpose]
	}
	return &sealed.Keyring{}
}

// MACKeys returns the message authentication keys of a purpose, the one to
// make new codes with first, then all that are still accepted.
func (k *Keys) MACKeys(purpose string) [][]byte {
	if s := k.state.Load(); s != nil {
		return s.macs[purpose]
	}
	return nil
}

func dataPlace(row dataRow) string { return "auth.data_keys/key/" + row.id.String() }

func (k *Keys) openDataKey(row dataRow, known *dataKey) (*dataKey, error) {
	if known != nil {
		return &dataKey{dataRow: row, secret: known.secret}, nil
	}
	secret, err := k.KEK.Open(dataPlace(row), row.key)
	if err != nil {
		return nil, fmt.Errorf("%s key %s: %w (is its key-encryption key still configured?)", row.purpose, row.id, err)
	}
	return &dataKey{dataRow: row, secret: secret}, nil
}

// dataRings orders the keys of each purpose by use. From one stored key two
// are derived, so that none serves both a cipher and a MAC.
func dataRings(keys []*dataKey, now time.Time) (map[string]*sealed.Keyring, map[string][][]byte, error) {
	byPurpose := make(map[string][]*dataKey)
	for _, key := range keys {
		byPurpose[key.purpose] = append(byPurpose[key.purpose], key)
	}
	rings, macs := make(map[string]*sealed.Keyring), make(map[string][][]byte)
	for purpose, group := range byPurpose {
		inOrderOfUse(group, now)
		var ciphers [][]byte
		for _, key := range group {
			cipher, err := hkdf.Expand(sha256.New, key.secret, "larder seal "+purpose, sealed.KeySize)
			if err != nil {
				return nil, nil, err
			}
			mac, err := hkdf.Expand(sha256.New, key.secret, "larder mac "+purpose, sealed.KeySize)
			if err != nil {
				return nil, nil, err
			}
			ciphers, macs[purpose] = append(ciphers, cipher), append(macs[purpose], mac)
		}
		ring, err := sealed.NewKeyring(ciphers...)
		if err != nil {
			return nil, nil, err
		}
		rings[purpose] = ring
	}
	return rings, macs, nil
}

// inOrderOfUse puts first the newest key that every replica has, then the
// others, newest first. Where no key is that old the oldest is first, which is
// the same one for every replica.
func inOrderOfUse(group []*dataKey, now time.Time) {
	slices.SortFunc(group, func(a, b *dataKey) int {
		return cmp.Or(b.createdAt.Compare(a.createdAt), cmp.Compare(b.id.String(), a.id.String()))
	})
	current := slices.IndexFunc(group, func(key *dataKey) bool { return !key.createdAt.After(now.Add(-spread)) })
	if current < 0 {
		current = len(group) - 1
	}
	first := group[current]
	copy(group[1:current+1], group[:current])
	group[0] = first
}
