package oauth

import (
	"slices"
	"strconv"
	"strings"
)

// matchRedirectURI reports whether raw is one of the registered redirect URIs:
// equal to it byte for byte (RFC 9700 §2.1), save that the port of a loopback
// IP is free (RFC 8252 §7.3). fosite compares parsed URLs, in which case, user
// info and escapes differ unseen.
func matchRedirectURI(raw string, registered []string) bool {
	if raw == "" || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == '#' || r == '\\' || r > '~' }) {
		return false
	}
	if slices.Contains(registered, raw) {
		return true
	}
	host, rest, ok := cutLoopback(raw)
	return ok && slices.ContainsFunc(registered, func(uri string) bool {
		h, r, ok := cutLoopback(uri)
		return ok && h == host && r == rest
	})
}

// cutLoopback splits an http URI on a loopback IP around its port.
func cutLoopback(uri string) (host, rest string, ok bool) {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]"} {
		after, found := strings.CutPrefix(uri, host)
		if !found {
			continue
		}
		if port, found := strings.CutPrefix(after, ":"); found {
			end := strings.IndexAny(port, "/?")
			if end < 0 {
				end = len(port)
			}
			if !isPort(port[:end]) {
				return "", "", false
			}
			after = port[end:]
		}
		return host, after, after == "" || after[0] == '/' || after[0] == '?'
	}
	return "", "", false
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s == strconv.FormatUint(n, 10)
}
