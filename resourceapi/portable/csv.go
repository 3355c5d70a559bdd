package portable

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/policy"
)

// The columns of a spreadsheet. To bring one in, name suffices; the others are
// found by their names, in any order, and columns with other names are ignored.
// A row with a period is no item, but something that recurs.
const (
	colList     = "list"
	colListID   = "list_id"
	colID       = "id"
	colName     = "name"
	colQuantity = "quantity"
	colUnit     = "unit"
	colCategory = "category"
	colNote     = "note"
	colBarcode  = "barcode"
	colPhoto    = "photo"
	colChecked  = "checked"
	colAddedBy  = "added_by"
	colAddedAt  = "added_at"
	colEvery    = "every"
	colPeriod   = "period"
	colNextOn   = "next_on"
)

func columns() []string {
	return []string{
		colList, colListID, colID, colName, colQuantity, colUnit, colCategory, colNote, colBarcode, colPhoto, colChecked, colAddedBy, colAddedAt,
		colEvery, colPeriod, colNextOn,
	}
}

// guarded returns text that no spreadsheet takes for a formula: an apostrophe in
// front of what would be one, and one more in front of what looks so guarded
// already, so that bare finds the text again.
func guarded(s string) string {
	if formula(s) {
		return "'" + s
	}
	return s
}

// bare is what was written, without its guard.
func bare(s string) string {
	if rest, is := strings.CutPrefix(s, "'"); is && formula(rest) {
		return rest
	}
	return s
}

// formula reports whether a spreadsheet may reckon with s, guards aside. The
// wide forms are what some read as the narrow ones.
func formula(s string) bool {
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, "'"))
	return strings.ContainsRune("=+-@\t\r\n|%＝＋－＠", r) && r != utf8.RuneError
}

// record is an item as a row.
func (i *Item) record(list string) []string {
	quantity, addedAt := "", ""
	if i.Quantity != nil {
		quantity = strconv.FormatFloat(*i.Quantity, 'f', -1, 64)
	}
	if i.At != nil {
		addedAt = i.At.UTC().Format("2006-01-02T15:04:05Z")
	}
	return []string{
		guarded(list), i.ListID.String(), i.ID.String(), guarded(i.Name), quantity, guarded(i.Unit), guarded(i.Category), guarded(i.Note),
		guarded(i.Barcode), guarded(i.Photo), strconv.FormatBool(i.Checked), guarded(i.By), addedAt, "", "", "",
	}
}

// record is a recurring item as a row: that of an item, and how often.
func (o *Recurring) record(list string) []string {
	item := Item{ID: o.ID, ListID: o.ListID, Name: o.Name, Quantity: o.Quantity, Unit: o.Unit, Note: o.Note, Category: o.Category, Made: o.Made}
	row := item.record(list)
	next := ""
	if o.NextOn != nil {
		next = *o.NextOn
	}
	return append(row[:len(row)-3], strconv.Itoa(o.Every), o.Period, next)
}

// readCSV makes a document of a spreadsheet. Rows that name no list go on to
// this one; the zero id is none. A row without an id gets one that the same row
// of the same file always gets.
func readCSV(body []byte, onto id.ID) (*Document, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if !utf8.Valid(body) {
		return nil, fault.New(fault.Invalid, "The file must be UTF-8 text.")
	}
	r := csv.NewReader(bytes.NewReader(body))
	r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace = delimiter(body), -1, true
	header, err := r.Read()
	if err != nil {
		return nil, csvFault(err)
	}
	for i := range header {
		header[i] = strings.ToLower(strings.TrimSpace(header[i]))
	}
	if !slices.Contains(header, colName) {
		return nil, fault.New(fault.Invalid, "The first line must name the columns, and one of them must be name.")
	}
	t := &table{header: header, onto: onto, doc: &Document{Format: format, Version: version}, lists: map[id.ID]bool{}, seen: map[[sha256.Size]byte]uint64{}}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			t.doc.faults = t.f.Form
			return t.doc, nil
		}
		if err != nil {
			return nil, csvFault(err)
		}
		line, _ := r.FieldPos(0)
		if len(t.doc.Items) >= maxItems || len(t.doc.Recurring) > maxRecurring || t.f.Len() >= maxFaults {
			t.f.Fault("/lines/"+strconv.Itoa(line), "is one too many: nothing behind it was read")
			return nil, t.f.Err()
		}
		t.add("/lines/"+strconv.Itoa(line), row)
	}
}

// delimiter is a semicolon where the spreadsheet's language has the comma
// before decimals.
func delimiter(body []byte) rune {
	header, _, _ := bufio.NewReader(bytes.NewReader(body)).ReadLine()
	if bytes.ContainsRune(header, ';') && !bytes.ContainsRune(header, ',') {
		return ';'
	}
	return ','
}

func csvFault(err error) error {
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "The file is empty.")
	}
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		return fault.Wrap(fault.Invalid, "The file is not CSV.", err).
			WithFields(fault.Field{Pointer: "/lines/" + strconv.Itoa(bad.Line), Detail: "cannot be read: mind the quotation marks"})
	}
	return fault.Wrap(fault.Invalid, "The file is not CSV.", err)
}

// table is a spreadsheet on its way to a document.
type table struct {
	header []string
	onto   id.ID
	doc    *Document
	lists  map[id.ID]bool
	seen   map[[sha256.Size]byte]uint64 // how often a row was met that is the same
	f      checker
}

func (t *table) add(at string, row []string) {
	cell := func(column string) string {
		if n := slices.Index(t.header, column); n >= 0 && n < len(row) {
			return bare(strings.TrimSpace(row[n]))
		}
		return ""
	}
	if !slices.ContainsFunc(row, func(s string) bool { return strings.TrimSpace(s) != "" }) {
		return
	}
	i := Item{
		at: at, Name: cell(colName), Unit: cell(colUnit), Category: cell(colCategory), Note: cell(colNote),
		Barcode: cell(colBarcode), Photo: cell(colPhoto),
	}
	t.f.at = at
	if v := cell(colQuantity); v != "" {
		q, err := strconv.ParseFloat(strings.Replace(v, ",", ".", 1), 64)
		if err != nil {
			t.f.Fault(at+"/quantity", "must be a number")
		} else {
			i.Quantity = &q
		}
	}
	switch strings.ToLower(cell(colChecked)) {
	case "true", "1", "yes", "x":
		i.Checked = true
	case "", "false", "0", "no":
	default:
		t.f.Fault(at+"/checked", "must be true or false")
	}
	t.identify(&i, row, cell)
	if period := cell(colPeriod); period != "" {
		t.doc.Recurring = append(t.doc.Recurring, t.recurring(&i, period, cell))
		return
	}
	t.doc.Items = append(t.doc.Items, i)
}

// recurring is a row that is no item, but goes on its list again and again.
func (t *table) recurring(i *Item, period string, cell func(string) string) Recurring {
	o := Recurring{
		at: i.at, ID: i.ID, ListID: i.ListID, Name: i.Name, Quantity: i.Quantity, Unit: i.Unit, Note: i.Note, Category: i.Category,
		Every: 1, Period: strings.ToLower(period),
	}
	if v := cell(colEvery); v != "" {
		var err error
		if o.Every, err = strconv.Atoi(v); err != nil {
			t.f.Fault(i.at+"/every", "must be a number")
			o.Every = 1
		}
	}
	if v := cell(colNextOn); v != "" {
		o.NextOn = &v
	}
	return o
}

// identify finds out which item on which list a row is.
func (t *table) identify(i *Item, row []string, cell func(string) string) {
	parse := func(column string, to *id.ID) {
		if v := cell(column); v != "" {
			var err error
			if *to, err = id.Parse(v); err != nil {
				t.f.Fault(i.at+"/"+column, "must be a UUID")
			}
		}
	}
	parse(colListID, &i.ListID)
	name := cell(colList)
	if i.ListID.IsZero() {
		if i.ListID = t.onto; name != "" {
			i.ListID = derived([]byte("list"), []byte(name))
		}
	}
	if i.ListID.IsZero() {
		if cell(colListID) == "" {
			t.f.Fault(i.at+"/list", "must name a list, or the address a list_id for all rows")
		}
		return
	}
	if name != "" && !t.lists[i.ListID] {
		t.lists[i.ListID] = true
		t.doc.Lists = append(t.doc.Lists, List{ID: i.ListID, Kind: policy.Shared, Name: name})
	}
	parse(colID, &i.ID)
	if i.ID.IsZero() {
		same := sha256.Sum256([]byte(strings.Join(row, "\x00")))
		t.seen[same]++
		i.ID = derived(i.ListID[:], same[:], binary.BigEndian.AppendUint64(nil, t.seen[same]))
	}
}

// derived is an id that the parts always give (RFC 9562 §5.8).
func derived(parts ...[]byte) id.ID {
	sum := sha256.Sum256(bytes.Join(parts, []byte{0}))
	made := id.ID(sum[:16])
	made[6], made[8] = made[6]&0x0f|0x80, made[8]&0x3f|0x80
	return made
}
