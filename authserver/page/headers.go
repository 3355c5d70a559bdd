package page

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// policy is where a page leads, as sources of its Content-Security-Policy.
type policy struct {
	forms  string // "" for anywhere
	frames string // "" for none
	client bool   // to one
}

// setHeaders sets what every page carries.
//
// Referrer-Policy is same-origin and not no-referrer: under no-referrer
// browsers send "Origin: null" with our own forms (Fetch §3.2), and a browser
// without Sec-Fetch-Site could then not be told from a forged request. To other
// origins neither sends anything.
//
// Cross-Origin-Opener-Policy would cut a window off from the page that opened it,
// and for good: clients that sign people in by a popup would take it for closed.
// People may come by any page on their way to a client, when they register or
// after an error too; only their account is where that way does not lead, but for
// setting up what the client demands.
func (p *Renderer) setHeaders(h http.Header, path string, f *frame, leads policy) {
	forms, frames, scripts := "", "", ""
	if leads.forms != "" {
		forms = "form-action " + leads.forms + "; "
	}
	if leads.frames != "" {
		frames = "frame-src " + leads.frames + "; "
	}
	if len(f.Scripts) > 0 {
		scripts = "script-src 'nonce-" + f.Nonce + "'; connect-src 'self'; "
	}
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+f.Nonce+"'; "+scripts+"img-src 'self' data: https:; "+
		forms+frames+"frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	if strings.HasPrefix(path, "/account") && !leads.client {
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	} else {
		h.Set("Cross-Origin-Opener-Policy", "unsafe-none")
	}
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Cookie")
	h.Add("Vary", "Accept-Language")
	p.setHSTS(h)
}

func (p *Renderer) setHSTS(h http.Header) {
	if p.https {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// formTargets is the form-action of a page whose answer ends at redirectURI.
//
// Chromium holds the whole redirect chain of a form against form-action, and
// the chain goes on behind the client's callback to pages that only the client
// knows. So any https origin is allowed, and of the rest loopback and the very
// scheme or origin of this redirect URI.
func formTargets(redirectURI string) string {
	const usual = "'self' https: http://localhost:* http://127.0.0.1:*"
	u, err := url.Parse(redirectURI)
	switch {
	case err != nil || u.Scheme == "" || u.Scheme == "https" || !plainScheme(u.Scheme):
		return usual
	case u.Scheme != "http":
		return usual + " " + u.Scheme + ":" // private-use scheme, RFC 8252 §7.1
	case strings.HasPrefix(u.Host, "["):
		return usual + " http:" // a host-source cannot name an IPv6 address
	case plainHost(u.Host):
		return usual + " http://" + u.Host
	}
	return usual
}

// origins are the origins of addresses, as sources, each once.
func origins(addresses []string) string {
	var all []string
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && plainHost(u.Host) && !slices.Contains(all, u.Scheme+"://"+u.Host) {
			all = append(all, u.Scheme+"://"+u.Host)
		}
	}
	return strings.Join(all, " ")
}

// Only these characters may reach the header: nothing in a redirect URI can
// end the directive.
func plainScheme(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789+.-") == ""
}

func plainHost(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-:") == ""
}
