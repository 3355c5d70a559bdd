package dpop

import (
	"crypto/rsa"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	maxProofBytes = 4 << 10 // a 4096-bit RSA key and its signature take half of it
	maxJTIBytes   = 128
	proofType     = "dpop+jwt"

	// The bounds of an RSA key, in bits: below it is weak (RFC 7518 §3.5),
	// above it makes us work for nothing.
	minRSABits = 2048
	maxRSABits = 4096
)

// algorithms are asymmetric, all of them (RFC 9449 §4.3), and no more than FAPI
// 2.0 §5.4.1 allows.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256}
}

// Algorithms returns the JWS algorithms that proofs may be signed with, for
// dpop_signing_alg_values_supported (RFC 9449 §5.1).
func Algorithms() []string {
	var names []string
	for _, alg := range algorithms() {
		names = append(names, string(alg))
	}
	return names
}

// Proof is a proof of possession that was found good.
type Proof struct {
	Thumbprint string // of the key (RFC 7638), to bind a token to
	JTI        string
	IssuedAt   time.Time
}

// claims are those of RFC 9449 §4.2, and the two of RFC 7519 that mean
// something wherever they stand. Any others are ignored.
type claims struct {
	JTI       string           `json:"jti"`
	HTM       string           `json:"htm"`
	HTU       string           `json:"htu"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	NotBefore *jwt.NumericDate `json:"nbf"`
	Expiry    *jwt.NumericDate `json:"exp"`
	ATH       string           `json:"ath"`
	Nonce     *string          `json:"nonce"`
}

// open checks the signature of a proof by the key in its own header (RFC 9449
// §4.3, checks 2 to 7), and returns what it says and the key's thumbprint.
func open(proof string) (*claims, string, error) {
	if len(proof) > maxProofBytes {
		return nil, "", invalid("The DPoP proof is too long.")
	}
	// Refuses an alg that is not ours, and a jwk that holds private members.
	jws, err := jose.ParseSignedCompact(proof, algorithms())
	if err != nil {
		return nil, "", invalidBecause("The DPoP proof is malformed, its alg is not supported, or its jwk is not a public key.", err)
	}
	key, err := proofKey(&jws.Signatures[0].Protected)
	if err != nil {
		return nil, "", err
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return nil, "", invalidBecause("The signature of the DPoP proof is not that of its jwk.", err)
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, "", invalidBecause("The claims of the DPoP proof are malformed.", err)
	}
	thumbprint, err := Thumbprint(key)
	if err != nil {
		return nil, "", invalidBecause("The jwk of the DPoP proof is not supported.", err)
	}
	return &c, thumbprint, nil
}

// proofKey returns the key that a proof's header carries.
func proofKey(header *jose.Header) (*jose.JSONWebKey, error) {
	if header.ExtraHeaders[jose.HeaderType] != proofType {
		return nil, invalid("The typ of the DPoP proof is not dpop+jwt.")
	}
	// What crit names must be understood, and nothing is (RFC 7515 §4.1.11);
	// b64 would change what is signed (RFC 7797).
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, ok := header.ExtraHeaders[name]; ok {
			return nil, invalid("The header of the DPoP proof asks for an extension that is not supported.")
		}
	}
	key := header.JSONWebKey
	if key == nil {
		return nil, invalid("The DPoP proof carries no jwk.")
	}
	if public, ok := key.Key.(*rsa.PublicKey); ok && (public.N.BitLen() < minRSABits || public.N.BitLen() > maxRSABits) {
		return nil, invalid("The RSA key of the DPoP proof must have between 2048 and 4096 bits.")
	}
	return key, nil
}
