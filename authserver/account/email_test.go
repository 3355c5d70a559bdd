package account

import (
	"testing"
)

func TestCanonicalIsOneIdentityForEverySpelling(t *testing.T) {
	for spelt, want := range map[string]string{
		"ada@example.com":                       "ada@example.com",
		" Ada@Example.COM ":                     "ada@example.com",
		"\uff41\uff44\uff41@example.com":        "ada@example.com", // full-width letters
		"STRASSE@example.com":                   "strasse@example.com",
		"straße@example.com":                    "strasse@example.com",
		"ada@b\u00fccher.example":               "ada@xn--bcher-kva.example",
		"ada@BU\u0308CHER.example":              "ada@xn--bcher-kva.example",
		"ada@xn--bcher-kva.example":             "ada@xn--bcher-kva.example",
		"o\u2019neill@example.com":              "o\u2019neill@example.com",
		"ada+lists@example.com":                 "ada+lists@example.com",
		"ada\uff20example.com":                  "ada@example.com",
		"\u212aim@example.com":                  "kim@example.com", // the Kelvin sign
		"ada@example.com\u3000":                 "ada@example.com",
		"ada@\uff45\uff58\uff41mple\u3002com":   "ada@example.com",
		"caf\u00e9@example.com":                 "caf\u00e9@example.com",
		"cafe\u0301@example.com":                "caf\u00e9@example.com",
		"very.long.local.part.of@example.co.uk": "very.long.local.part.of@example.co.uk",
	} {
		if got, err := Canonical(spelt); err != nil || got != want {
			t.Errorf("Canonical(%q) = %q, %v; want %q", spelt, got, err, want)
		}
	}
	for _, no := range []string{
		"", "ada", "@example.com", "ada@", "a b@example.com", "ada@@example.com", "a@b@example.com", "ada@exam ple.com", "ada\r\nBcc: x@example.com",
		"ada\x00@example.com", "ada\u200b@example.com", "ada\u202e@example.com", "<ada@example.com>", "Ada <ada@example.com>", "ada@example.com,eve@example.com",
		"ada\xff@example.com", "[\"ada@example.com\"]", "ada@example..com", "\"a\"@example.com", "ada@-x-.com",
	} {
		if got, err := Canonical(no); err == nil {
			t.Errorf("Canonical(%q) = %q, want an error", no, got)
		}
	}
}

// FuzzEmail: a canonical address is its own canonical form, whatever it came from.
func FuzzEmail(f *testing.F) {
	for _, seed := range []string{"ada@example.com", "STRASSE@B\u00fccher.example", "\uff41@\u212a.com", "a\u0345\u03b1@x.y", "\u01c5@x.y", "a@\u3002x", "", "@", "a@b@c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := Canonical(s)
		if err != nil {
			return
		}
		twice, err := Canonical(once)
		if err != nil || twice != once {
			t.Errorf("Canonical(%q) = %q, and of that %q, %v", s, once, twice, err)
		}
		if len(once) > maxAddress {
			t.Errorf("Canonical(%q) has %d bytes", s, len(once))
		}
	})
}
