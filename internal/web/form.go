package web

import (
	"mime"
	"net/http"
	"net/url"

	"larder/internal/fault"
)

// Form reads a posted HTML form of at most limit bytes. Only the body counts,
// never the query, and each field may come once: what a handler checks is then
// what every other reader of the request sees.
func Form(w http.ResponseWriter, r *http.Request, limit int64) (url.Values, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, fault.New(fault.UnsupportedMedia, "The body must be application/x-www-form-urlencoded.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if err := r.ParseForm(); err != nil {
		return nil, ReadFault(err)
	}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return nil, fault.New(fault.Invalid, "A field came more than once.").
				WithFields(fault.Field{Pointer: name, Detail: "must come once"})
		}
	}
	return r.PostForm, nil
}
