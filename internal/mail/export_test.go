package mail

import (
	"crypto/tls"
	"crypto/x509"

	gomail "github.com/wneessen/go-mail"
)

// Trust has s believe in the certificates of roots instead of the machine's.
func (s *SMTP) Trust(roots *x509.CertPool) {
	s.options = append(s.options, gomail.WithTLSConfig(&tls.Config{RootCAs: roots, ServerName: s.host, MinVersion: tls.VersionTLS12}))
}
