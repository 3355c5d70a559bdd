package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// BehindProxies gives h the address of the client itself when a trusted proxy
// passes it on: the last address of X-Forwarded-For that is not a trusted
// proxy's own. From anybody else the header means nothing.
func BehindProxies(h http.Handler, trusted []netip.Prefix) http.Handler {
	if len(trusted) == 0 {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, ok := forwarded(r, trusted); ok {
			r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		}
		h.ServeHTTP(w, r)
	})
}

func forwarded(r *http.Request, trusted []netip.Prefix) (netip.Addr, bool) {
	isProxy := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !isProxy(peer.Addr().Unmap()) {
		return netip.Addr{}, false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return netip.Addr{}, false
		}
		if addr = addr.Unmap(); !isProxy(addr) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}
