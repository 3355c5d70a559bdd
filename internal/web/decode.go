package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"larder/internal/fault"
)

const maxDepth = 32 // nesting of arrays and objects in a request body

// DecodeJSON reads the request's body, one JSON value of the shape of v and
// nothing else: unknown members, trailing data and nesting over 32 levels are
// refused. How many bytes are read is the Server's limit.
func DecodeJSON(r *http.Request, v any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	return ReadJSON(body, v)
}

// DecodeOpenJSON is DecodeJSON for the formats of standards that others extend:
// members that are not known are ignored.
func DecodeOpenJSON(r *http.Request, v any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	return ReadOpenJSON(body, v)
}

func readBody(r *http.Request) ([]byte, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return nil, fault.New(fault.UnsupportedMedia, "The body must be application/json.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, ReadFault(err)
	}
	return body, nil
}

// ReadJSON is DecodeJSON for a body, or a part of one, that was read already.
func ReadJSON(body []byte, v any) error { return read(body, v, (*json.Decoder).DisallowUnknownFields) }

// ReadOpenJSON is DecodeOpenJSON for a body, or a part of one, that was read
// already.
func ReadOpenJSON(body []byte, v any) error { return read(body, v, func(*json.Decoder) {}) }

func read(body []byte, v any, prepare func(*json.Decoder)) error {
	if deep(body) {
		return fault.New(fault.Invalid, "The body is nested too deeply.")
	}
	if string(bytes.TrimSpace(body)) == "null" { // which Go would take for nothing said
		return fault.New(fault.Invalid, "The body must not be null.")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	prepare(dec)
	if err := dec.Decode(v); err != nil {
		return decodeFault(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "The body must be one JSON value.")
	}
	return nil
}

// ReadFault classifies an error of reading a request's body.
func ReadFault(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault.Wrap(fault.TooLarge, "The body is too large.", err)
	}
	return fault.Wrap(fault.Invalid, "The body could not be read.", err)
}

func decodeFault(err error) error {
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		pointer := "/" + strings.ReplaceAll(wrongType.Field, ".", "/")
		return fault.Wrap(fault.Invalid, "A member has the wrong type.", err).
			WithFields(fault.Field{Pointer: pointer, Detail: "must be " + wrongType.Type.String()})
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fault.Wrap(fault.Invalid, "The body has a member that is not known here.", err).
			WithFields(fault.Field{Pointer: "/" + strings.Trim(name, `"`), Detail: "unknown member"})
	}
	return fault.Wrap(fault.Invalid, "The body is not valid JSON of the expected shape.", err)
}

// deep reports whether b nests beyond maxDepth, before anything recursive
// looks at it.
func deep(b []byte) bool {
	depth, inString, escaped := 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
