package tlsfile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"
)

// Certificate is what a listener shows of itself. It is safe for concurrent
// use.
type Certificate struct{ watched[*tls.Certificate] }

// Open reads a PEM certificate, with its intermediates behind it, and its key.
func Open(certFile, keyFile string, now func() time.Time, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{watched[*tls.Certificate]{
		paths: []string{certFile, keyFile}, now: now, log: log,
		parse: func(contents [][]byte) (*tls.Certificate, error) {
			pair, err := tls.X509KeyPair(contents[0], contents[1])
			return &pair, err
		},
	}}
	return c, c.open()
}

// suites are those for TLS 1.2 of BCP 195 (RFC 9325 §4.2), which FAPI 2.0
// §5.2 admits alone: forward secrecy and authenticated encryption. Go's own
// list still holds CBC. Those of TLS 1.3 cannot be chosen and need not be.
func suites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	}
}

// Server is the configuration of a listener: TLS 1.3, or 1.2 with the suites of
// BCP 195. With askClients it asks each client for a certificate but demands
// none, and believes of the one that comes only that its sender holds the key:
// whose it is is for the application to judge (RFC 8705 §2).
func (c *Certificate) Server(askClients bool) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites(),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
	}
	if askClients {
		config.ClientAuth = tls.RequestClientCert
	}
	return config
}

// Authorities are those whose word about a client counts (RFC 8705 §2.1). They
// are safe for concurrent use.
type Authorities struct {
	pool    watched[*x509.CertPool]
	revoked *revoked // nil where nobody looks
}

// OpenAuthorities reads a PEM bundle of CA certificates and, unless its name is
// empty, a PEM file with the revocation list of each CA.
func OpenAuthorities(file, crlFile string, now func() time.Time, log *slog.Logger) (*Authorities, error) {
	a := &Authorities{pool: watched[*x509.CertPool]{
		paths: []string{file}, now: now, log: log,
		parse: func(contents [][]byte) (*x509.CertPool, error) {
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(contents[0]) {
				return nil, errors.New("there is no certificate in it")
			}
			return pool, nil
		},
	}}
	err := a.pool.open()
	if err == nil && crlFile != "" {
		a.revoked, err = openRevoked(crlFile, now, log)
	}
	return a, err
}

// Verify checks that a chain, the client's own certificate first, leads to one
// of the authorities, is in force now, is meant for clients and, where revocation
// lists are read, stands on none.
func (a *Authorities) Verify(_ context.Context, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("there is no certificate")
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	verified, err := chain[0].Verify(x509.VerifyOptions{
		Roots: a.pool.get(), Intermediates: between, CurrentTime: a.pool.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil || a.revoked == nil {
		return err
	}
	for _, way := range verified {
		if err = a.revoked.check(way); err == nil {
			return nil
		}
	}
	return err
}
