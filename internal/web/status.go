package web

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"larder/internal/fault"
)

const defaultRetry = 2 * time.Second

// Status maps an error's kind to an HTTP status: the one table for every
// surface that has no vocabulary of its own.
func Status(err error) int {
	switch fault.KindOf(err) {
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.PreconditionFailed:
		return http.StatusPreconditionFailed
	case fault.PreconditionNeeded:
		return http.StatusPreconditionRequired
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.AddressTooLong:
		return http.StatusRequestURITooLong
	case fault.HeadersTooLarge:
		return http.StatusRequestHeaderFieldsTooLarge
	case fault.UnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case fault.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.Unprocessable:
		return http.StatusUnprocessableEntity
	case fault.Internal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

// Shown returns the classified error whose message the caller may read; an
// Internal error has none.
func Shown(err error) (*fault.Error, bool) {
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind == fault.Internal {
		return nil, false
	}
	return e, true
}

// Message is what a page says of an error, "" for one that is not for its reader.
func Message(err error) string {
	if e, ok := Shown(err); ok {
		return e.Message
	}
	return ""
}

// Field returns the name of the form's field that an error is about first, "" if
// it is about none.
func Field(err error) string {
	e, ok := Shown(err)
	if !ok || len(e.Fields) == 0 {
		return ""
	}
	return strings.TrimPrefix(e.Fields[0].Pointer, "/")
}

// SetRetryAfter sets Retry-After, in whole seconds, on the kinds that have it.
func SetRetryAfter(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	if kind != fault.Unavailable && kind != fault.RateLimited {
		return
	}
	after := defaultRetry
	if e, ok := Shown(err); ok && e.RetryAfter > 0 {
		after = e.RetryAfter
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
}
