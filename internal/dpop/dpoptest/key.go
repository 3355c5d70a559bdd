package dpoptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/internal/dpop"
)

// Key is a client's key pair.
type Key struct {
	Alg        string
	Private    crypto.Signer
	Public     jose.JSONWebKey
	Thumbprint string
}

// Request is what a proof is made for.
type Request struct {
	Method      string
	URL         string
	At          time.Time
	AccessToken string // "" for none
	Nonce       string // "" for none
	JTI         string // "" for a random one
}

// Members are those of a JOSE header or a claims set. A nil value removes one.
type Members map[string]any

// NewKey returns a new key for ES256.
func NewKey(t testing.TB) *Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("dpoptest: %v", err)
	}
	return KeyOf(t, string(jose.ES256), private)
}

// NewEdKey returns a new key for EdDSA.
func NewEdKey(t testing.TB) *Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("dpoptest: %v", err)
	}
	return KeyOf(t, string(jose.EdDSA), private)
}

// NewRSAKey returns a new RSA key of so many bits for PS256.
func NewRSAKey(t testing.TB, bits int) *Key {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatalf("dpoptest: %v", err)
	}
	return KeyOf(t, string(jose.PS256), private)
}

// KeyOf returns a client's key for one that is there already.
func KeyOf(t testing.TB, alg string, private crypto.Signer) *Key {
	t.Helper()
	k := &Key{Alg: alg, Private: private, Public: jose.JSONWebKey{Key: private.Public()}}
	thumbprint, err := dpop.Thumbprint(&k.Public)
	if err != nil {
		t.Fatalf("dpoptest: %v", err)
	}
	k.Thumbprint = thumbprint
	return k
}

// Proof returns a good proof.
func (k *Key) Proof(t testing.TB, r Request) string {
	t.Helper()
	return k.Forge(t, r, nil, nil)
}

// Forge returns a proof whose header and claims are changed as told before it
// is signed.
func (k *Key) Forge(t testing.TB, r Request, header, claims Members) string {
	t.Helper()
	jti := r.JTI
	if jti == "" {
		jti = rand.Text()
	}
	c := Members{"jti": jti, "htm": r.Method, "htu": r.URL, "iat": r.At.Unix()}
	if r.AccessToken != "" {
		c["ath"] = dpop.AccessTokenHash(r.AccessToken)
	}
	if r.Nonce != "" {
		c["nonce"] = r.Nonce
	}
	h := Members{"typ": "dpop+jwt", "alg": k.Alg, "jwk": k.Public}
	return k.Sign(t, encode(t, h, header), encode(t, c, claims))
}

// Sign returns the compact JWS (RFC 7515 §7.1) of a header and a payload that
// may be anything.
func (k *Key) Sign(t testing.TB, header, payload []byte) string {
	t.Helper()
	enc := base64.RawURLEncoding
	input := enc.EncodeToString(header) + "." + enc.EncodeToString(payload)
	return input + "." + enc.EncodeToString(k.signature(t, []byte(input)))
}

func (k *Key) signature(t testing.TB, input []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(input)
	switch private := k.Private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			t.Fatalf("dpoptest: %v", err)
		}
		size := (private.Params().BitSize + 7) / 8
		both := make([]byte, 2*size)
		r.FillBytes(both[:size])
		s.FillBytes(both[size:])
		return both
	case ed25519.PrivateKey:
		return ed25519.Sign(private, input)
	case *rsa.PrivateKey:
		if k.Alg == string(jose.RS256) {
			return must(t)(rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:]))
		}
		return must(t)(rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
	}
	t.Fatalf("dpoptest: cannot sign with %T", k.Private)
	return nil
}

func encode(t testing.TB, members, changes Members) []byte {
	t.Helper()
	maps.Copy(members, changes)
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	return must(t)(json.Marshal(members))
}

func must(t testing.TB) func([]byte, error) []byte {
	t.Helper()
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatalf("dpoptest: %v", err)
		}
		return b
	}
}
