package device

import (
	"crypto/rand"
	"strings"
)

// Consonants without Y: no words come out, nothing looks like a digit, and every
// keyboard has them (RFC 8628 §6.1).
const (
	letters    = "BCDFGHJKLMNPQRSTVWXZ"
	codeLength = 8
)

// newUserCode returns 8 letters.
func newUserCode() string {
	var code strings.Builder
	random := make([]byte, 4*codeLength)
	for code.Len() < codeLength {
		_, _ = rand.Read(random) // never fails: crypto/rand aborts the program instead
		for _, b := range random {
			// What lies above the last whole multiple would favour some letters.
			if int(b) < 256/len(letters)*len(letters) && code.Len() < codeLength {
				code.WriteByte(letters[int(b)%len(letters)])
			}
		}
	}
	return code.String()
}

// readUserCode takes a code as people type it, in any case, with or without the
// dash. ok is false for what cannot be one.
func readUserCode(typed string) (code string, ok bool) {
	const longest = 64
	if len(typed) > longest {
		return "", false
	}
	code = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' || r == '.' || r == '_' {
			return -1
		}
		return r
	}, strings.ToUpper(typed))
	return code, len(code) == codeLength && strings.Trim(code, letters) == ""
}

// inGroups writes a code as it is shown: WDJB-MJHT.
func inGroups(code string) string { return code[:codeLength/2] + "-" + code[codeLength/2:] }
