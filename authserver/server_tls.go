package main

import (
	"net/http"

	"larder/internal/mtls"
	"larder/internal/tlsfile"
	"larder/internal/web"
)

// openTLS reads the certificates that the settings name.
func (s *server) openTLS() (err error) {
	c := s.cfg.TLS
	if c.Cert != "" {
		if s.certificate, err = tlsfile.Open(c.Cert, c.Key, s.now, s.log); err != nil {
			return err
		}
	}
	if c.ClientCAs != "" {
		s.clientCAs, err = tlsfile.OpenAuthorities(c.ClientCAs, c.ClientCRLs, s.now, s.log)
	}
	return err
}

// listeners are the public one, the internal one and, where clients show
// certificates to us, a third: on the first, browsers would be asked for
// certificates too.
func (s *server) listeners() []web.Listener {
	public := web.Listener{Name: "public", Addr: s.cfg.Addr, Handler: s.public()}
	internal := web.Listener{Name: "internal", Addr: s.cfg.InternalAddr, Handler: web.Internal(s.metrics, s.checks()...)}
	if s.certificate == nil {
		return []web.Listener{public, internal}
	}
	public.TLS = s.certificate.Server(false)
	if s.cfg.TLS.MTLSAddr == "" {
		return []web.Listener{public, internal}
	}
	rt := web.NewRouter(web.Problem)
	web.Health(rt, s.checks()...)
	s.provider.MountAliases(rt)
	certificates := web.Listener{Name: "mtls", Addr: s.cfg.TLS.MTLSAddr, Handler: s.surround(rt), TLS: s.certificate.Server(true)}
	return []web.Listener{public, internal, certificates}
}

// surround is what every request of clients and people goes through first.
func (s *server) surround(rt http.Handler) http.Handler {
	observer := &web.Observer{Log: s.log, Now: s.now, Report: web.Problem}
	h := observer.Wrap(s.secureHeaders(s.untilReady(rt)), s.metrics)
	h = web.BehindProxies(h, s.cfg.TrustedProxies)
	return mtls.Handler(h, s.cfg.TLS.Proxies) // first, while the peer's address is the peer's
}
