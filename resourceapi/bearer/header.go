package bearer

import (
	"net/http"
	"strings"

	"larder/internal/fault"
)

// maxCredential bounds a credential; ours are below one kilobyte.
const maxCredential = 8 << 10

// credential reads the credential from the Authorization header. The query and
// the body are not looked at: they end up in logs and histories.
func credential(h http.Header) (string, error) {
	values := h["Authorization"]
	switch len(values) {
	case 0:
		return "", fault.New(fault.Unauthenticated, "This address needs an access token or API key.")
	case 1:
	default:
		return "", malformed("There is more than one Authorization header.")
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", fault.New(fault.Unauthenticated, "This address needs an access token or API key as a Bearer credential.")
	}
	token = strings.TrimLeft(token, " ")
	switch {
	case !found || token == "":
		return "", malformed("The Authorization header holds no credential.")
	case len(token) > maxCredential:
		return "", malformed("The credential is too long.")
	case !b64token(token):
		return "", malformed("The credential holds characters that no credential has.")
	}
	return token, nil
}

// b64token is the syntax of RFC 6750 §2.1: 1*( ALPHA / DIGIT / "-" / "." /
// "_" / "~" / "+" / "/" ) *"=".
func b64token(s string) bool {
	body := strings.TrimRight(s, "=")
	for _, c := range []byte(body) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return body != ""
}
