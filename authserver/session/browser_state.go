package session

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
)

// BrowserStateCookie is the name of the cookie that holds the state.
func (s *Sessions) BrowserStateCookie() string { return cookieName("browser-state", s.Secure) }

// BrowserState is the OP browser state of OpenID Connect Session Management 1.0
// §3.1: it changes whenever the browser's session does, and gives nothing away
// about it. It lies in a cookie that the page of package oauth reads by script,
// set again here when the browser has another one.
func (s *Sessions) BrowserState(w http.ResponseWriter, r *http.Request) string {
	c, err := r.Cookie(cookieName("session", s.Secure))
	if err != nil {
		return ""
	}
	state := browserState(c.Value)
	if had, err := r.Cookie(s.BrowserStateCookie()); err != nil || had.Value != state {
		s.setBrowserState(w, state, AbsoluteLife)
	}
	return state
}

func browserState(cookie string) string {
	sum := sha256.Sum256([]byte("browser-state " + cookie))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// setBrowserState has to reach frames in pages of others, which takes SameSite
// None and so Secure; without https that leaves pages of the same site.
func (s *Sessions) setBrowserState(w http.ResponseWriter, state string, life time.Duration) {
	c := newCookie("browser-state", state, s.Secure, life) //nolint:gosec // for scripts to read, as the specification has it
	c.HttpOnly = false
	if s.Secure {
		c.SameSite = http.SameSiteNoneMode
	}
	http.SetCookie(w, c)
}
