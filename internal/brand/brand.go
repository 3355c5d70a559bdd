package brand

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"larder/internal/language"
)

const maxName = 40 // characters; authenticator apps and mail programs cut longer ones

// Brand is how the service presents itself.
type Brand struct {
	Name        string
	Light, Dark Colour // accents, of links and of buttons
	Logo        *Logo  // nil leaves our own drawing and the name in letters
	Contact     string // for people who need help: an e-mail address or an https address, "" for none
	Terms       string // https address, "" for none
	Privacy     string // https address, "" for none
}

// Larder is the brand of a service whose operator chose none.
func Larder() Brand { return Brand{Name: language.Brand, Light: "#2b6643", Dark: "#93cfa6"} }

// CheckName reports why a service cannot have a name. Braces would be read as
// parts of a template, and a colon as the end of the name by authenticator apps.
func CheckName(name string) error {
	n := utf8.RuneCountInString(name)
	if !utf8.ValidString(name) || n < 1 || n > maxName || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("must have 1 to %d characters, on one line and with no space at its ends", maxName)
	}
	if strings.ContainsAny(name, "{}:") {
		return fmt.Errorf("must have neither braces nor a colon")
	}
	return nil
}

// ContactURL is the address that a link to the contact leads to, "" without one.
func (b Brand) ContactURL() string {
	if b.Contact == "" || strings.HasPrefix(b.Contact, "https://") {
		return b.Contact
	}
	return "mailto:" + b.Contact
}

// CSS gives the stylesheet the accents, behind its own. It is "" for those that
// the stylesheet has anyway.
func (b Brand) CSS() string {
	if own := Larder(); b.Light == own.Light && b.Dark == own.Dark {
		return ""
	}
	return fmt.Sprintf(":root{%s}\n@media (prefers-color-scheme: dark){:root{%s}}\n", light().properties(b.Light), dark().properties(b.Dark))
}
