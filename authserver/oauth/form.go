package oauth

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"larder/internal/web"
)

const (
	maxFormBytes  = 64 << 10
	maxParameters = 100
)

// form holds the parameters of one protocol request, parsed once. A parameter
// that was sent without a value counts as omitted (RFC 6749 §3.1).
type form struct {
	values url.Values
	// repeated names a parameter that came more than once and may not; only
	// readAuthorizeForm leaves it to its caller.
	repeated string
	// pushed is the request_uri by which an authorization request came (RFC
	// 9126), "" for one that came through the browser.
	pushed string
	// signed says that the client signed the request (RFC 9101).
	signed bool
}

func (f form) get(name string) string   { return f.values.Get(name) }
func (f form) has(name string) bool     { return f.values.Has(name) }
func (f form) all(name string) []string { return f.values[name] }

// readForm reads the body of a protocol request: at most 64 KiB of
// application/x-www-form-urlencoded in which no parameter repeats, save
// resource (RFC 8707 §2). The query is no part of it (RFC 6749 §2.3.1).
func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	f, err := readBody(w, r)
	if err != nil {
		return form{}, err
	}
	if f.repeated != "" {
		return form{}, repeatedParameter(f.repeated)
	}
	return f, nil
}

// readAuthorizeForm reads an authorization request from the query of a GET or
// the body of a POST (OpenID Connect Core §3.1.2.1).
func readAuthorizeForm(w http.ResponseWriter, r *http.Request) (form, error) {
	if r.Method == http.MethodPost {
		return readBody(w, r)
	}
	return parseForm(r.URL.RawQuery)
}

func readBody(w http.ResponseWriter, r *http.Request) (form, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return form{}, newError(invalidRequest, "The body must be application/x-www-form-urlencoded.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFormBytes))
	if err != nil {
		return form{}, web.ReadFault(err)
	}
	return parseForm(string(body))
}

func parseForm(encoded string) (form, error) {
	if strings.Count(encoded, "&") >= maxParameters {
		return form{}, newError(invalidRequest, "There are too many parameters.")
	}
	values, err := url.ParseQuery(encoded)
	if err != nil {
		return form{}, newError(invalidRequest, "The parameters are not well encoded.")
	}
	f := form{values: values}
	delete(values, "") // a value without a name is nobody's
	for name, vs := range values {
		for _, v := range vs {
			if !isText(v) {
				return form{}, newError(invalidRequest, "A parameter is not UTF-8 text.")
			}
		}
		if len(vs) > 1 && name != "resource" && (f.repeated == "" || name < f.repeated) {
			f.repeated = name
		}
		if len(vs) == 1 && vs[0] == "" {
			delete(values, name)
		}
	}
	return f, nil
}

// isText reports whether s can be stored and logged as text.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func repeatedParameter(name string) *oauthError {
	return newError(invalidRequest, "The parameter '"+name+"' is there more than once.")
}
