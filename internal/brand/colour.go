package brand

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// leastContrast is that of text by WCAG 2.2 AA (§1.4.3).
const leastContrast = 4.5

// Colour is an sRGB colour as #rrggbb.
type Colour string

// ParseColour reads #rrggbb.
func ParseColour(s string) (Colour, error) {
	if _, err := hex.DecodeString(strings.TrimPrefix(s, "#")); err != nil || len(s) != len("#rrggbb") || s[0] != '#' {
		return "", fmt.Errorf("must be a colour such as #2b6643")
	}
	return Colour(strings.ToLower(s)), nil
}

// theme is what an accent has to stand out from; larder.css paints it so.
type theme struct {
	grounds []Colour // that have links and headings
	letters Colour   // on buttons of the accent
	over    Colour   // what a button under the pointer is mixed with
}

func light() theme { return theme{[]Colour{"#f8f1e4", "#fffdf8", "#f3ead8"}, "#ffffff", "#000000"} }

func dark() theme { return theme{[]Colour{"#1a1916", "#252320", "#312e29"}, "#10130f", "#ffffff"} }

// CheckLight reports why an accent cannot be read on light pages, with the
// contrast that was measured.
func (c Colour) CheckLight() error { return light().check(c) }

// CheckDark is CheckLight for dark pages.
func (c Colour) CheckDark() error { return dark().check(c) }

func (t theme) check(accent Colour) error {
	for _, ground := range t.grounds {
		if got := Contrast(accent, ground); got < leastContrast {
			return fmt.Errorf("%s on %s has a contrast of %.2f:1, and WCAG 2.2 AA asks for %.1f:1", accent, ground, floor(got), leastContrast)
		}
	}
	if got := Contrast(t.letters, accent); got < leastContrast {
		return fmt.Errorf("%s on a button of %s has a contrast of %.2f:1, and WCAG 2.2 AA asks for %.1f:1", t.letters, accent, floor(got), leastContrast)
	}
	return nil
}

// floor keeps 4.499 from being told as the 4.50 that it is not.
func floor(ratio float64) float64 { return math.Floor(ratio*100) / 100 }

func (t theme) properties(accent Colour) string {
	return fmt.Sprintf("--leaf:%s;--leaf-over:%s;--on-leaf:%s;--link:%s", accent, mix(accent, t.over), t.letters, accent)
}

// Contrast is the ratio of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio").
func Contrast(a, b Colour) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// luminance is the relative one of WCAG 2.2, from 0 to 1.
func luminance(c Colour) float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v := float64(c.channels()[i]) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}

// mix is a colour with a fifth of another; further from the ground, and so never
// harder to read.
func mix(c, with Colour) Colour {
	var mixed [3]byte
	for i := range mixed {
		mixed[i] = byte((4*int(c.channels()[i]) + int(with.channels()[i])) / 5) //nolint:gosec // a mean of two bytes is one
	}
	return Colour("#" + hex.EncodeToString(mixed[:]))
}

func (c Colour) channels() []byte {
	raw, err := hex.DecodeString(strings.TrimPrefix(string(c), "#"))
	if err != nil || len(raw) != 3 {
		return make([]byte, 3)
	}
	return raw
}
