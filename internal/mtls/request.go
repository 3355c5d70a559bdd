package mtls

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// The header fields of RFC 9440 §2.
const (
	certHeader  = "Client-Cert"
	chainHeader = "Client-Cert-Chain"
)

// maxChain is how many certificates of a proxy's chain are looked at.
const maxChain = 8

// chainKey is the context key of From.
type chainKey struct{}

// From returns the certificate that the client of a request has shown, first,
// and the intermediates that came with it; nil without one. That the client
// holds the key is certain; nothing else is.
func From(ctx context.Context) []*x509.Certificate {
	chain, _ := ctx.Value(chainKey{}).([]*x509.Certificate)
	return chain
}

// With returns ctx with a client's chain. Handler does it for requests.
func With(ctx context.Context, chain []*x509.Certificate) context.Context {
	return context.WithValue(ctx, chainKey{}, chain)
}

// Handler lets next know the certificates of clients. A request from one of the
// proxies is taken to come from whom its headers name, and the proxy's own
// certificate means nothing; from any other peer the headers mean nothing and
// go no further (RFC 9440 §4). It belongs before whatever changes the peer's
// address.
func Handler(next http.Handler, proxies []netip.Prefix) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chain := shown(r, proxies)
		r.Header.Del(certHeader)
		r.Header.Del(chainHeader)
		if len(chain) > 0 {
			r = r.WithContext(With(r.Context(), chain))
		}
		next.ServeHTTP(w, r)
	})
}

func shown(r *http.Request, proxies []netip.Prefix) []*x509.Certificate {
	if len(proxies) > 0 {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) }) {
			return forwarded(r.Header)
		}
	}
	if r.TLS == nil {
		return nil
	}
	return r.TLS.PeerCertificates
}

// forwarded reads what a proxy says. What does not parse is no certificate.
func forwarded(h http.Header) []*x509.Certificate {
	values := h.Values(certHeader)
	if len(values) != 1 {
		return nil
	}
	own, ok := readCertificate(values[0])
	if !ok {
		return nil
	}
	chain := []*x509.Certificate{own}
	if rest := strings.Join(h.Values(chainHeader), ","); rest != "" {
		for item := range strings.SplitSeq(rest, ",") {
			cert, ok := readCertificate(item)
			if !ok || len(chain) > maxChain {
				return nil
			}
			chain = append(chain, cert)
		}
	}
	return chain
}

// readCertificate reads a byte sequence of structured fields (RFC 9651 §3.3.5):
// the DER in base64 between colons.
func readCertificate(item string) (*x509.Certificate, bool) {
	item = strings.TrimSpace(item)
	if len(item) < 2 || item[0] != ':' || item[len(item)-1] != ':' {
		return nil, false
	}
	der, err := base64.StdEncoding.DecodeString(item[1 : len(item)-1])
	if err != nil {
		return nil, false
	}
	cert, err := x509.ParseCertificate(der)
	return cert, err == nil
}

// Thumbprint is the value of x5t#S256 (RFC 8705 §3.1) of the first certificate
// of a chain, "" for an empty one.
func Thumbprint(chain []*x509.Certificate) string {
	if len(chain) == 0 {
		return ""
	}
	sum := sha256.Sum256(chain[0].Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
