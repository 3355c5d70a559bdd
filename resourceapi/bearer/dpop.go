package bearer

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"larder/internal/dpop"
	"larder/internal/fault"
)

// newProofs checks the proofs of DPoP, nil where there is no Redis. The key of
// the nonces comes from a secret that all replicas share.
func newProofs(config Config, now func() time.Time) (*dpop.Verifier, error) {
	if config.Redis == nil {
		return nil, nil //nolint:nilnil // nil is a gate without DPoP
	}
	key, err := hkdf.Key(sha256.New, []byte(config.ClientSecret.Reveal()), nil, "larder resourceapi dpop nonce", sha256.Size)
	if err != nil {
		return nil, err
	}
	nonces := &dpop.Nonces{Keys: func() [][]byte { return [][]byte{key} }, Now: now}
	return &dpop.Verifier{Base: config.Resource, Redis: config.Redis, Nonces: nonces, Now: now}, nil
}

// offerNonce gives each answer to a request with a proof the nonce for the next
// one (RFC 9449 §8.2, §9).
func (g *Gate) offerNonce(w http.ResponseWriter, r *http.Request) {
	if g.proofs != nil && dpop.Presented(r) {
		g.proofs.OfferNonce(w.Header())
	}
}

// checkProof lets a token that is bound to a key count only with a proof by it,
// made for this request (RFC 9449 §7.1). As Bearer it may have been stolen from
// whom it is bound to (§7.2); and a token without a key gains none by the
// scheme.
func (g *Gate) checkProof(r *http.Request, c credential, jkt string) error {
	switch {
	case jkt == "" && !c.dpop:
		return nil
	case jkt == "":
		return invalid(errors.New("the token is not bound to a key"))
	case !c.dpop:
		return fault.Wrap(fault.Unauthenticated, "The access token is bound to a key; it must be shown by the scheme DPoP.",
			&challenge{code: invalidToken, dpop: true}).WithCode(invalidToken)
	case g.proofs == nil:
		return invalid(errors.New("the token is bound to a key, and there is no Redis to check proofs with"))
	}
	_, err := g.proofs.Verify(r, dpop.Expect{AccessToken: c.token, Thumbprint: jkt, Nonce: g.config.DPoPNonceRequired})
	refusal, ok := errors.AsType[*fault.Error](err)
	switch {
	case !ok || refusal.Kind == fault.Unavailable:
		return err
	case errors.Is(err, dpop.ErrWrongKey):
		return invalid(err)
	}
	return fault.Wrap(fault.Unauthenticated, refusal.Message, &challenge{code: refusal.Code, dpop: true, cause: err}).
		WithCode(refusal.Code)
}
