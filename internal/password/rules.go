package password

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"larder/internal/fault"
)

// MinLength is the fewest characters of a password that is the only factor
// (SP 800-63B-4 §3.1.1.2).
const MinLength = 15

// fewestDistinct refuses "aaaaaaaaaaaaaaa" and "abcabcabcabcabc" without
// demanding any kind of character.
const fewestDistinct = 5

//go:embed common.txt
var common string

// Check reports why a new password is not acceptable, as fault.Invalid: too
// short, over MaxBytes, well known, or made of what the person is called
// (about: e-mail address, name). It demands no kinds of characters: such rules
// are forbidden by SP 800-63B-4 §3.1.1.2 and ASVS 6.2.5.
func Check(password string, about ...string) error {
	if !utf8.ValidString(password) {
		return refuse("The password is not valid text.")
	}
	if n := utf8.RuneCountInString(norm.NFC.String(password)); n < MinLength {
		return refuse(fmt.Sprintf("The password must have at least %d characters; it has %d. A few words in a row are easy to remember.", MinLength, n))
	}
	if len(password) > MaxBytes {
		return refuse(fmt.Sprintf("The password must have at most %d bytes.", MaxBytes))
	}
	folded := fold(password)
	if distinct(folded) < fewestDistinct || isCommon(folded) {
		return refuse("This password is one of the first that an attacker tries. Please choose another.")
	}
	for _, word := range about {
		for _, part := range append([]string{word}, strings.FieldsFunc(word, func(c rune) bool { return c == '@' || c == ' ' })...) {
			if part = fold(part); part != "" && 2*len(part) > len(folded) && strings.Contains(folded, part) {
				return refuse("The password must not be your name or e-mail address.")
			}
		}
	}
	return nil
}

func refuse(why string) error {
	return fault.New(fault.Invalid, why).WithCode("weak_password").
		WithFields(fault.Field{Pointer: "/password", Detail: why})
}

// isCommon looks the password up in the list, as it is and without what people
// put between the words.
func isCommon(folded string) bool {
	squeezed := strings.NewReplacer(" ", "", "-", "", "_", "", ".", "").Replace(folded)
	for line := range strings.Lines(common) {
		if line = strings.TrimSpace(line); line != "" && (line == folded || line == squeezed) {
			return true
		}
	}
	return false
}

func distinct(s string) int {
	seen := make(map[rune]bool)
	for _, c := range s {
		seen[c] = true
	}
	return len(seen)
}

func fold(s string) string { return cases.Fold().String(norm.NFKC.String(s)) }
