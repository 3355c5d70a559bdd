package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"larder/authserver/oidc"
	"larder/internal/dpop"
	"larder/internal/fault"
	"larder/internal/mtls"
)

// nonceKeys is the purpose of the keys that DPoP nonces are made with.
const nonceKeys = "dpop_nonce"

// newProofs checks DPoP proofs at every endpoint of ours (RFC 9449).
func newProofs(d Dependencies) *dpop.Verifier {
	return &dpop.Verifier{
		Base: d.Config.Issuer, Alias: d.Config.MTLSURL, Redis: d.Redis, Now: d.Now,
		Nonces: &dpop.Nonces{Keys: func() [][]byte { return d.Keys.MACKeys(nonceKeys) }, Now: d.Now},
	}
}

// offersNonce gives each answer to a request with a proof the nonce for the
// next one, so that a client learns it in time even where none is demanded
// (RFC 9449 §8.2).
func (p *Provider) offersNonce(h func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if dpop.Presented(r) {
			p.proofs.OfferNonce(w.Header())
		}
		return h(w, r)
	}
}

// proofKey is the thumbprint of the key that a request to the token endpoint
// proves (RFC 9449 §5): what is issued now will be bound to it. Without a proof
// it is "", which a client may be registered against.
func (p *Provider) proofKey(r *http.Request, client *oidc.Client) (string, error) {
	if !dpop.Presented(r) && !client.DPoPRequired() {
		return "", nil
	}
	proof, err := p.proofs.Verify(r, dpop.Expect{Nonce: p.Config.DPoPNonceRequired})
	if err != nil {
		return "", err
	}
	return proof.Thumbprint, nil
}

// bindPushed has the proof of a pushed request, if it comes with one, say what
// dpop_jkt says otherwise (RFC 9449 §10.1).
func (p *Provider) bindPushed(r *http.Request, request url.Values) error {
	if !dpop.Presented(r) {
		return nil
	}
	proof, err := p.proofs.Verify(r, dpop.Expect{Nonce: p.Config.DPoPNonceRequired})
	if err != nil {
		return err
	}
	if named := request.Get("dpop_jkt"); named != "" && named != proof.Thumbprint {
		return newError(invalidRequest, "The key of the DPoP proof is not the one that 'dpop_jkt' names.")
	}
	request.Set("dpop_jkt", proof.Thumbprint)
	return nil
}

// checkBinding reads the key that the code shall be bound to (RFC 9449 §10).
func (p *Provider) checkBinding(_ context.Context, a *authorization) error {
	if jkt := a.form.get("dpop_jkt"); jkt != "" && !dpop.IsThumbprint(jkt) {
		return newError(invalidRequest, "The parameter 'dpop_jkt' is not the SHA-256 thumbprint of a key.")
	}
	return nil
}

// boundTo reports whether who holds the key may redeem the code.
func (c *authorizationCode) boundTo(jkt string) bool { return c.JKT == "" || c.JKT == jkt }

// refreshKey is the key that a new family of refresh tokens is bound to. Those
// of a confidential client are bound to its authentication, so that it may
// change its key (RFC 9449 §5).
func (w *work) refreshKey() string {
	if w.client.Public() {
		return w.jkt
	}
	return ""
}

// checkPossession lets an access token count only for whom it was issued to: one
// that is bound to a certificate with it, and one that is bound to a key with a
// proof by it (RFC 9449 §7.1), and never as a bearer
// token, which it would be in a thief's hands (§7.2).
func (p *Provider) checkPossession(r *http.Request, shown shownToken, at *oidc.AccessToken) error {
	switch {
	case at.X5T != "" && at.X5T != mtls.Thumbprint(mtls.From(r.Context())): // RFC 8705 §3
		return invalidToken("The access token is bound to a certificate that the request does not come with.")
	case at.JKT == "" && !shown.dpop:
		return nil
	case at.JKT == "":
		return invalidToken("The access token is not bound to a key; it is a Bearer token.")
	case !shown.dpop:
		return &bearerError{
			status: http.StatusUnauthorized, code: "invalid_token", dpop: true,
			description: "The access token is bound to a key; it must be shown by the DPoP scheme.",
		}
	}
	_, err := p.proofs.Verify(r, dpop.Expect{AccessToken: shown.token, Thumbprint: at.JKT, Nonce: p.Config.DPoPNonceRequired})
	if errors.Is(err, dpop.ErrWrongKey) {
		return invalidToken("The access token is bound to another key.")
	}
	if code, ok := proofRefused(err); ok {
		return &bearerError{status: http.StatusUnauthorized, code: code, description: plainDescription(asOAuthError(err).description)}
	}
	return err
}

// proofRefused tells the error codes of RFC 9449, which stand in the fault.
func proofRefused(err error) (code string, ok bool) {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Code != dpop.CodeInvalidProof && e.Code != dpop.CodeUseNonce {
		return "", false
	}
	return e.Code, true
}
