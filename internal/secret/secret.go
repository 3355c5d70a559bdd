package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
)

const hidden = "[secret]"

// String is text that prints as "[secret]" wherever it is formatted.
type String string

// Reveal returns the value itself.
func (s String) Reveal() string { return string(s) }

// String implements fmt.Stringer without giving the value away.
func (String) String() string { return hidden }

// GoString covers %#v.
func (String) GoString() string { return hidden }

// LogValue covers log/slog.
func (String) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText covers encoding/json; what is to be sent is revealed on purpose.
func (String) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText takes the value in.
func (s *String) UnmarshalText(b []byte) error {
	*s = String(b)
	return nil
}

// New returns 256 random bits in base64url, 43 characters.
func New() String {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts the program instead
	return String(base64.RawURLEncoding.EncodeToString(b))
}

// Sum is the form in which a generated secret is stored.
func Sum(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// Matches reports in constant time whether s is the secret whose Sum is
// stored. An empty sum matches nothing.
func Matches(s string, sum []byte) bool {
	got := sha256.Sum256([]byte(s))
	return len(sum) == len(got) && subtle.ConstantTimeCompare(got[:], sum) == 1
}
