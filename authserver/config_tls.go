package main

import (
	"net/netip"
	"strings"

	"larder/authserver/client"
	"larder/internal/env"
)

// TLSConfig is what an operator decides about TLS and the certificates of
// clients (RFC 8705). Its zero value leaves TLS to a proxy, and has no part in
// certificates.
type TLSConfig struct {
	Cert, Key string // PEM files; empty where a proxy speaks TLS

	MTLSURL    string         // https address at which clients are asked for certificates; empty where nowhere
	MTLSAddr   string         // our own listener there; empty where a proxy's is
	Proxies    []netip.Prefix // whose Client-Cert we believe (RFC 9440)
	ClientCAs  string         // PEM file of those who may vouch for clients; empty where only registered certificates count
	ClientCRLs string         // PEM file of what those have revoked; empty where nobody looks
}

// readTLS holds the settings to each other: a certificate that nobody is asked
// for, or that nobody believes, is a mistake.
func readTLS(r *env.Reader, issuer string, development bool) TLSConfig {
	var c TLSConfig
	c.Cert, c.Key = r.KeyPair("AUTHSERVER_TLS_CERT", "AUTHSERVER_TLS_KEY")
	c.MTLSURL = r.Address("AUTHSERVER_MTLS_URL", development, false)
	c.Proxies = r.Prefixes("AUTHSERVER_CLIENT_CERT_PROXIES")
	c.ClientCAs, c.ClientCRLs = r.String("AUTHSERVER_CLIENT_CA"), r.String("AUTHSERVER_CLIENT_CRL")
	if r.String("AUTHSERVER_MTLS_ADDR") != "" {
		c.MTLSAddr = r.Addr("AUTHSERVER_MTLS_ADDR", "")
	}
	if c.Cert != "" && strings.HasPrefix(issuer, "http://") {
		r.Fault("AUTHSERVER_TLS_CERT", "is for an issuer with https")
	}
	if c.MTLSAddr != "" && c.Cert == "" {
		r.Fault("AUTHSERVER_MTLS_ADDR", "needs AUTHSERVER_TLS_CERT and AUTHSERVER_TLS_KEY")
	}
	shown := c.MTLSAddr != "" || len(c.Proxies) > 0
	switch {
	case shown && c.MTLSURL == "":
		r.Fault("AUTHSERVER_MTLS_URL", "must be set with AUTHSERVER_MTLS_ADDR or AUTHSERVER_CLIENT_CERT_PROXIES, such as https://mtls.login.example.com")
	case !shown && c.MTLSURL != "":
		r.Fault("AUTHSERVER_MTLS_URL", "needs AUTHSERVER_MTLS_ADDR, or AUTHSERVER_CLIENT_CERT_PROXIES that pass certificates on")
	}
	if c.ClientCAs != "" && c.MTLSURL == "" {
		r.Fault("AUTHSERVER_CLIENT_CA", "needs AUTHSERVER_MTLS_URL")
	}
	if c.ClientCRLs != "" && c.ClientCAs == "" {
		r.Fault("AUTHSERVER_CLIENT_CRL", "needs AUTHSERVER_CLIENT_CA")
	}
	return c
}

// clientRules say what may be registered of a client here.
func (c Config) clientRules(reachable func(uri string) error) client.Rules {
	return client.Rules{
		ResourceServers: c.ResourceServers, FrontChannel: c.ImplicitFlow, Reachable: reachable,
		Certificates: c.TLS.MTLSURL != "", CertificateCAs: c.TLS.ClientCAs != "",
	}
}
