package valid

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"larder/internal/fault"
)

// Form gathers the faults of one body; its zero value has none.
type Form struct {
	faults []fault.Field
}

// Fault adds a fault.
func (f *Form) Fault(pointer, detail string) {
	f.faults = append(f.faults, fault.Field{Pointer: pointer, Detail: detail})
}

// Len is the number of faults so far.
func (f *Form) Len() int { return len(f.faults) }

// Err returns fault.Invalid with every fault, or nil.
func (f *Form) Err() error {
	if len(f.faults) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "The body has values that are not allowed.").WithFields(f.faults...)
}

// Parameter is the error of a query whose parameter is wrong.
func Parameter(name, detail string) error {
	return fault.New(fault.Invalid, "A parameter is not allowed.").WithFields(fault.Field{Pointer: name, Detail: detail})
}

// Text returns s without surrounding space. It must be well-formed text of
// least to most characters, none of them a control character but newline and
// tab.
func (f *Form) Text(pointer, s string, least, most int) string {
	s = strings.TrimSpace(s)
	n := utf8.RuneCountInString(s)
	switch {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, forbidden):
		f.Fault(pointer, "has characters that are not allowed")
	case n < least && n == 0:
		f.Fault(pointer, "is required")
	case n < least || n > most:
		f.Fault(pointer, "must have "+strconv.Itoa(least)+" to "+strconv.Itoa(most)+" characters")
	}
	return s
}

// OneOf reports a fault unless s is among the words.
func (f *Form) OneOf(pointer, s string, words ...string) {
	if !slices.Contains(words, s) {
		f.Fault(pointer, "must be one of "+strings.Join(words, ", "))
	}
}

func forbidden(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || r == utf8.RuneError
}

// Field is a member of a body that may be absent, null, or have a value.
type Field[T any] struct {
	Present bool
	Value   *T // nil when null
}

// UnmarshalJSON notes that the member is there.
func (p *Field[T]) UnmarshalJSON(b []byte) error {
	p.Present = true
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(&p.Value)
}

// Or returns the value, old if the member is absent, and a fault if it is null.
func (p Field[T]) Or(f *Form, pointer string, old T) T {
	switch {
	case !p.Present:
		return old
	case p.Value == nil:
		f.Fault(pointer, "must not be null")
		return old
	}
	return *p.Value
}

// OrNull returns the value or nil for null, and old if the member is absent.
func (p Field[T]) OrNull(old *T) *T {
	if !p.Present {
		return old
	}
	return p.Value
}
