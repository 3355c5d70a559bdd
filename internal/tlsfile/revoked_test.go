package tlsfile_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"larder/internal/mtls/mtlstest"
	"larder/internal/tlsfile"
)

func TestRevokedCertificatesAreRefused(t *testing.T) {
	t.Parallel()
	now, ca, stranger := &clock{began: time.Now()}, mtlstest.NewCA(t), mtlstest.NewCA(t)
	below := ca.Intermediate(t)
	name := x509.Certificate{Subject: pkix.Name{CommonName: "bank"}}
	own, taken, lower, lowerTaken := ca.Issue(t, name), ca.Issue(t, name), below.Issue(t, name), below.Issue(t, name)
	folder := t.TempDir()
	bundle, lists := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "crl.pem")
	write := func(file string, contents ...[]byte) {
		t.Helper()
		if err := os.WriteFile(file, bytes.Join(contents, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		now.Advance(2 * time.Second)
	}
	open := func() (*tlsfile.Authorities, error) {
		return tlsfile.OpenAuthorities(bundle, lists, now.Now, slog.New(slog.DiscardHandler))
	}
	day := x509.RevocationList{ThisUpdate: now.Now().Add(-time.Hour), NextUpdate: now.Now().Add(12 * time.Hour)}
	write(bundle, ca.PEM())

	if _, err := open(); err == nil {
		t.Error("a file that is missing is accepted")
	}
	part := day
	part.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}}
	foreign := day
	foreign.RevokedCertificateEntries = []x509.RevocationListEntry{{
		SerialNumber: own.Cert.SerialNumber, RevocationTime: day.ThisUpdate,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}},
	}}
	for what, content := range map[string][]byte{"nothing": nil, "a certificate": ca.PEM(), "a part": ca.Revoke(t, part), "those of others": ca.Revoke(t, foreign)} {
		write(lists, content)
		if _, err := open(); err == nil {
			t.Errorf("a file with %s is accepted", what)
		}
	}

	forged := (&mtlstest.Pair{Cert: ca.Cert, Key: stranger.Key}).Revoke(t, day, own)
	write(lists, ca.Revoke(t, day, taken), below.Revoke(t, day, lowerTaken), forged)
	authorities, err := open()
	if err != nil {
		t.Fatal(err)
	}
	judge := func(when string, want map[*mtlstest.Pair]bool) {
		t.Helper()
		for pair, good := range want {
			chain := []*x509.Certificate{pair.Cert}
			if pair == lower || pair == lowerTaken {
				chain = append(chain, below.Cert)
			}
			if err := authorities.Verify(t.Context(), chain); (err == nil) != good {
				t.Errorf("%s: %s of %s: %v", when, pair.Cert.SerialNumber, pair.Cert.Issuer, err)
			}
		}
	}
	judge("at first", map[*mtlstest.Pair]bool{own: true, taken: false, lower: true, lowerTaken: false})
	write(lists, ca.Revoke(t, day, own), below.Revoke(t, day))
	judge("as the file changes", map[*mtlstest.Pair]bool{own: false, taken: true, lower: true, lowerTaken: true})
	write(lists, []byte("half a file"))
	judge("what makes no sense changes nothing", map[*mtlstest.Pair]bool{own: false, taken: true})
	write(lists, ca.Revoke(t, day, below))
	judge("an intermediate is taken back", map[*mtlstest.Pair]bool{own: true, lower: false})
	write(lists, ca.Revoke(t, day))
	judge("no list of the intermediate", map[*mtlstest.Pair]bool{own: true, lower: false})
	write(lists, below.Revoke(t, day))
	judge("no list of the authority", map[*mtlstest.Pair]bool{own: false, lower: false})
	write(lists, forged)
	judge("a forged list alone", map[*mtlstest.Pair]bool{taken: false})
	write(lists, ca.Revoke(t, day))
	now.Advance(13 * time.Hour)
	judge("an old list", map[*mtlstest.Pair]bool{own: false})
}
