package web

import (
	"net/http"
	"net/url"

	"larder/internal/fault"
	"larder/internal/id"
)

// ID returns a path variable that is an identifier. One that is malformed
// or the nil UUID names nothing: fault.NotFound.
func ID(r *http.Request, name string) (id.ID, error) {
	v, err := id.Parse(Var(r, name))
	if err != nil || v.IsZero() {
		return id.ID{}, fault.Wrap(fault.NotFound, "There is no such thing here.", err)
	}
	return v, nil
}

// Name returns a path variable that is text of at most 255 bytes, unescaped.
func Name(r *http.Request, name string) (string, error) {
	v, err := url.PathUnescape(Var(r, name))
	if err != nil || v == "" || len(v) > 255 {
		return "", fault.Wrap(fault.NotFound, "There is no such thing here.", err)
	}
	return v, nil
}
