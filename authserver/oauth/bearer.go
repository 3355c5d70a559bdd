package oauth

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"larder/internal/dpop"
	"larder/internal/web"
)

// bearerError is a refusal by an endpoint that is itself a protected resource
// (RFC 6750 §3.1).
type bearerError struct {
	status      int
	code        string // "" when the request carried no credential at all
	description string
	scope       string
	dpop        bool // only the DPoP scheme will do
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

// shownToken is an access token as a request shows it.
type shownToken struct {
	token string
	dpop  bool // by the DPoP scheme (RFC 9449 §7.1), else as a bearer token
}

// readAccessToken takes the access token out of the Authorization header or, in
// a POST, out of a form body (RFC 6750 §2.1, §2.2). Never out of the query,
// where it would land in logs and histories (§2.3, RFC 9700 §4.3.2).
func readAccessToken(w http.ResponseWriter, r *http.Request) (shownToken, error) {
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return shownToken{}, badBearerRequest("An access token must not be in the address.")
	}
	shown, err := authorizationHeader(r)
	if err != nil {
		return shownToken{}, err
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method == http.MethodPost && media == "application/x-www-form-urlencoded" {
		if shown, err = orInBody(w, r, shown); err != nil {
			return shownToken{}, err
		}
	}
	if shown.token == "" {
		return shownToken{}, &bearerError{status: http.StatusUnauthorized}
	}
	return shown, nil
}

// authorizationHeader reads a token from the header, if there is one.
func authorizationHeader(r *http.Request) (shownToken, error) {
	values := r.Header.Values("Authorization")
	switch len(values) {
	case 0:
		return shownToken{}, nil
	case 1:
	default:
		return shownToken{}, badBearerRequest("There is more than one Authorization header.")
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	shown := shownToken{token: strings.TrimLeft(rest, " "), dpop: strings.EqualFold(scheme, "DPoP")}
	switch {
	case !shown.dpop && !strings.EqualFold(scheme, "Bearer"):
		return shownToken{}, &bearerError{status: http.StatusUnauthorized}
	case !isBearerToken(shown.token):
		return shownToken{}, badBearerRequest("The Authorization header is malformed.")
	}
	return shown, nil
}

// orInBody reads a token from the body, where it may stand in the place of one
// in the header but not beside it.
func orInBody(w http.ResponseWriter, r *http.Request, header shownToken) (shownToken, error) {
	f, err := readForm(w, r)
	if err != nil {
		return shownToken{}, err
	}
	switch sent := f.get("access_token"); {
	case sent == "":
		return header, nil
	case header.token != "":
		return shownToken{}, badBearerRequest("The request carries more than one access token.")
	case !isBearerToken(sent):
		return shownToken{}, badBearerRequest("The access token is malformed.")
	default:
		return shownToken{token: sent}, nil
	}
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

// writeBearerError answers with the challenge of RFC 6750 §3 or RFC 9449 §7.1 and the same in
// JSON, for people who read bodies.
func writeBearerError(w http.ResponseWriter, r *http.Request, err error) {
	refusal, ok := errors.AsType[*bearerError](err)
	if !ok {
		other := asOAuthError(err)
		refusal = &bearerError{status: other.httpStatus(), code: other.code, description: other.description}
	}
	h := w.Header()
	if refusal.status == http.StatusUnauthorized || refusal.status == http.StatusForbidden || refusal.status == http.StatusBadRequest {
		h["Www-Authenticate"] = refusal.challenges(r)
	}
	web.SetRetryAfter(w, err)
	noStore(h)
	h.Set("Content-Type", "application/json")
	body, _ := json.Marshal(errorBody{Error: refusal.code, Description: refusal.description, RequestID: web.RequestID(r.Context())}) // strings always encode
	w.WriteHeader(refusal.status)
	_, _ = w.Write(body)
}

// challenges says what to send instead: to a request without any credential,
// either kind; else the one that it tried, or must try.
func (e *bearerError) challenges(r *http.Request) []string {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case e.dpop || strings.EqualFold(scheme, "DPoP"):
		return []string{e.challenge("DPoP") + dpopAlgs()}
	case e.code == "":
		return []string{e.challenge("Bearer"), e.challenge("DPoP") + dpopAlgs()}
	}
	return []string{e.challenge("Bearer")}
}

// dpopAlgs are the algorithms of a proof (RFC 9449 §7.1).
func dpopAlgs() string { return `, algs="` + strings.Join(dpop.Algorithms(), " ") + `"` }

func (e *bearerError) challenge(scheme string) string {
	var b strings.Builder
	b.WriteString(scheme + ` realm="larder"`)
	if e.code != "" {
		b.WriteString(`, error="` + e.code + `", error_description="` + e.description + `"`)
	}
	if e.scope != "" {
		b.WriteString(`, scope="` + e.scope + `"`)
	}
	return b.String()
}
