package account

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"larder/internal/fault"
)

const (
	maxAddress = 254 // RFC 5321 §4.5.3.1.3, without the angle brackets
	maxLocal   = 64
)

// Canonical returns the form of an e-mail address by which identity is decided:
// compatibility-normalised and case-folded (NFKC_Casefold), its domain in ASCII
// (IDNA). It fails with fault.Invalid.
func Canonical(address string) (string, error) {
	invalid := fault.New(fault.Invalid, "This is not an e-mail address.").WithCode("invalid_email").
		WithFields(fault.Field{Pointer: "/email", Detail: "must be an e-mail address"})
	if len(address) > maxAddress || !utf8.ValidString(address) {
		return "", invalid
	}
	folded := casefold(strings.TrimSpace(address))
	at := strings.LastIndexByte(folded, '@')
	if at < 1 || at > maxLocal || strings.ContainsFunc(folded, forbidden) || strings.Count(folded, "@") != 1 {
		return "", invalid
	}
	domain, err := idna.Lookup.ToASCII(folded[at+1:])
	if err != nil || domain == "" {
		return "", invalid
	}
	canonical := folded[:at+1] + domain
	if len(canonical) > maxAddress {
		return "", invalid
	}
	if parsed, err := mail.ParseAddress(canonical); err != nil || parsed.Address != canonical {
		return "", invalid
	}
	return canonical, nil
}

// casefold is toNFKC_Casefold of the Unicode Standard §5.18 in effect: folding
// may undo normalisation, so both are done until nothing changes.
func casefold(s string) string {
	for range 4 {
		next := norm.NFKC.String(cases.Fold().String(s))
		if next == s {
			break
		}
		s = next
	}
	return s
}

// forbidden are characters that no address needs and that make two addresses
// look like one.
func forbidden(c rune) bool {
	return unicode.IsSpace(c) || unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || strings.ContainsRune(`"(),:;<>[\]`, c) || c == utf8.RuneError
}
