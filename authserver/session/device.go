package session

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"
)

const (
	deviceBytes  = 16
	deviceLength = 22 // base64url of deviceBytes
	deviceLife   = 365 * 24 * time.Hour
)

// Devices recognises browsers by a cookie of 128 random bits that lasts a year.
type Devices struct {
	Secure bool // the issuer is https
}

// Device returns the browser's id, "" when it has none.
func (d Devices) Device(r *http.Request) string {
	c, err := r.Cookie(cookieName("device", d.Secure))
	if err != nil || len(c.Value) != deviceLength {
		return ""
	}
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(c.Value); err != nil || len(raw) != deviceBytes {
		return ""
	}
	return c.Value
}

// Ensure returns the browser's id and, when it has none, gives it one: fresh
// says so.
func (d Devices) Ensure(w http.ResponseWriter, r *http.Request) (device string, fresh bool) {
	if device = d.Device(r); device != "" {
		return device, false
	}
	raw := make([]byte, deviceBytes)
	_, _ = rand.Read(raw)
	device = base64.RawURLEncoding.EncodeToString(raw)
	cookie := newCookie("device", device, d.Secure, deviceLife)
	http.SetCookie(w, cookie)
	r.AddCookie(cookie) // whoever asks later in this request gets the same
	return device, true
}
