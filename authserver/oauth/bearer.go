package oauth

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"larder/internal/web"
)

// bearerError is a refusal by an endpoint that is itself a protected resource
// (RFC 6750 §3.1).
type bearerError struct {
	status      int
	code        string // "" when the request carried no credential at all
	description string
	scope       string
}

func (e *bearerError) Error() string {
	if e.code == "" {
		return "no access token"
	}
	return e.code + ": " + e.description
}

func invalidToken(description string) error {
	return &bearerError{status: http.StatusUnauthorized, code: "invalid_token", description: description}
}

func insufficientScope(scope string) error {
	return &bearerError{
		status: http.StatusForbidden, code: "insufficient_scope",
		description: "The access token lacks a scope that is needed here.", scope: scope,
	}
}

func badBearerRequest(description string) error {
	return &bearerError{status: http.StatusBadRequest, code: "invalid_request", description: description}
}

// bearerToken takes the access token out of the Authorization header or, in a
// POST, out of a form body (RFC 6750 §2.1, §2.2). Never out of the query, where
// it would land in logs and histories (§2.3, RFC 9700 §4.3.2).
func bearerToken(w http.ResponseWriter, r *http.Request) (string, error) {
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return "", badBearerRequest("An access token must not be in the address.")
	}
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return "", badBearerRequest("There is more than one Authorization header.")
	}
	var token string
	if len(values) == 1 {
		scheme, rest, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", &bearerError{status: http.StatusUnauthorized}
		}
		if token = strings.TrimLeft(rest, " "); !isBearerToken(token) {
			return "", badBearerRequest("The Authorization header is malformed.")
		}
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || media != "application/x-www-form-urlencoded" {
		return credential(token)
	}
	f, err := readForm(w, r)
	if err != nil {
		return "", err
	}
	switch sent := f.get("access_token"); {
	case sent == "":
		return credential(token)
	case token != "":
		return "", badBearerRequest("The request carries more than one access token.")
	case !isBearerToken(sent):
		return "", badBearerRequest("The access token is malformed.")
	default:
		return sent, nil
	}
}

func credential(token string) (string, error) {
	if token == "" {
		return "", &bearerError{status: http.StatusUnauthorized}
	}
	return token, nil
}

// isBearerToken checks for a b64token (RFC 6750 §2.1).
func isBearerToken(s string) bool {
	body := strings.TrimRight(s, "=")
	for _, c := range []byte(body) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return body != ""
}

// writeBearerError answers with the challenge of RFC 6750 §3 and the same in
// JSON, for people who read bodies.
func writeBearerError(w http.ResponseWriter, r *http.Request, err error) {
	refusal, ok := errors.AsType[*bearerError](err)
	if !ok {
		other := asOAuthError(err)
		refusal = &bearerError{status: other.httpStatus(), code: other.code, description: other.description}
	}
	h := w.Header()
	if refusal.status == http.StatusUnauthorized || refusal.status == http.StatusForbidden || refusal.status == http.StatusBadRequest {
		h.Set("WWW-Authenticate", refusal.challenge())
	}
	web.SetRetryAfter(w, err)
	noStore(h)
	h.Set("Content-Type", "application/json")
	body, _ := json.Marshal(errorBody{Error: refusal.code, Description: refusal.description, RequestID: web.RequestID(r.Context())}) // strings always encode
	w.WriteHeader(refusal.status)
	_, _ = w.Write(body)
}

func (e *bearerError) challenge() string {
	var b strings.Builder
	b.WriteString(`Bearer realm="larder"`)
	if e.code != "" {
		b.WriteString(`, error="` + e.code + `", error_description="` + e.description + `"`)
	}
	if e.scope != "" {
		b.WriteString(`, scope="` + e.scope + `"`)
	}
	return b.String()
}
