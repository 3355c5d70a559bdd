package item

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"larder/internal/id"
	"larder/internal/web"
)

// Items are written by hand: a page of fifty took encoding/json longer than
// the database took to read it. A test holds the outcome against encoding/json.

const (
	sizeOfItem = 512      // bytes, a little above the usual
	maxKept    = 64 << 10 // bytes of a buffer that is used again
)

// write answers with one item.
func write(w http.ResponseWriter, status int, i *Item) error {
	var e encoder
	return web.Encoded(w, status, e.append(make([]byte, 0, sizeOfItem), i))
}

// writePage answers with a page of items and the address of the next one, ""
// for none.
func (h *Items) writePage(w http.ResponseWriter, items []Item, next string) error {
	var e encoder
	page, ok := h.pages.Get().(*[]byte)
	if !ok {
		page = new([]byte)
	}
	b := slices.Grow((*page)[:0], 64+len(next)+len(items)*sizeOfItem)
	b = append(b, `{"items":[`...)
	for n := range items {
		if n > 0 {
			b = append(b, ',')
		}
		b = e.append(b, &items[n])
	}
	b = append(b, ']')
	if next != "" {
		b = appendText(append(b, `,"next":`...), next)
	}
	b = append(b, '}')
	err := web.Encoded(w, http.StatusOK, b)
	if cap(b) <= maxKept {
		*page = b
		h.pages.Put(page)
	}
	return err
}

// encoder writes items into one buffer. What neighbours have alike, as their
// list, is written once and copied.
type encoder struct {
	list        last[id.ID]
	unit, adder last[string]
	moment      last[time.Time]
	permissions last[*string] // of a page, all items share the one slice
}

func (e *encoder) append(b []byte, i *Item) []byte {
	b = appendID(append(b, `{"id":`...), i.ID)
	b = e.list.append(append(b, `,"list_id":`...), i.ListID, appendID)
	b = appendText(append(b, `,"name":`...), i.Name)
	b = append(b, `,"quantity":`...)
	if i.Quantity == nil {
		b = append(b, "null"...)
	} else {
		b = appendNumber(b, *i.Quantity)
	}
	b = e.unit.append(append(b, `,"unit":`...), i.Unit, appendText)
	b = appendText(append(b, `,"note":`...), i.Note)
	b = appendText(append(b, `,"category":`...), i.Category)
	b = appendText(append(b, `,"barcode":`...), i.Barcode)
	b = appendText(append(b, `,"photo":`...), i.Photo)
	b = strconv.AppendBool(append(b, `,"checked":`...), i.Checked)
	b = append(b, `,"checked_at":`...)
	if i.CheckedAt == nil {
		b = append(b, "null"...)
	} else {
		b = appendTime(b, *i.CheckedAt)
	}
	b = append(b, `,"checked_by":`...)
	if i.CheckedBy == nil {
		b = append(b, "null"...)
	} else {
		b = appendText(b, *i.CheckedBy)
	}
	b = appendNumber(append(b, `,"position":`...), i.Position)
	b = strconv.AppendInt(append(b, `,"version":`...), i.Version, 10)
	b = e.adder.append(append(b, `,"added_by":`...), i.AddedBy, appendText)
	b = e.moment.append(append(b, `,"created_at":`...), i.CreatedAt, appendTime)
	b = e.moment.append(append(b, `,"updated_at":`...), i.UpdatedAt, appendTime)
	switch {
	case i.Permissions == nil:
		return append(b, '}')
	case len(i.Permissions) == 0:
		return append(b, `,"permissions":[]}`...)
	}
	b = append(b, `,"permissions":`...)
	b = e.permissions.append(b, &i.Permissions[0], func(b []byte, _ *string) []byte { return appendTexts(b, i.Permissions) })
	return append(b, '}')
}

// last is what was written of a value last, and where in the buffer.
type last[T comparable] struct {
	value    T
	from, to int
}

// append writes the value, or copies it if it is the last one again.
func (l *last[T]) append(b []byte, value T, write func([]byte, T) []byte) []byte {
	if l.to > 0 && l.value == value {
		return append(b, b[l.from:l.to]...)
	}
	l.value, l.from = value, len(b)
	b = write(b, value)
	l.to = len(b)
	return b
}

func appendID(b []byte, i id.ID) []byte {
	b, _ = i.AppendText(append(b, '"')) // it does not fail
	return append(b, '"')
}

func appendTime(b []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

func appendTexts(b []byte, texts []string) []byte {
	b = append(b, '[')
	for n, s := range texts {
		if n > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

// appendNumber writes a number as ECMAScript does; there is no JSON for
// infinities, and none in the database.
func appendNumber(b []byte, f float64) []byte {
	if whole := int64(f); float64(whole) == f && whole < 1<<53 && whole > -1<<53 {
		return strconv.AppendInt(b, whole, 10)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}

// appendText writes plain text as it is and leaves anything that needs
// escaping to encoding/json.
func appendText(b []byte, s string) []byte {
	for n := range len(s) {
		if c := s[n]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // a string always encodes
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
