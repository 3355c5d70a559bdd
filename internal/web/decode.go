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
// nothing else: unknown and repeated members, trailing data and nesting over 32
// levels are refused. How many bytes are read is the Server's limit. A fault
// names the part of the body that it is about.
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
	media, err := MediaType(r)
	if err != nil {
		return nil, err
	}
	if media != "application/json" {
		return nil, fault.New(fault.UnsupportedMedia, "The body must be application/json.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, ReadFault(err)
	}
	return body, nil
}

// MediaType is that of the request's body, "" if it is not told. A body that is
// compressed is refused.
func MediaType(r *http.Request) (string, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return "", fault.New(fault.UnsupportedMedia, "The body must not be compressed.")
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return "", nil //nolint:nilerr // none that could be understood
	}
	return media, nil
}

// ReadJSON is DecodeJSON for a body, or a part of one, that was read already.
func ReadJSON(body []byte, v any) error { return read(body, v, true) }

// ReadOpenJSON is DecodeOpenJSON for a body, or a part of one, that was read
// already.
func ReadOpenJSON(body []byte, v any) error { return read(body, v, false) }

func read(body []byte, v any, closed bool) error {
	if deep(body) {
		return fault.New(fault.Invalid, "The body is nested too deeply.")
	}
	if string(bytes.TrimSpace(body)) == "null" { // which Go would take for nothing said
		return fault.New(fault.Invalid, "The body must not be null.")
	}
	if err := ambiguous(body, closed); err != nil {
		return err
	}
	prepare := func(dec *json.Decoder) {
		if closed {
			dec.DisallowUnknownFields()
		}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	prepare(dec)
	if err := dec.Decode(v); err != nil {
		return misfit(body, v, err, prepare)
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
