package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/ory/fosite"

	"larder/internal/fault"
	"larder/internal/web"
)

// Error codes, by the section that defines them.
const (
	invalidRequest          = "invalid_request"           // RFC 6749 §5.2
	invalidClient           = "invalid_client"            // §5.2
	invalidGrant            = "invalid_grant"             // §5.2
	unauthorizedClient      = "unauthorized_client"       // §5.2
	unsupportedGrantType    = "unsupported_grant_type"    // §5.2
	invalidScope            = "invalid_scope"             // §5.2
	accessDenied            = "access_denied"             // §4.1.2.1
	unsupportedResponseType = "unsupported_response_type" // §4.1.2.1
	serverError             = "server_error"              // §4.1.2.1
	temporarilyUnavailable  = "temporarily_unavailable"   // §4.1.2.1
	invalidTarget           = "invalid_target"            // RFC 8707 §2
	loginRequired           = "login_required"            // OpenID Connect Core §3.1.2.6, as are those below
	consentRequired         = "consent_required"
	invalidRequestObject    = "invalid_request_object"
	invalidRequestURI       = "invalid_request_uri"
	registrationUnsupported = "registration_not_supported"
	unmetAuthentication     = "unmet_authentication_requirements" // of the specification of that name, §2
)

// oauthError is an answer in the vocabulary of RFC 6749 §5.2. The cause goes to
// the log only.
type oauthError struct {
	code        string
	description string
	status      int // 0: 401 for invalid_client, else 400
	cause       error
}

func newError(code, description string) *oauthError {
	return &oauthError{code: code, description: plainDescription(description)}
}

func (e *oauthError) because(cause error) *oauthError {
	e.cause = cause
	return e
}

// Error is for the log.
func (e *oauthError) Error() string {
	s := e.code + ": " + e.description
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

func (e *oauthError) Unwrap() error { return e.cause }

func (e *oauthError) httpStatus() int {
	switch {
	case e.status != 0:
		return e.status
	case e.code == invalidClient:
		return http.StatusUnauthorized
	}
	return http.StatusBadRequest
}

// asOAuthError finds or makes the answer for any error. A fault comes before
// fosite's error, which wraps those of the stores into its own.
func asOAuthError(err error) *oauthError {
	if e, ok := errors.AsType[*oauthError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return fromFault(e, err)
	}
	if e, ok := errors.AsType[*fosite.RFC6749Error](err); ok {
		return fromFosite(e, err)
	}
	return &oauthError{code: serverError, description: "The server met an unexpected condition.", status: http.StatusInternalServerError, cause: err}
}

func fromFault(e *fault.Error, err error) *oauthError {
	answer := &oauthError{code: invalidRequest, description: plainDescription(e.Message), status: web.Status(e), cause: err}
	if code, ok := proofRefused(e); ok {
		answer.code = code
		return answer
	}
	switch e.Kind {
	case fault.Unavailable, fault.RateLimited:
		answer.code = temporarilyUnavailable
	case fault.Internal:
		answer.code, answer.description = serverError, "The server met an unexpected condition."
	case fault.Unauthenticated:
		answer.code = invalidClient
	case fault.Forbidden:
		answer.code = accessDenied
	default: // the request is at fault
	}
	return answer
}

// fromFosite keeps fosite's code and hint; its debug text stays behind.
func fromFosite(e *fosite.RFC6749Error, err error) *oauthError {
	answer := &oauthError{code: e.ErrorField, description: plainDescription(e.Reason()), cause: err}
	if answer.description == "" {
		answer.description = plainDescription(e.DescriptionField)
	}
	if e.CodeField >= http.StatusInternalServerError {
		answer.status, answer.code, answer.description = http.StatusInternalServerError, serverError, "The server met an unexpected condition."
	}
	return answer
}

// plainDescription keeps an error_description to the characters that RFC 6749
// §5.2 allows: printable ASCII without quotation mark and backslash.
func plainDescription(s string) string {
	const limit = 300
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, s)
}

// errorBody is RFC 6749 §5.2 with the request's id, to find it in the log.
type errorBody struct {
	Error       string `json:"error,omitempty"` // always, but for a request without any credential (RFC 6750 §3.1)
	Description string `json:"error_description,omitempty"`
	RequestID   string `json:"request_id,omitempty"`
}

// writeError answers a failed request of an endpoint that clients call
// directly. It is a web.ErrorWriter.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	answer := asOAuthError(err)
	status := answer.httpStatus()
	h := w.Header()
	if answer.code == invalidClient && status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="larder", charset="UTF-8"`)
	}
	web.SetRetryAfter(w, err)
	h.Set("Content-Type", "application/json")
	noStore(h)
	body, _ := json.Marshal(errorBody{Error: answer.code, Description: answer.description, RequestID: web.RequestID(r.Context())}) // strings always encode
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// noStore keeps an answer with tokens, or about them, out of every cache (RFC
// 6749 §5.1).
func noStore(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}
