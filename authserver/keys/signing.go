package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"larder/internal/fault"
)

const (
	rsaBits       = 2048
	maxTokenBytes = 16 << 10
	coordinate    = 32 // bytes of r and of s in an ES256 signature (RFC 7518 §3.4)
)

// algorithms are those that tokens are signed with, the default first.
var algorithms = [...]string{"ES256", "RS256", "EdDSA", "PS256"} //nolint:gochecknoglobals // a constant that Go cannot spell

// signingKey is an opened row of auth.signing_keys.
type signingKey struct {
	signingRow
	signer  crypto.Signer
	public  jose.JSONWebKey
	headers map[string]string // encoded, by typ: those of the tokens made most
}

// Algorithms returns the JWS algorithms that tokens may be signed with, the
// default first.
func (k *Keys) Algorithms() []string { return slices.Clone(algorithms[:]) }

// JWKS returns the published keys (RFC 7517 §5) as JSON, which must not be
// changed. It is nil before the first Load.
func (k *Keys) JWKS() []byte {
	if s := k.state.Load(); s != nil {
		return s.jwks
	}
	return nil
}

// Sign returns payload as a compact JWS (RFC 7515 §7.1) made with the active
// key of alg, whose header has alg, kid and typ and nothing else.
func (k *Keys) Sign(_ context.Context, alg, typ string, payload []byte) (string, error) {
	key := k.active(alg)
	if key == nil {
		if err := k.Ready(); err != nil {
			return "", err
		}
		return "", fmt.Errorf("keys: no key signs with %q", alg)
	}
	// The serialisation is written out here because a key's header never
	// changes; a general signer would marshal it for every token.
	enc := base64.RawURLEncoding
	header, ok := key.headers[typ]
	if !ok {
		header = key.header(typ)
	}
	b := make([]byte, 0, len(header)+2+enc.EncodedLen(len(payload))+enc.EncodedLen(rsaBits/8))
	b = append(b, header...)
	b = append(b, '.')
	b = enc.AppendEncode(b, payload)
	signature, err := key.sign(b)
	if err != nil {
		return "", err
	}
	b = append(b, '.')
	return string(enc.AppendEncode(b, signature)), nil
}

// active returns the key of alg whose turn it is, nil if there is none. A key
// that is here is published by this replica, so nothing unpublished signs.
func (k *Keys) active(alg string) *signingKey {
	s := k.state.Load()
	if s == nil {
		return nil
	}
	now := k.Now()
	for _, key := range s.byAlg[alg] {
		if !key.activateAt.After(now) {
			return key
		}
	}
	return nil
}

// header returns the encoded protected header.
func (s *signingKey) header(typ string) string {
	b, _ := json.Marshal(struct { //nolint:errchkjson // three strings
		Alg string `json:"alg"`
		KID string `json:"kid"`
		Typ string `json:"typ"`
	}{s.alg, s.kid, typ})
	return base64.RawURLEncoding.EncodeToString(b)
}

// sign returns the JWS signature of the signing input (RFC 7518 §3.3 to §3.5;
// RFC 8037 §3.1). Each algorithm has a key of its own, RS256 and PS256 too. ECDSA is deterministic (RFC 6979): faster, and no worse.
func (s *signingKey) sign(input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch key := s.signer.(type) {
	case *ecdsa.PrivateKey:
		der, err := key.Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		return rawSignature(der)
	case *rsa.PrivateKey:
		if s.alg == "PS256" {
			return rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input), nil
	default:
		return nil, fmt.Errorf("keys: cannot sign with %T", key)
	}
}

// rawSignature turns an ASN.1 ECDSA signature into r || s of fixed length.
func rawSignature(der []byte) ([]byte, error) {
	var inner cryptobyte.String
	var r, s []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !inner.ReadASN1Integer(&r) || !inner.ReadASN1Integer(&s) ||
		len(r) > coordinate || len(s) > coordinate {
		return nil, errors.New("keys: malformed ECDSA signature")
	}
	raw := make([]byte, 2*coordinate)
	copy(raw[coordinate-len(r):], r)
	copy(raw[2*coordinate-len(s):], s)
	return raw, nil
}

// Verify checks a compact JWS against the published key that its kid names and
// returns the payload. The algorithm is the key's own, never the token's word,
// and typ, where given, lists the header types that are accepted ("" for a
// token without one). A header that brings its own key or points to one (jwk,
// jku, x5u, x5c) is refused. Errors are fault.Unauthenticated.
func (k *Keys) Verify(token string, typ ...string) (payload []byte, alg string, err error) {
	if len(token) > maxTokenBytes {
		return nil, "", badToken(errors.New("too long"))
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA, jose.PS256})
	if err != nil {
		return nil, "", badToken(err)
	}
	header := jws.Signatures[0].Protected
	if header.JSONWebKey != nil {
		return nil, "", badToken(errors.New("header carries a key"))
	}
	for name := range header.ExtraHeaders {
		if name != jose.HeaderType {
			return nil, "", badToken(fmt.Errorf("header member %q", name))
		}
	}
	if len(typ) > 0 && !slices.Contains(typ, tokenType(header)) {
		return nil, "", badToken(errors.New("wrong typ"))
	}
	key := k.published(header.KeyID)
	if key == nil {
		return nil, "", badToken(errors.New("unknown kid"))
	}
	if header.Algorithm != key.alg {
		return nil, "", badToken(errors.New("alg is not the key's"))
	}
	payload, err = jws.Verify(key.public.Key)
	if err != nil {
		return nil, "", badToken(err)
	}
	return payload, key.alg, nil
}

// tokenType returns typ in its short form: media types may be written with or
// without "application/" and in any case (RFC 7515 §4.1.9).
func tokenType(h jose.Header) string {
	typ, _ := h.ExtraHeaders[jose.HeaderType].(string)
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	if strings.EqualFold(typ, "at+jwt") {
		return "at+jwt"
	}
	return typ
}

func (k *Keys) published(kid string) *signingKey {
	find := func() *signingKey {
		s := k.state.Load()
		if s == nil {
			return nil
		}
		key := s.byKID[kid]
		if key == nil || over(key.retireAt, k.Now()) {
			return nil
		}
		return key
	}
	if key := find(); key != nil {
		return key
	}
	k.refreshForUnknown()
	return find()
}

func badToken(cause error) error {
	return fault.Wrap(fault.Unauthenticated, "The token is not valid.", cause)
}

func keySet(byAlg map[string][]*signingKey) ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, alg := range algorithms {
		for _, key := range byAlg[alg] {
			set.Keys = append(set.Keys, key.public)
		}
	}
	return json.Marshal(set)
}

// generate makes a private key for alg.
func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256", "PS256":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("keys: unknown algorithm %q", alg)
}

// publicKey returns the public half as it is published; its kid is the
// thumbprint of RFC 7638.
func publicKey(alg string, signer crypto.Signer) (jose.JSONWebKey, error) {
	jwk := jose.JSONWebKey{Key: signer.Public(), Algorithm: alg, Use: "sig"}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return jwk, err
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	return jwk, nil
}

func signingPlace(kid string) string { return "auth.signing_keys/private/" + kid }

// openSigningKey opens row, or takes over what known has opened before.
func (k *Keys) openSigningKey(row signingRow, known *signingKey) (*signingKey, error) {
	if known != nil {
		return &signingKey{signingRow: row, signer: known.signer, public: known.public, headers: known.headers}, nil
	}
	der, err := k.KEK.Open(signingPlace(row.kid), row.private)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w (is its key-encryption key still configured?)", row.kid, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", row.kid, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("signing key %s: cannot sign", row.kid)
	}
	public, err := publicKey(row.alg, signer)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", row.kid, err)
	}
	key := &signingKey{signingRow: row, signer: signer, public: public}
	key.headers = map[string]string{"at+jwt": key.header("at+jwt"), "JWT": key.header("JWT")}
	return key, nil
}
