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

// OwnForm is Form for what only pages of ours post: FromOwnPage has to hold too.
func OwnForm(w http.ResponseWriter, r *http.Request, limit int64) (url.Values, error) {
	if err := FromOwnPage(r); err != nil {
		return nil, err
	}
	return Form(w, r, limit)
}

// FromOwnPage is fault.Forbidden for what a page of another site had the browser
// send (http.CrossOriginProtection).
func FromOwnPage(r *http.Request) error {
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return fault.Wrap(fault.Forbidden, "This form was not sent from our own page.", err)
	}
	return nil
}

// NoButton refuses a form whose action is none of the page's.
func NoButton() error {
	return fault.New(fault.Invalid, "The form came without the button that was pressed.")
}

// SeeOther has the browser get another page; no cache keeps the answer. It
// returns nil, so that a handler may end with it. path never comes from a request.
func SeeOther(w http.ResponseWriter, r *http.Request, path string) error {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}
