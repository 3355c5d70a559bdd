package item

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// Items are written by hand: a page of fifty took encoding/json longer than
// the database took to read it. A test holds the outcome against encoding/json.

const sizeOfItem = 512 // bytes, a little above the usual

// write answers with one item.
func write(w http.ResponseWriter, status int, i *Item) error {
	return send(w, status, appendItem(make([]byte, 0, sizeOfItem), i))
}

// writePage answers with a page of items and the address of the next one, ""
// for none.
func writePage(w http.ResponseWriter, items []Item, next string) error {
	b := make([]byte, 0, 64+len(next)+len(items)*sizeOfItem)
	b = append(b, `{"items":[`...)
	for n := range items {
		if n > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, &items[n])
	}
	b = append(b, ']')
	if next != "" {
		b = appendText(append(b, `,"next":`...), next)
	}
	return send(w, http.StatusOK, append(b, '}'))
}

func send(w http.ResponseWriter, status int, body []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err := w.Write(body) //nolint:gosec // JSON under nosniff, with every string escaped
	return err
}

func appendItem(b []byte, i *Item) []byte {
	b = append(append(b, `{"id":"`...), i.ID.String()...)
	b = append(append(b, `","list_id":"`...), i.ListID.String()...)
	b = appendText(append(b, `","name":`...), i.Name)
	b = append(b, `,"quantity":`...)
	if i.Quantity == nil {
		b = append(b, "null"...)
	} else {
		b = appendNumber(b, *i.Quantity)
	}
	b = appendText(append(b, `,"unit":`...), i.Unit)
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
	b = appendText(append(b, `,"added_by":`...), i.AddedBy)
	b = appendTime(append(b, `,"created_at":`...), i.CreatedAt)
	b = appendTime(append(b, `,"updated_at":`...), i.UpdatedAt)
	if i.Permissions == nil {
		return append(b, '}')
	}
	b = append(b, `,"permissions":[`...)
	for n, action := range i.Permissions {
		if n > 0 {
			b = append(b, ',')
		}
		b = appendText(b, action)
	}
	return append(b, ']', '}')
}

func appendTime(b []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

// appendNumber writes a number as ECMAScript does; there is no JSON for
// infinities, and none in the database.
func appendNumber(b []byte, f float64) []byte {
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
