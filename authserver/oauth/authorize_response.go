package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"larder/authserver/oidc"
	"larder/internal/fault"
)

// redirectTarget is where the answer to an authorization request goes: a
// redirect URI that the client has registered, never one from a request.
type redirectTarget struct {
	client   *oidc.Client
	uri      string
	state    string   // echoed as it came
	fragment bool     // the answer stands in the fragment, unless it is a form (OpenID Connect Core §3.2.2.5)
	formPost bool     // OAuth 2.0 Form Post Response Mode
	locales  []string // for the page that this shows
	signed   bool     // JARM: the response is one signed parameter
}

// responseModes are the values of response_mode. Those that keep a code out of
// the fragment, and the same signed (JARM §2.3), of which "jwt" is the usual one.
func responseModes() []string {
	return []string{"query", "form_post", "jwt", "query.jwt", "form_post.jwt"}
}

// redirectError is an error that the client may know of (RFC 6749 §4.1.2.1).
type redirectError struct {
	target redirectTarget
	*oauthError
}

func (e *redirectError) Unwrap() error { return e.oauthError }

// writeAuthorizeError answers a failed authorization request: through the
// browser to the client if its redirect URI is proven, else on a page.
func (p *Provider) writeAuthorizeError(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*redirectError](err); ok && e.httpStatus() < http.StatusInternalServerError {
		if err = p.respondTo(w, r, e.target, url.Values{"error": {e.code}, "error_description": {e.description}}); err == nil {
			return
		}
	}
	if e, ok := errors.AsType[*oauthError](err); ok && e.httpStatus() < http.StatusInternalServerError {
		err = fault.Wrap(fault.Invalid, e.description, err)
	}
	p.Pages.Error(w, r, err)
}

// respondTo sends the browser on with an authorization response, in which iss
// tells the client which server it is from (RFC 9207 §2). It fails before
// anything is written.
func (p *Provider) respondTo(w http.ResponseWriter, r *http.Request, target redirectTarget, parameters url.Values) error {
	parameters.Set("iss", p.Config.Issuer)
	if target.state != "" {
		parameters.Set("state", target.state)
	}
	if target.signed {
		response, err := p.signResponse(r.Context(), target.client, parameters)
		if err != nil {
			return err
		}
		parameters = url.Values{"response": {response}}
	}
	h := w.Header()
	noStore(h)
	h.Set("Referrer-Policy", "no-referrer")
	if target.formPost {
		return p.Pages.FormPost(w, r, oidc.FormPost{
			ClientName: target.client.Metadata.ClientName, URI: target.uri, Parameters: parameters, UILocales: target.locales,
		})
	}
	if target.fragment {
		h.Set("Location", target.uri+"#"+parameters.Encode())
	} else {
		h.Set("Location", withQuery(target.uri, parameters))
	}
	// 303 makes a POST into a GET, so that no form goes on to the client (RFC
	// 9700 §2.6).
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// withQuery adds parameters to an URI and leaves its own as they are (RFC 6749
// §3.1.2).
func withQuery(uri string, parameters url.Values) string {
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	return uri + separator + parameters.Encode()
}
