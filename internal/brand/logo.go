package brand

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

const (
	maxLogo   = 128 << 10 // bytes
	maxPixels = 2048      // a side of a PNG
)

// Logo is a picture as it is served.
type Logo struct {
	Type string // media type: image/svg+xml or image/png
	Body []byte
}

// Ext is the ending of a file of the logo's type, with its dot.
func (l *Logo) Ext() string {
	if l.Type == "image/png" {
		return ".png"
	}
	return ".svg"
}

// ReadLogo reads an SVG drawing or a PNG picture of up to 128 KiB from a file.
func ReadLogo(path string) (*Logo, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	body, err := io.ReadAll(io.LimitReader(f, maxLogo+1))
	if err != nil {
		return nil, err
	}
	return ParseLogo(body)
}

// ParseLogo checks a picture: a PNG that can be read, or an SVG of shapes and
// text alone.
func ParseLogo(body []byte) (*Logo, error) {
	if len(body) > maxLogo {
		return nil, fmt.Errorf("has more than %d KiB", maxLogo>>10)
	}
	if bytes.HasPrefix(body, []byte("\x89PNG\r\n\x1a\n")) {
		size, err := png.DecodeConfig(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("is no PNG picture: %w", err)
		}
		if size.Width > maxPixels || size.Height > maxPixels {
			return nil, fmt.Errorf("has %d by %d pixels, and %d a side is the most", size.Width, size.Height, maxPixels)
		}
		return &Logo{Type: "image/png", Body: body}, nil
	}
	if err := checkSVG(body); err != nil {
		return nil, fmt.Errorf("is neither a PNG picture nor a plain SVG drawing: %w", err)
	}
	return &Logo{Type: "image/svg+xml", Body: body}, nil
}

// drawn are the elements that a logo may have: none of them runs, moves or loads
// anything.
func drawn() []string {
	return strings.Fields(`svg g defs symbol use title desc metadata style path rect circle ellipse line polyline polygon text tspan
		linearGradient radialGradient stop clipPath mask pattern filter feBlend feColorMatrix feComposite feDropShadow feFlood feGaussianBlur feMerge feMergeNode feOffset`)
}

// loading finds what fetches in a style or an attribute: url() of anything but a
// part of the drawing itself, and imports.
func loading() *regexp.Regexp { return regexp.MustCompile(`(?i)@import|\\|url\(\s*["']?\s*[^#"'\s]`) }

func checkSVG(body []byte) error {
	decoder, loads, depth := xml.NewDecoder(bytes.NewReader(body)), loading(), 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			if depth == 0 {
				return errors.New("it is empty")
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.Directive:
			return errors.New("it has a document type or an entity")
		case xml.ProcInst:
			if t.Target != "xml" {
				return fmt.Errorf("it has a processing instruction, %s", t.Target)
			}
		case xml.CharData:
			if loads.Match(t) {
				return errors.New("its style loads something")
			}
		case xml.StartElement:
			depth++
			if depth == 1 && (t.Name.Local != "svg" || t.Name.Space != "http://www.w3.org/2000/svg") {
				return errors.New("it does not begin with <svg>")
			}
			if err := checkElement(t, loads); err != nil {
				return err
			}
		}
	}
}

func checkElement(e xml.StartElement, loads *regexp.Regexp) error {
	if e.Name.Space == "http://www.w3.org/2000/svg" && !slices.Contains(drawn(), e.Name.Local) || e.Name.Space == "http://www.w3.org/1999/xhtml" {
		return fmt.Errorf("it has an element <%s>", e.Name.Local)
	}
	for _, a := range e.Attr {
		name := strings.ToLower(a.Name.Local)
		if strings.HasPrefix(name, "on") || name == "href" && !strings.HasPrefix(a.Value, "#") || name != "xmlns" && loads.MatchString(a.Value) {
			return fmt.Errorf("its <%s> has an attribute %s that runs or loads something", e.Name.Local, a.Name.Local)
		}
	}
	return nil
}
