package tlsfile

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"time"
)

// revoked is what some CAs have taken back, by issuer (RFC 5280 §5).
type revoked struct {
	watched[map[string][]revocationList]
}

type revocationList struct {
	*x509.RevocationList
	serials map[string]bool
}

// openRevoked reads a PEM file of revocation lists.
func openRevoked(file string, now func() time.Time, log *slog.Logger) (*revoked, error) {
	r := &revoked{watched[map[string][]revocationList]{
		paths: []string{file}, now: now, log: log,
		parse: func(contents [][]byte) (map[string][]revocationList, error) { return parseLists(contents[0]) },
	}}
	return r, r.open()
}

func parseLists(content []byte) (map[string][]revocationList, error) {
	byIssuer := map[string][]revocationList{}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			continue
		}
		parsed, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, err
		}
		list := revocationList{parsed, map[string]bool{}}
		// These tell of lists that hold only changes, or a part, or another CA's certificates (RFC 5280 §5.2).
		for _, extension := range parsed.Extensions {
			if extension.Critical {
				return nil, fmt.Errorf("the list of %s has a critical extension, %s: only whole lists are read", parsed.Issuer, extension.Id)
			}
		}
		for _, entry := range parsed.RevokedCertificateEntries {
			for _, extension := range entry.Extensions {
				if extension.Critical {
					return nil, fmt.Errorf("the list of %s has a critical extension, %s: only a CA's own lists are read", parsed.Issuer, extension.Id)
				}
			}
			list.serials[serial(entry.SerialNumber)] = true
		}
		byIssuer[string(parsed.RawIssuer)] = append(byIssuer[string(parsed.RawIssuer)], list)
	}
	if len(byIssuer) == 0 {
		return nil, errors.New("there is no revocation list in it")
	}
	return byIssuer, nil
}

func serial(n *big.Int) string { return string(n.Bytes()) }

// check refuses a verified chain of which a certificate was taken back, and one
// of which nobody can tell: whose CA has no list here, or an outdated one.
func (r *revoked) check(chain []*x509.Certificate) error {
	lists := r.get()
	for i, cert := range chain[:len(chain)-1] {
		known := false
		for _, list := range lists[string(cert.RawIssuer)] {
			if list.CheckSignatureFrom(chain[i+1]) != nil || list.NextUpdate.Before(r.now()) {
				continue
			}
			if list.serials[serial(cert.SerialNumber)] {
				return fmt.Errorf("the certificate of %s is revoked", cert.Subject)
			}
			known = true
		}
		if !known {
			return fmt.Errorf("there is no current revocation list of %s", cert.Issuer)
		}
	}
	return nil
}
