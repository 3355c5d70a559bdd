package dpop

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/redis/go-redis/v9"
)

// Header carries the proof (RFC 9449 §4.1).
const Header = "DPoP"

// window is how far iat may be from now, either way.
const window = 60 * time.Second

// Verifier checks the proofs of one service's clients. It is safe for
// concurrent use.
type Verifier struct {
	// Base is the URL by which clients know the service, from the
	// configuration: a request's own Host header is the sender's word. A
	// request's path is appended to it.
	Base string
	// Alias is a second such URL, "" without one (RFC 8705 §5).
	Alias  string
	Redis  redis.Cmdable // remembers used proofs
	Nonces *Nonces       // nil where no nonce is ever asked for
	Now    func() time.Time
}

// Expect is what a proof must fit besides its request.
type Expect struct {
	AccessToken string // the token presented beside it, "" if none is (RFC 9449 §7)
	Thumbprint  string // the key that the token or the grant is bound to; "" where any key will do
	Nonce       bool   // refuse a proof without a nonce of ours
}

// Presented reports whether a request claims to come with a proof. One that
// does must come with a good one, even where none is needed.
func Presented(r *http.Request) bool { return len(r.Header.Values(Header)) > 0 }

// Verify checks the proof of a request and spends it (RFC 9449 §4.3). Errors
// are fault.Invalid with CodeInvalidProof or CodeUseNonce, ErrWrongKey behind
// the former, or fault.Unavailable.
func (v *Verifier) Verify(r *http.Request, want Expect) (*Proof, error) {
	headers := r.Header.Values(Header)
	switch {
	case len(headers) == 0:
		return nil, invalid("The request carries no DPoP proof.")
	case len(headers) > 1:
		return nil, invalid("The request carries more than one DPoP header.")
	}
	c, thumbprint, err := open(headers[0])
	if err != nil {
		return nil, err
	}
	now := v.Now()
	if err := v.checkRequest(c, r); err != nil {
		return nil, err
	}
	if err := checkTimes(c, now); err != nil {
		return nil, err
	}
	if want.AccessToken != "" && !equal(c.ATH, AccessTokenHash(want.AccessToken)) {
		return nil, invalid("The ath of the DPoP proof is not the hash of the access token.")
	}
	if want.Thumbprint != "" && !equal(thumbprint, want.Thumbprint) {
		return nil, invalidBecause("The key of the DPoP proof is not the one that is bound.", ErrWrongKey)
	}
	if err := v.checkNonce(c.Nonce, want.Nonce); err != nil {
		return nil, err
	}
	proof := &Proof{Thumbprint: thumbprint, JTI: c.JTI, IssuedAt: c.IssuedAt.Time()}
	if err := v.spend(r.Context(), proof, now); err != nil {
		return nil, err
	}
	return proof, nil
}

// checkRequest holds the claims against the request (RFC 9449 §4.3, checks 3, 8
// and 9).
func (v *Verifier) checkRequest(c *claims, r *http.Request) error {
	switch {
	case c.JTI == "" || len(c.JTI) > maxJTIBytes:
		return invalid("The DPoP proof needs a jti of 1 to 128 bytes.")
	case c.HTM != r.Method:
		return invalid("The htm of the DPoP proof is not the method of this request.")
	case !sameURL(c.HTU, strings.TrimSuffix(v.Base, "/")+r.URL.EscapedPath()) &&
		(v.Alias == "" || !sameURL(c.HTU, strings.TrimSuffix(v.Alias, "/")+r.URL.EscapedPath())):
		return invalid("The htu of the DPoP proof is not the URL of this request.")
	}
	return nil
}

// checkTimes holds iat against the clock (RFC 9449 §4.3, check 11), and nbf and
// exp where a proof has them (RFC 7519 §4.1).
func checkTimes(c *claims, now time.Time) error {
	if c.IssuedAt == nil {
		return invalid("The DPoP proof has no iat.")
	}
	// In whole seconds, as the claims are; NumericDate bounds them, so that
	// nothing overflows.
	oldest, newest := jwt.NumericDate(now.Add(-window).Unix()), jwt.NumericDate(now.Add(window).Unix())
	switch {
	case *c.IssuedAt < oldest:
		return invalid("The DPoP proof is stale.")
	case *c.IssuedAt > newest, c.NotBefore != nil && *c.NotBefore > newest:
		return invalid("The DPoP proof comes from the future.")
	case c.Expiry != nil && *c.Expiry < oldest:
		return invalid("The DPoP proof has expired.")
	}
	return nil
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
