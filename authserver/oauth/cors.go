package oauth

import (
	"net/http"

	"larder/internal/dpop"
	"larder/internal/web"
)

// allowAnyOrigin lets scripts of any origin read the answers of an endpoint
// that knows its callers by a token or a secret in the request and never by a
// cookie (Fetch standard §3.2; credentials mode stays off).
func allowAnyOrigin(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, "+dpop.NonceHeader+", "+web.RequestIDHeader)
		return h(w, r)
	}
}

// preflight answers the question that a browser asks before a request with an
// Authorization header.
func preflight(methods string) web.Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
