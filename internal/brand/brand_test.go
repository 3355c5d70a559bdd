package brand_test

import (
	"bytes"
	"image"
	"image/png"
	"io/fs"
	"math"
	"strings"
	"testing"

	"larder/internal/brand"
	"larder/templates"
)

// The ratios are those of WebAIM's checker, cut to two places.
func TestAnAccentMustBeReadable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b brand.Colour
		want float64
	}{{"#000000", "#ffffff", 21}, {"#777777", "#ffffff", 4.47}, {"#123456", "#123456", 1}, {"#ff0000", "#ffffff", 3.99}} {
		if got := brand.Contrast(c.a, c.b); math.Abs(got-c.want) > 0.01 {
			t.Errorf("%s on %s: %.3f, want %.2f", c.a, c.b, got, c.want)
		}
	}
	own := brand.Larder()
	if err := own.Light.CheckLight(); err != nil {
		t.Error(err)
	}
	if err := own.Dark.CheckDark(); err != nil {
		t.Error(err)
	}
	if err := brand.Colour("#ffcc00").CheckLight(); err == nil || !strings.Contains(err.Error(), "#ffcc00 on #f8f1e4 has a contrast of 1.3") {
		t.Errorf("yellow on paper: %v; want the ratio that was measured", err)
	}
	if err := brand.Colour("#333366").CheckDark(); err == nil {
		t.Error("dark blue is taken for dark pages")
	}
	for _, bad := range []string{"", "green", "#fff", "2b6643", "#2b664g", "#2b6643;}", "##b6643"} {
		if _, err := brand.ParseColour(bad); err == nil {
			t.Errorf("%q is a colour", bad)
		}
	}
}

// What accents are held against is what the stylesheet paints.
func TestTheStylesheetPaintsWhatIsChecked(t *testing.T) {
	t.Parallel()
	css, err := fs.ReadFile(templates.Static(), "larder.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"--paper: #f8f1e4; --card: #fffdf8", "--chip: #f3ead8", "--paper: #1a1916; --card: #252320", "--chip: #312e29",
		"--leaf: #2b6643", "--leaf: #93cfa6",
	} {
		if !bytes.Contains(css, []byte(part)) {
			t.Errorf("larder.css does not say %q, and package brand does", part)
		}
	}
	if brand.Larder().CSS() != "" {
		t.Error("the usual brand overrides the stylesheet")
	}
	blue := brand.Larder()
	blue.Light = "#1d4ed8"
	for _, want := range []string{"--leaf:#1d4ed8", "--on-leaf:#ffffff", "--link:#1d4ed8", "prefers-color-scheme: dark"} {
		if !strings.Contains(blue.CSS(), want) {
			t.Errorf("%s is missing in %s", want, blue.CSS())
		}
	}
}

func TestALogoIsAPlainPicture(t *testing.T) {
	t.Parallel()
	picture := func(width int) []byte {
		var b bytes.Buffer
		if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, 1))); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	drawing := func(inner string) []byte {
		return []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 1 1">` + inner + `</svg>`)
	}
	for name, body := range map[string][]byte{
		"a picture": picture(64), "a drawing": drawing(`<defs><linearGradient id="g"/></defs><style>.a{fill:url(#g)}</style><path class="a" d="M0 0"/><use href="#g"/>`),
	} {
		if logo, err := brand.ParseLogo(body); err != nil || !strings.HasPrefix(logo.Type, "image/") || !bytes.Equal(logo.Body, body) {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
	for name, body := range map[string][]byte{
		"nothing": nil, "no picture": []byte("GIF89a"), "a page": []byte("<html></html>"), "not whole": []byte(`<svg xmlns="http://www.w3.org/2000/svg"><g>`),
		"a picture too wide": picture(3000), "half a picture": picture(64)[:20], "too many bytes": drawing(strings.Repeat(" ", 200<<10)),
		"a script": drawing(`<script>alert(1)</script>`), "a handler": drawing(`<path onload="alert(1)"/>`), "a link": drawing(`<a href="https://evil.example"/>`),
		"another picture": drawing(`<image href="https://evil.example/a.png"/>`), "a use of elsewhere": drawing(`<use xlink:href="https://evil.example/#a"/>`),
		"a frame": drawing(`<foreignObject/>`), "HTML": drawing(`<h:script xmlns:h="http://www.w3.org/1999/xhtml"/>`), "movement": drawing(`<animate attributeName="href"/>`),
		"a font": drawing(`<style>@import "https://evil.example/a.css";</style>`), "a ground": drawing(`<path style="fill:url( 'https://evil.example')"/>`),
		"an entity":    append([]byte(`<!DOCTYPE svg [<!ENTITY a "b">]>`), drawing("&a;")...),
		"a stylesheet": append([]byte(`<?xml-stylesheet href="https://evil.example/a.css"?>`), drawing("")...),
	} {
		if _, err := brand.ParseLogo(body); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for name, good := range map[string]bool{"Vorrat & Co": true, "Épicerie <3": true, "": false, "a:b": false, "{{.}}": false, "two\nlines": false, " x": false, strings.Repeat("x", 41): false} {
		if err := brand.CheckName(name); (err == nil) != good {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}
