package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"larder/internal/fault"
)

// NonceHeader carries a nonce to the client (RFC 9449 §8.1). The answer that
// has it must not be cached, and a browser reads it only when
// Access-Control-Expose-Headers names it.
const NonceHeader = "DPoP-Nonce"

const (
	nonceSlot  = 5 * time.Minute
	nonceBytes = 16
	// The purpose is part of what is authenticated, so that the keys may serve
	// other purposes too.
	noncePurpose = "larder dpop nonce"
)

// Nonces makes and recognises nonces without storing any: a nonce is the MAC
// of the five minutes in which it was made. It is good in those and in the five
// after them, on every replica that has the key.
type Nonces struct {
	// Keys returns the MAC keys, newest first, of 32 bytes or more; the same on
	// every replica. The newest makes nonces, all of them recognise theirs.
	Keys func() [][]byte
	Now  func() time.Time
}

// Current returns the nonce to hand out now. Having no key is
// fault.Unavailable.
func (n *Nonces) Current() (string, error) {
	keys := n.Keys()
	if len(keys) == 0 {
		return "", fault.Wrap(fault.Unavailable, "The service is not ready yet. Please try again.", errors.New("dpop: no nonce key"))
	}
	return base64.RawURLEncoding.EncodeToString(nonceOf(keys[0], n.slot())), nil
}

// known reports whether the nonce is one of ours and still good. The next slot
// counts too: the clock of the replica that made it may be ahead of ours.
func (n *Nonces) known(nonce string) bool {
	mac, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil {
		return false
	}
	slot := n.slot()
	for _, key := range n.Keys() {
		for _, s := range [...]int64{slot, slot - 1, slot + 1} {
			if hmac.Equal(mac, nonceOf(key, s)) {
				return true
			}
		}
	}
	return false
}

func (n *Nonces) slot() int64 { return n.Now().Unix() / int64(nonceSlot/time.Second) }

func nonceOf(key []byte, slot int64) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(noncePurpose))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(slot))) //nolint:gosec // bits are bits
	return mac.Sum(nil)[:nonceBytes]
}

// OfferNonce puts the current nonce into the headers of an answer: of one that
// demands it (CodeUseNonce), and of any other where nonces are in use, so that
// clients have a fresh one before theirs is stale (RFC 9449 §8.2). Without
// Nonces or a key it does nothing.
func (v *Verifier) OfferNonce(h http.Header) {
	if v.Nonces == nil {
		return
	}
	if nonce, err := v.Nonces.Current(); err == nil {
		h.Set(NonceHeader, nonce)
	}
}

// checkNonce compares the nonce of a proof with ours. Who sends one that we do
// not know, a stale one above all, is told to take a new one, whether or not
// it is required; who sends none is not bothered where it is not.
func (v *Verifier) checkNonce(nonce *string, required bool) error {
	switch {
	case nonce == nil && !required, v.Nonces == nil && !required:
		return nil
	case v.Nonces == nil:
		return errors.New("dpop: nonces are required but there are none")
	case nonce != nil && v.Nonces.known(*nonce):
		return nil
	}
	if _, err := v.Nonces.Current(); err != nil {
		return err
	}
	return fault.New(fault.Invalid, "The DPoP proof must carry the nonce of this answer's DPoP-Nonce header.").WithCode(CodeUseNonce)
}
