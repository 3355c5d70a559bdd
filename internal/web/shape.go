package web

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
)

// maxLocated is the size of the largest body, in bytes, in which the place of a
// fault is looked for: each of its parts is decoded by itself.
const maxLocated = 64 << 10

// misfit classifies an error of decoding body into a value of the type of v, and
// says which part of the body it is about.
func misfit(body []byte, v any, err error, prepare func(*json.Decoder)) error {
	if _, broken := errors.AsType[*json.SyntaxError](err); broken || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Wrap(fault.Invalid, "The body is not valid JSON.", err)
	}
	told := fault.Wrap(fault.Invalid, "The body is not of the expected shape.", err)
	if len(body) > maxLocated {
		return told
	}
	pointer, cause := locate(body, err, func(part []byte) error {
		dec := json.NewDecoder(bytes.NewReader(part))
		prepare(dec)
		return dec.Decode(reflect.New(reflect.TypeOf(v).Elem()).Interface())
	})
	return told.WithFields(fault.Field{Pointer: pointer, Detail: wanted(cause)})
}

// locate returns the pointer to the innermost part of body that decode takes
// offence at, and what it says. It tries each part without its neighbours, unless
// decode does not want an object or array there at all: encoding/json knows only
// some of the places.
func locate(body []byte, err error, decode func([]byte) error) (pointer string, cause error) {
	cause = err
	before, part, after := "", body, ""
	for {
		descended := false
		pieces := parts(part)
		if len(pieces) > 0 {
			empty := pieces[0].before[:1] + pieces[0].after
			if failed := decode([]byte(before + empty + after)); failed != nil {
				return pointer, failed
			}
		}
		for _, p := range pieces {
			whole := before + p.before + string(p.value) + p.after + after
			if failed := decode([]byte(whole)); failed != nil {
				pointer, cause = pointer+"/"+p.pointer, failed
				before, part, after = before+p.before, p.value, p.after+after
				descended = true
				break
			}
		}
		if !descended {
			return pointer, cause
		}
	}
}

// piece is one member or element of a JSON value, and what makes it a value of
// the same kind again.
type piece struct {
	pointer, before, after string
	value                  json.RawMessage
}

func parts(value []byte) []piece {
	var pieces []piece
	dec := json.NewDecoder(bytes.NewReader(value))
	opening, err := dec.Token()
	if err != nil || opening != json.Delim('{') && opening != json.Delim('[') {
		return nil
	}
	for dec.More() {
		p := piece{pointer: strconv.Itoa(len(pieces)), before: "[", after: "]"}
		if opening == json.Delim('{') {
			name, err := dec.Token()
			if err != nil {
				return nil
			}
			text, _ := name.(string)
			quoted, err := json.Marshal(text)
			if err != nil {
				return nil
			}
			p.pointer, p.before, p.after = escaped(text), "{"+string(quoted)+":", "}"
		}
		if dec.Decode(&p.value) != nil {
			return nil
		}
		pieces = append(pieces, p)
	}
	return pieces
}

// escaped is a member's name as it stands in a JSON pointer (RFC 6901 §3).
func escaped(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// wanted says what should be in the place of what was refused.
func wanted(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok { // of a type that has words of its own
		return e.Message
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "must be " + inWords(wrong.Type)
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return "must be a time such as 2026-11-30T18:00:00Z"
	}
	switch {
	case errors.Is(err, id.ErrMalformed):
		return "must be a UUID"
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return "unknown member"
	}
	return "is not of the form that is expected here"
}

// inWords names a type as JSON has it.
func inWords(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a string"
	}
	switch kind := t.Kind(); {
	case kind == reflect.String:
		return "a string"
	case kind == reflect.Bool:
		return "true or false"
	case kind >= reflect.Int && kind <= reflect.Uint64:
		return "a whole number"
	case kind == reflect.Float32 || kind == reflect.Float64:
		return "a number"
	case kind == reflect.Slice || kind == reflect.Array:
		return "an array"
	}
	return "an object"
}

// ambiguous returns an error for a member that two readers of JSON could take
// for different things: one whose object has it twice (RFC 8259 §4), and, where
// members that are not known are refused, one that encoding/json takes for
// another because it does not tell upper from lower case.
func ambiguous(body []byte, closed bool) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if pointer, detail, err := doubtful(dec, closed); err == nil && detail != "" {
		return fault.New(fault.Invalid, "The body is not of the expected shape.").WithFields(fault.Field{Pointer: pointer, Detail: detail})
	}
	return nil // what is no JSON is left to the decoder
}

// resembles reports whether encoding/json could take a name for one of ours,
// which are of small letters, digits and underscores. A JWK has x5t#S256 too.
func resembles(name string) bool {
	ours := strings.ToLower(strings.ToUpper(name))
	return ours != name && strings.Trim(ours, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// doubtful reads the next value. After an error there is nothing more to read,
// though More says so.
func doubtful(dec *json.Decoder, closed bool) (pointer, detail string, err error) {
	opening, err := dec.Token()
	if err != nil {
		return "", "", err
	}
	object := opening == json.Delim('{')
	if !object && opening != json.Delim('[') {
		return "", "", nil
	}
	var seen map[string]bool
	for i := 0; dec.More(); i++ {
		place := strconv.Itoa(i)
		if object {
			token, err := dec.Token()
			if err != nil {
				return "", "", err
			}
			name, _ := token.(string)
			place = escaped(name)
			switch {
			case seen[name]:
				return "/" + place, "stands there twice", nil
			case closed && resembles(name):
				return "/" + place, "unknown member", nil
			case seen == nil:
				seen = make(map[string]bool)
			}
			seen[name] = true
		}
		inner, detail, err := doubtful(dec, closed)
		if err != nil || detail != "" {
			return "/" + place + inner, detail, err
		}
	}
	_, err = dec.Token() // the closing one
	return "", "", err
}
