package emulator

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"

	"github.com/go-jose/go-jose/v4"

	"larder/internal/secret"
)

const (
	rsaBits = 2048
	maxKeys = 3 // that are published at once
)

type signingKey struct {
	kid     string
	private *rsa.PrivateKey
}

// RotateKeys signs with a fresh key from now on. The one before stays
// published for a while.
func (p *Provider) RotateKeys() error {
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append([]signingKey{{kid: secret.New().Reveal()[:10], private: private}}, p.keys...)
	p.keys = p.keys[:min(len(p.keys), maxKeys)]
	return nil
}

// Sign signs claims as the provider does: RS256, with the newest key.
func (p *Provider) Sign(claims map[string]any) (string, error) {
	p.mu.Lock()
	key := p.keys[0]
	p.mu.Unlock()
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key.private, KeyID: key.kid}}, nil)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (p *Provider) serveKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	var set jose.JSONWebKeySet
	for _, key := range p.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &key.private.PublicKey, KeyID: key.kid, Algorithm: string(jose.RS256), Use: "sig"})
	}
	p.mu.Unlock()
	w.Header().Set("Cache-Control", "public, max-age=3600")
	respond(w, http.StatusOK, set)
}

// Subject is how the provider calls the person with an address.
func (p *Provider) Subject(email string) string {
	sum := sha256.Sum256([]byte(p.Name + "\n" + email))
	return hex.EncodeToString(sum[:])[:28]
}

func respond(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller may be gone
}
