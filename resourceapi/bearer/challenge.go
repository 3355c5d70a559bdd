package bearer

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"larder/internal/dpop"
	"larder/internal/fault"
	"larder/internal/web"
)

// The error codes of RFC 6750 §3.1 and RFC 9470 §3.
const (
	invalidRequest             = "invalid_request"
	invalidToken               = "invalid_token"
	insufficientScope          = "insufficient_scope"
	insufficientAuthentication = "insufficient_user_authentication"
)

// challenge is what the WWW-Authenticate header says of an error. It stands
// behind a fault.Error as its cause.
type challenge struct {
	code   string
	scope  string
	acr    []string
	maxAge time.Duration
	dpop   bool // only the scheme DPoP will do
	cause  error
}

// Error is for the log.
func (c *challenge) Error() string {
	if c.cause != nil {
		return c.code + ": " + c.cause.Error()
	}
	return c.code
}

func (c *challenge) Unwrap() error { return c.cause }

// InsufficientScope refuses a caller whose credential lacks the scope: 403 and
// a challenge that names it (RFC 6750 §3.1).
func InsufficientScope(scope string) *fault.Error {
	return fault.Wrap(fault.Forbidden, "The access token does not carry the scope "+scope+".",
		&challenge{code: insufficientScope, scope: scope}).WithCode(insufficientScope)
}

// StepUp refuses a caller until the person signs in afresh or more strongly:
// 401 and a challenge that says how (RFC 9470 §3). maxAge 0 asks for no
// particular age.
func StepUp(acrValues []string, maxAge time.Duration) *fault.Error {
	return fault.Wrap(fault.Unauthenticated, "This takes a fresh or stronger sign-in.",
		&challenge{code: insufficientAuthentication, acr: acrValues, maxAge: maxAge}).WithCode(insufficientAuthentication)
}

// invalid refuses a credential. The cause is for the log: who guesses learns
// nothing from it.
func invalid(cause error) error {
	return fault.Wrap(fault.Unauthenticated, "The credential is not valid.", &challenge{code: invalidToken, cause: cause}).
		WithCode(invalidToken)
}

// expired is the one detail that an honest client can use.
func expired() error {
	return fault.Wrap(fault.Unauthenticated, "The access token has expired.", &challenge{code: invalidToken}).
		WithCode(invalidToken)
}

func malformed(message string) error {
	return fault.Wrap(fault.Invalid, message, &challenge{code: invalidRequest}).WithCode(invalidRequest)
}

// unavailable says that a credential could not be checked, which is nobody's
// fault but ours.
func unavailable(cause error) error {
	return fault.Wrap(fault.Unavailable, "Credentials cannot be checked right now. Please try again.", cause)
}

// Problem answers a request that failed with problem+json and, where the
// credential is the matter, the challenge of RFC 6750 §3 or RFC 9449 §7.1 with
// the signpost of RFC 9728 §5.1. It is a web.ErrorWriter.
func (g *Gate) Problem(w http.ResponseWriter, r *http.Request, err error) {
	var c *challenge
	switch {
	case errors.As(err, &c):
		scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		w.Header().Set("WWW-Authenticate", g.header(c, c.dpop || isDPoP(scheme)))
	case fault.Is(err, fault.Unauthenticated): // no credential at all, so no error code either
		w.Header().Set("WWW-Authenticate", g.header(&challenge{}, false))
		if g.proofs != nil {
			w.Header().Add("WWW-Authenticate", g.header(&challenge{}, true))
		}
	}
	web.Problem(w, r, err)
}

// header is one challenge, of the scheme DPoP (RFC 9449 §7.1) or Bearer.
func (g *Gate) header(c *challenge, overDPoP bool) string {
	var b strings.Builder
	scheme, algs := "Bearer", ""
	if overDPoP {
		scheme, algs = "DPoP", strings.Join(dpop.Algorithms(), " ")
	}
	b.WriteString(scheme)
	separator := " "
	param := func(name, value string) {
		if value == "" {
			return
		}
		// Scopes, acr values and URLs hold neither quotes nor backslashes.
		b.WriteString(separator + name + `="` + value + `"`)
		separator = ", "
	}
	param("error", c.code)
	param("scope", c.scope)
	param("acr_values", strings.Join(c.acr, " "))
	if c.maxAge > 0 {
		param("max_age", strconv.Itoa(int(c.maxAge.Seconds())))
	}
	param("algs", algs)
	param("resource_metadata", g.metadataURL)
	return b.String()
}
