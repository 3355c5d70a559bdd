package session

import (
	"encoding/base64"
	"net/http"
	"time"
)

const (
	cookieBytes  = 32
	cookieLength = 43 // base64url of cookieBytes
)

// cookieName has the __Host- prefix (RFC 6265bis §4.1.3.2) wherever the browser
// takes it: that needs Secure, which plain http on loopback does not have.
func cookieName(name string, secure bool) string {
	if secure {
		return "__Host-larder-" + name
	}
	return "larder-" + name
}

func newCookie(name, value string, secure bool, life time.Duration) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever the issuer is https
		Name:     cookieName(name, secure),
		Value:    value,
		Path:     "/",
		MaxAge:   int(life.Seconds()),
		Secure:   secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // strict would lose the session on the way in from a client
	}
}

// parseCookie takes the value that newCookie sent, and nothing that merely
// decodes to the same bytes.
func parseCookie(value string) (string, bool) {
	if len(value) != cookieLength {
		return "", false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	return value, err == nil && len(raw) == cookieBytes
}
