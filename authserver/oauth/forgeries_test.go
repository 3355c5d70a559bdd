package oauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// forgeries are attempts at an access token with the given claims by somebody
// who has our public keys only (O12, O13).
func forgeries(h *harness, claims any) map[string]string {
	h.t.Helper()
	genuine := h.keys.byAlg["ES256"]
	good := h.sign(accessTokenType, claims)
	parts := strings.Split(good, ".")
	token := func(header map[string]any, signature []byte) string {
		encoded, err := json.Marshal(header)
		if err != nil {
			h.t.Fatal(err)
		}
		return b64(encoded) + "." + parts[1] + "." + b64(signature)
	}
	public, err := x509.MarshalPKIXPublicKey(genuine.Public().Key)
	if err != nil {
		h.t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		h.t.Fatal(err)
	}
	foreign := func(kid string) string {
		jws, err := signWith(jose.JSONWebKey{Key: stranger, KeyID: kid, Algorithm: "ES256"}, accessTokenType, payload)
		if err != nil {
			h.t.Fatal(err)
		}
		return jws
	}
	embedded, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: stranger},
		(&jose.SignerOptions{EmbedJWK: true}).WithType(accessTokenType))
	if err != nil {
		h.t.Fatal(err)
	}
	withKey, err := embedded.Sign(payload)
	if err != nil {
		h.t.Fatal(err)
	}
	ownKey, err := withKey.CompactSerialize()
	if err != nil {
		h.t.Fatal(err)
	}
	hs256 := token(map[string]any{"alg": "HS256", "typ": accessTokenType, "kid": genuine.KeyID}, nil)
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	mac.Write([]byte(strings.TrimSuffix(hs256, ".")))
	return map[string]string{
		"alg none":                   token(map[string]any{"alg": "none", "typ": accessTokenType}, nil),
		"alg none with our kid":      token(map[string]any{"alg": "none", "typ": accessTokenType, "kid": genuine.KeyID}, nil),
		"HS256 with our public key":  hs256 + b64(mac.Sum(nil)),
		"empty signature":            parts[0] + "." + parts[1] + ".",
		"zero signature":             parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)),
		"changed payload":            parts[0] + "." + b64(bytes.Replace(payload, []byte("lists:read"), []byte("lists:writ"), 1)) + "." + parts[2],
		"foreign key":                foreign("nobody"),
		"foreign key, our kid":       foreign(genuine.KeyID),
		"foreign key, kid of a file": foreign("../../../../dev/null"),
		"foreign key, kid of SQL":    foreign("' OR 1=1 --"),
		"key in the header":          ownKey,
		"two parts":                  parts[0] + "." + parts[1],
		"no parts":                   "a.b.c",
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
