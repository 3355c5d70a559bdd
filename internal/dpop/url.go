package dpop

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// sameURL reports whether htu, as the client wrote it, is target: without query
// and fragment, and normalised by syntax and scheme (RFC 9449 §4.3; RFC 3986
// §6.2.2, §6.2.3).
func sameURL(htu, target string) bool {
	if htu == target {
		return true
	}
	a, err := canonical(htu)
	if err != nil {
		return false
	}
	b, err := canonical(target)
	return err == nil && a == b
}

// canonical returns the normal form of an http or https URL, without query and
// fragment.
func canonical(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	var defaultPort string
	switch u.Scheme { // Parse has lowered it
	case "http":
		defaultPort = "80"
	case "https":
		defaultPort = "443"
	}
	host := strings.ToLower(u.Hostname())
	// A zone (RFC 6874) means something on the client's machine only.
	if defaultPort == "" || host == "" || strings.Contains(host, "%") || u.User != nil {
		return "", errors.New("dpop: not the URL of a request")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != defaultPort {
		host += ":" + port
	}
	path, err := canonicalPath(u.EscapedPath())
	if err != nil {
		return "", err
	}
	return u.Scheme + "://" + host + path, nil
}

// canonicalPath normalises escapes, then removes dot segments (RFC 3986
// §6.2.2.2, §6.2.2.3): in this order, since an escaped dot is a dot.
func canonicalPath(path string) (string, error) {
	path = canonicalEscapes(path)
	if strings.Contains(path, "/.") {
		u, err := url.Parse("http://host" + path)
		if err != nil {
			return "", err
		}
		path = u.ResolveReference(u).EscapedPath()
	}
	if path == "" {
		path = "/"
	}
	return path, nil
}

// canonicalEscapes decodes what needs no escape and writes the others in upper
// case.
func canonicalEscapes(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		octet, err := strconv.ParseUint(path[i+1:i+3], 16, 8)
		switch {
		case err == nil && unreserved(byte(octet)):
			b.WriteByte(byte(octet))
		default:
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

// unreserved are the characters of RFC 3986 §2.3.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
