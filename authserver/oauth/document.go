package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"larder/internal/web"
)

// document is a public JSON answer that is the same for everybody: its bytes
// and headers are made once, and a request only copies references to them.
type document struct {
	body   []byte
	etag   string
	full   http.Header // of a 200
	cached http.Header // of a 304 (RFC 9110 §15.4.5)
}

// newDocument prepares body to be cached for maxAge by anyone.
func newDocument(body []byte, maxAge time.Duration) *document {
	sum := sha256.Sum256(body)
	d := &document{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	d.cached = http.Header{
		"Cache-Control":               {fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds()))},
		"Etag":                        {d.etag},
		"Access-Control-Allow-Origin": {"*"},
		"X-Content-Type-Options":      {"nosniff"},
	}
	d.full = maps.Clone(d.cached)
	d.full["Content-Type"] = []string{"application/json"}
	d.full["Content-Length"] = []string{strconv.Itoa(len(body))}
	return d
}

// serve answers with the document, or with 304 to who has it already.
func (d *document) serve(w http.ResponseWriter, r *http.Request) error {
	web.Routine(r.Context())
	if match := r.Header.Get("If-None-Match"); match != "" && (match == "*" || strings.Contains(match, d.etag)) {
		maps.Copy(w.Header(), d.cached)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	maps.Copy(w.Header(), d.full)
	_, err := w.Write(d.body)
	return err
}
