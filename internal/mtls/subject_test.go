package mtls_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"testing"

	"larder/internal/mtls"
	"larder/internal/mtls/mtlstest"
)

func TestDistinguishedNamesAreComparedAsAttributes(t *testing.T) {
	t.Parallel()
	ca := mtlstest.NewCA(t)
	plain := ca.Issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "bank", Organization: []string{"Bank, Ltd"}, Country: []string{"GB"}}})
	odd := ca.Issue(t, x509.Certificate{Subject: pkix.Name{
		CommonName: " #x+y=\"é\\ ", ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 97}, Value: "PSDGB-FCA-1"}},
	}})
	multi := ca.Issue(t, x509.Certificate{RawSubject: multiValued(t)})
	for _, c := range []struct {
		cert *mtlstest.Pair
		dn   string
		want bool
	}{
		{plain, `CN=bank,O=Bank\, Ltd,C=GB`, true},
		{plain, `cn = bank , o=Bank\2C Ltd,C= GB`, true},
		{plain, `2.5.4.3=bank,OID.2.5.4.10=Bank\, Ltd,c=#13024742`, true},
		{plain, `C=GB,O=Bank\, Ltd,CN=bank`, false}, // RFC 4514 writes the last first
		{plain, `CN=Bank,O=Bank\, Ltd,C=GB`, false},
		{plain, `CN=bank,O=Bank\, Ltd`, false},
		{plain, `CN=bank,O=Bank,CN=Ltd,C=GB`, false},
		{plain, `CN=bank,O=Bank\, Ltd,C=GB,`, false},
		{plain, ``, false},
		{odd, `2.5.4.97=PSDGB-FCA-1,CN=\ \#x\+y\=\"é\\\ `, true},
		{odd, `organizationIdentifier=PSDGB-FCA-1,CN=\20#x\2by=\22\c3\a9\5c\20`, true},
		{odd, `organizationIdentifier=PSDGB-FCA-1,CN=x\+y=\"é\\`, false},
		{multi, `UID=7+CN=bank,O=Bank`, true},
		{multi, `CN=bank+UID=7,O=Bank`, true},
		{multi, `CN=bank,UID=7,O=Bank`, false},
	} {
		if got := (mtls.Subject{DN: c.dn}).Matches(c.cert.Cert); got != c.want {
			t.Errorf("%s and %s: %t", c.dn, c.cert.Cert.Subject, got)
		}
	}
}

// multiValued is O=Bank, then CN=bank and UID=7 in one set.
func multiValued(t *testing.T) []byte {
	t.Helper()
	der, err := asn1.Marshal(pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Bank"}},
		{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "bank"},
			{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: "7"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAlternativeNames(t *testing.T) {
	t.Parallel()
	uri, err := url.Parse("https://bank.example/Client?a=b")
	if err != nil {
		t.Fatal(err)
	}
	cert := mtlstest.NewCA(t).Issue(t, x509.Certificate{
		Subject: pkix.Name{CommonName: "bank"}, DNSNames: []string{"other.example", "Bank.example"}, URIs: []*url.URL{uri},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7), net.ParseIP("2001:db8::7")}, EmailAddresses: []string{"Ops@bank.example"},
	}).Cert
	for _, c := range []struct {
		subject mtls.Subject
		want    bool
	}{
		{mtls.Subject{DNS: "bank.EXAMPLE"}, true},
		{mtls.Subject{DNS: "example"}, false},
		{mtls.Subject{URI: "https://bank.example/Client?a=b"}, true},
		{mtls.Subject{URI: "https://bank.example/client?a=b"}, false},
		{mtls.Subject{IP: "192.0.2.7"}, true},
		{mtls.Subject{IP: "2001:DB8:0::7"}, true},
		{mtls.Subject{IP: "192.0.2.8"}, false},
		{mtls.Subject{Email: "Ops@BANK.example"}, true},
		{mtls.Subject{Email: "ops@bank.example"}, false},
		{mtls.Subject{}, false},
		{mtls.Subject{DN: "CN=bank", DNS: "bank.example"}, false}, // exactly one
		{mtls.Subject{DN: "CN=bank"}, true},
		{mtls.Subject{DNS: "bank"}, false}, // the common name is no DNS name
	} {
		if got := c.subject.Matches(cert); got != c.want {
			t.Errorf("%+v: %t", c.subject, got)
		}
	}
	for _, bad := range []mtls.Subject{{}, {DN: "bank"}, {DN: "Name=bank"}, {DN: "CN="}, {DN: `CN=a\`}, {DN: `CN=a"b`}, {DN: "CN=#13"}, {DN: "CN=#0500"}, {IP: "bank"}, {DNS: "a", URI: "b"}} {
		if bad.Check() == "" {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func FuzzSubjectDN(f *testing.F) {
	for _, seed := range []string{`CN=bank,O=Bank\, Ltd,C=GB`, `CN=\ \#x\+y\=\"é\\\ `, `c=#13024742+2.5.4.3=b`, `\`, `=,+`} {
		f.Add(seed)
	}
	cert := mtlstest.SelfSigned(f, "bank").Cert
	f.Fuzz(func(t *testing.T, dn string) {
		s := mtls.Subject{DN: dn}
		if s.Matches(cert) && s.Check() != "" {
			t.Errorf("%q matches and is malformed", dn)
		}
	})
}
