package bearer

import (
	"net/http"
	"strings"

	"larder/internal/fault"
)

// maxCredential bounds a credential; ours are below one kilobyte.
const maxCredential = 8 << 10

// credential is what a request shows of its caller.
type credential struct {
	token string
	dpop  bool // by the DPoP scheme (RFC 9449 §7.1), else as Bearer (RFC 6750)
}

// readCredential reads the credential from the Authorization header. The query
// and the body are not looked at: they end up in logs and histories.
func readCredential(h http.Header) (credential, error) {
	values := h["Authorization"]
	switch len(values) {
	case 0:
		return credential{}, fault.New(fault.Unauthenticated, "This address needs an access token or API key.")
	case 1:
	default:
		return credential{}, malformed("There is more than one Authorization header.")
	}
	scheme, token, found := strings.Cut(values[0], " ")
	c := credential{token: strings.TrimLeft(token, " "), dpop: isDPoP(scheme)}
	switch {
	case !c.dpop && !strings.EqualFold(scheme, "Bearer"):
		return credential{}, fault.New(fault.Unauthenticated, "This address needs an access token or API key, by the scheme Bearer or DPoP.")
	case !found || c.token == "":
		return credential{}, malformed("The Authorization header holds no credential.")
	case len(c.token) > maxCredential:
		return credential{}, malformed("The credential is too long.")
	case !b64token(c.token):
		return credential{}, malformed("The credential holds characters that no credential has.")
	}
	return c, nil
}

func isDPoP(scheme string) bool { return strings.EqualFold(scheme, "DPoP") }

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
