package mtls

import (
	"crypto/x509"
	"encoding/asn1"
	"net/netip"
	"slices"
	"strings"
)

// Subject is the one name that a client's certificate must bear: exactly one
// member is set (RFC 8705 §2.1.2).
type Subject struct {
	DN    string // RFC 4514
	DNS   string
	URI   string
	IP    string
	Email string
}

// Check says what is wrong with s, "" if nothing is.
func (s Subject) Check() string {
	set := 0
	for _, name := range []string{s.DN, s.DNS, s.URI, s.IP, s.Email} {
		if name != "" {
			set++
		}
	}
	if set != 1 {
		return "needs exactly one of tls_client_auth_subject_dn, _san_dns, _san_uri, _san_ip and _san_email"
	}
	if s.DN != "" {
		if _, err := parseDN(s.DN); err != nil {
			return "tls_client_auth_subject_dn is not a distinguished name (RFC 4514): " + err.Error()
		}
	}
	if s.IP != "" {
		if _, err := netip.ParseAddr(s.IP); err != nil {
			return "tls_client_auth_san_ip is not an address"
		}
	}
	return ""
}

// IsZero reports whether no name is set.
func (s Subject) IsZero() bool { return s == Subject{} }

// Matches reports whether the certificate bears the name. Values are compared
// as they are written; only the names of hosts know no case.
func (s Subject) Matches(cert *x509.Certificate) bool {
	switch {
	case s.Check() != "":
		return false
	case s.DN != "":
		return sameDN(s.DN, cert.RawSubject)
	case s.DNS != "":
		return slices.ContainsFunc(cert.DNSNames, func(name string) bool { return strings.EqualFold(name, s.DNS) })
	case s.URI != "":
		return slices.ContainsFunc(subjectURIs(cert), func(uri string) bool { return uri == s.URI })
	case s.IP != "":
		want, _ := netip.ParseAddr(s.IP) // Check has read it
		for _, ip := range cert.IPAddresses {
			if got, ok := netip.AddrFromSlice(ip); ok && got.Unmap() == want.Unmap() {
				return true
			}
		}
		return false
	default:
		return slices.ContainsFunc(cert.EmailAddresses, func(email string) bool { return sameEmail(email, s.Email) })
	}
}

// sameEmail compares two addresses, whose local part belongs to the host's own
// rules (RFC 5321 §2.4).
func sameEmail(a, b string) bool {
	i, j := strings.LastIndexByte(a, '@'), strings.LastIndexByte(b, '@')
	return i > 0 && j > 0 && a[:i] == b[:j] && strings.EqualFold(a[i:], b[j:])
}

// subjectURIs returns the URIs as the certificate spells them; parsed and
// written again they might be spelt otherwise.
func subjectURIs(cert *x509.Certificate) []string {
	const uriTag = 6 // RFC 5280 §4.2.1.6
	var uris []string
	for _, extension := range cert.Extensions {
		if !extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(extension.Value, &names); err != nil || len(rest) > 0 {
			return nil
		}
		for _, name := range names {
			if name.Class == asn1.ClassContextSpecific && name.Tag == uriTag {
				uris = append(uris, string(name.Bytes))
			}
		}
	}
	return uris
}
