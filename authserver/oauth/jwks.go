package oauth

import (
	"bytes"
	"net/http"

	"larder/internal/fault"
)

// handleJWKS answers GET /jwks with the public keys that verify our tokens
// (RFC 7517 §5). Its max-age is the time for which the key rotation publishes
// a key before signing with it, so that no cached copy is ever too old to
// verify a fresh token.
func (p *Provider) handleJWKS(w http.ResponseWriter, r *http.Request) error {
	keys := p.Keys.JWKS()
	if len(keys) == 0 {
		return fault.New(fault.Unavailable, "The service is starting. Please try again.")
	}
	doc := p.jwks.Load()
	if doc == nil || !bytes.Equal(doc.body, keys) {
		doc = newDocument(bytes.Clone(keys), p.Config.JWKSLifetime)
		p.jwks.Store(doc)
	}
	return doc.serve(w, r)
}
