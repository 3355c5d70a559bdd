package session

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"larder/internal/secret"
)

// FuzzCookie: whatever a browser sends, the parsers take only what we could have sent, byte for byte.
func FuzzCookie(f *testing.F) {
	f.Add(secret.New().Reveal())
	f.Add(strings.Repeat("A", 43))
	f.Add(strings.Repeat("A", 42) + "B") // the same bytes as 43 As, were padding bits let through
	f.Add(strings.Repeat("A", 22))
	f.Add(strings.Repeat("A", 42) + "=")
	f.Add("")
	f.Add("__Host-larder-session=x; larder-session=" + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, value string) {
		got, ok := parseCookie(value)
		raw, err := base64.RawURLEncoding.DecodeString(value)
		ours := err == nil && len(raw) == cookieBytes && base64.RawURLEncoding.EncodeToString(raw) == value
		if ok != ours || ok && got != value {
			t.Errorf("parseCookie(%q) = %q, %t; want %t", value, got, ok, ours)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Cookie", "larder-device="+value)
		device := Devices{}.Device(r)
		raw, err = base64.RawURLEncoding.DecodeString(device)
		if device != "" && (err != nil || len(raw) != deviceBytes || base64.RawURLEncoding.EncodeToString(raw) != device) {
			t.Errorf("Device = %q", device)
		}
	})
}
