package shopping

import (
	"math"
	"net/url"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// MaxQuantity is the largest quantity; there are at most three decimals.
const MaxQuantity = 999_999_999

// Thing is something to buy.
type Thing struct {
	Name     string   `json:"name"`
	Quantity *float64 `json:"quantity"`
	Unit     string   `json:"unit"`
	Note     string   `json:"note"`
	Category string   `json:"category"`
	Barcode  string   `json:"-"`
	Photo    string   `json:"-"`
}

// Key is what two names of the same thing have in common.
func Key(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(norm.NFC.String(name)), " "))
}

// Photo reports whether a photo can be meant: by an https address, or by a key
// that some store of photos knows.
func Photo(photo string) bool {
	key := !strings.ContainsFunc(photo, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
	u, err := url.Parse(photo)
	address := err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
	return len(photo) <= 500 && (key || address)
}

// ValidQuantity reports whether q can be a quantity.
func ValidQuantity(q float64) bool {
	return q > 0 && q <= MaxQuantity && math.Round(q*1000)/1000 == q
}

// Merge makes one thing of two, and reports whether they are the same at all:
// by name, with quantities that can be added up, and nothing in the one that
// the other contradicts. A quantity that was left out says nothing: milk and
// 2 l of milk are 2 l of milk.
func Merge(a, b Thing) (Thing, bool) {
	if Key(a.Name) != Key(b.Name) || contradicts(trimGTIN(a.Barcode), trimGTIN(b.Barcode)) || contradicts(a.Photo, b.Photo) {
		return a, false
	}
	quantity, unit, ok := add(a, b)
	note := joined(a.Note, b.Note)
	if !ok || len([]rune(note)) > maxNote {
		return a, false
	}
	a.Quantity, a.Unit, a.Note = quantity, unit, note
	a.Category, a.Barcode, a.Photo = or(a.Category, b.Category), or(a.Barcode, b.Barcode), or(a.Photo, b.Photo)
	return a, true
}

const maxNote = 1000 // characters

func contradicts(a, b string) bool { return a != "" && b != "" && a != b }

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func joined(a, b string) string {
	if b == "" || a == b || strings.HasPrefix(a, b+"; ") || strings.HasSuffix(a, "; "+b) || strings.Contains(a, "; "+b+"; ") {
		return a
	}
	if a == "" {
		return b
	}
	return a + "; " + b
}

func add(a, b Thing) (quantity *float64, unit string, ok bool) {
	switch {
	case a.Quantity == nil && b.Quantity == nil:
		return nil, or(a.Unit, b.Unit), !contradicts(Key(a.Unit), Key(b.Unit))
	case a.Quantity == nil:
		return b.Quantity, b.Unit, a.Unit == "" || Key(a.Unit) == Key(b.Unit)
	case b.Quantity == nil:
		return a.Quantity, a.Unit, b.Unit == "" || Key(a.Unit) == Key(b.Unit)
	}
	of, factor := measure(a.Unit)
	ofOther, other := measure(b.Unit)
	if of != ofOther {
		return nil, "", false
	}
	sum := thousandths(*a.Quantity)*factor + thousandths(*b.Quantity)*other
	unit = a.Unit
	if sum%factor != 0 { // 1 kg and 0.5 g: said in grams
		unit, factor = b.Unit, other
	}
	total := float64(sum/factor) / 1000
	return &total, unit, ValidQuantity(total)
}

func thousandths(q float64) int64 { return int64(math.Round(q * 1000)) }

// measure says what a unit measures, and how many of the smallest unit of that
// it holds.
func measure(unit string) (of string, factor int64) {
	switch key := Key(unit); key {
	case "g":
		return "mass", 1
	case "kg":
		return "mass", 1000
	case "ml":
		return "volume", 1
	case "cl":
		return "volume", 10
	case "dl":
		return "volume", 100
	case "l":
		return "volume", 1000
	case "", "pcs", "x":
		return "count", 1
	default:
		return "unit " + key, 1
	}
}

// Currency reports whether s looks like a code of ISO 4217: three capitals.
func Currency(s string) bool {
	return len(s) == 3 && !strings.ContainsFunc(s, func(r rune) bool { return r < 'A' || r > 'Z' })
}

// Barcode reports whether s is a GTIN of 8, 12, 13 or 14 digits (EAN, UPC) whose
// check digit is right.
func Barcode(s string) bool {
	switch len(s) {
	case 8, 12, 13, 14:
	default:
		return false
	}
	sum := 0
	for i := range len(s) {
		digit := int(s[i] - '0')
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		if (len(s)-i)%2 == 0 {
			digit *= 3
		}
		sum += digit
	}
	return sum%10 == 0
}

// trimGTIN makes the lengths of GTIN comparable: a UPC is an EAN that begins
// with 0.
func trimGTIN(s string) string { return strings.TrimLeft(s, "0") }
