// Package mtlstest mints certificates for tests.
//
//	ca := mtlstest.NewCA(t)
//	bank := ca.Issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "bank"}})
//	client := bank.Client(server)   // shows it in its handshakes
package mtlstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Pair is a certificate with its key.
type Pair struct {
	Cert   *x509.Certificate
	Key    crypto.Signer
	issuer *x509.Certificate // that belongs into the chain; nil for none
}

// NewCA makes an authority.
func NewCA(t testing.TB) *Pair {
	t.Helper()
	return mint(t, x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA " + rand.Text()}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, newKey(t), nil)
}

// Issue makes a certificate for a client, with what template says besides.
func (p *Pair) Issue(t testing.TB, template x509.Certificate) *Pair {
	t.Helper()
	if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return mint(t, template, newKey(t), p)
}

// Server makes a certificate for a server on loopback, with a key of the kind
// that is given, or an ECDSA key.
func (p *Pair) Server(t testing.TB, key crypto.Signer) *Pair {
	t.Helper()
	if key == nil {
		key = newKey(t)
	}
	return mint(t, x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, key, p)
}

// SelfSigned makes a certificate that nobody vouches for.
func SelfSigned(t testing.TB, name string) *Pair {
	t.Helper()
	return mint(t, x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, newKey(t), nil)
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mint(t testing.TB, template x509.Certificate, key crypto.Signer, by *Pair) *Pair {
	t.Helper()
	p := &Pair{Key: key}
	signer, parent := key, &template
	if by != nil {
		signer, parent = by.Key, by.Cert
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = serial
	if template.NotAfter.IsZero() {
		now := time.Now() //nolint:forbidigo // crypto/tls reads the machine's clock too
		template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(24*time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if p.Cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if by != nil && by.issuer != nil {
		p.issuer = by.Cert // an intermediate
	}
	if template.IsCA && by != nil {
		p.issuer = by.Cert
	}
	return p
}

// Intermediate makes an authority below this one.
func (p *Pair) Intermediate(t testing.TB) *Pair {
	t.Helper()
	return mint(t, x509.Certificate{
		Subject: pkix.Name{CommonName: "test intermediate"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, newKey(t), p)
}

// Revoke is an authority's list of what it has taken back, in a file's form. The
// template says since when and until when, and what is odd about it.
func (p *Pair) Revoke(t testing.TB, template x509.RevocationList, pairs ...*Pair) []byte {
	t.Helper()
	for _, taken := range pairs {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: taken.Cert.SerialNumber, RevocationTime: template.ThisUpdate,
		})
	}
	template.Number = big.NewInt(1)
	der, err := x509.CreateRevocationList(rand.Reader, &template, p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// With is the pair with the certificate of another behind it.
func (p *Pair) With(other *Pair) *Pair { return &Pair{Cert: p.Cert, Key: p.Key, issuer: other.Cert} }

// TLS is the pair as crypto/tls takes it, with the intermediate if there is one.
func (p *Pair) TLS() tls.Certificate {
	chain := [][]byte{p.Cert.Raw}
	if p.issuer != nil {
		chain = append(chain, p.issuer.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: p.Key}
}

// Header is the certificate as a proxy passes it on (RFC 9440).
func (p *Pair) Header() string { return ":" + base64.StdEncoding.EncodeToString(p.Cert.Raw) + ":" }

// PEM is the certificate in a file's form.
func (p *Pair) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Cert.Raw})
}

// Write puts certificate and key into files of folder, in place of what is
// there.
func (p *Pair) Write(t testing.TB, folder string) (certFile, keyFile string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	for name, content := range map[string][]byte{certFile: p.PEM(), keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// Client is an HTTP client that believes servers of ca and shows own, unless
// that is nil.
func Client(t testing.TB, ca, own *Pair) *http.Client {
	t.Helper()
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(ca.Cert)
	if own != nil {
		config.Certificates = []tls.Certificate{own.TLS()}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
