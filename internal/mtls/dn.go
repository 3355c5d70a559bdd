package mtls

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// A distinguished name is a sequence of sets of attributes. As text (RFC 4514)
// it stands in reverse, and there are many ways to write one: short names or
// numbers, several kinds of escapes, blanks around separators. So both sides
// are taken apart and compared as attributes.

// attributes is one relative distinguished name: "type=value" with the type as
// numbers, sorted, because it is a set.
type attributes []string

var errDN = errors.New("it does not follow RFC 4514")

// knownType is the number of a short name of RFC 4514 §3, or of one that openssl
// and other tools write; "" for any other.
func knownType(name string) string {
	return map[string]string{
		"CN": "2.5.4.3", "SN": "2.5.4.4", "SURNAME": "2.5.4.4", "SERIALNUMBER": "2.5.4.5", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8",
		"STREET": "2.5.4.9", "O": "2.5.4.10", "OU": "2.5.4.11", "T": "2.5.4.12", "TITLE": "2.5.4.12", "BUSINESSCATEGORY": "2.5.4.15",
		"POSTALCODE": "2.5.4.17", "GN": "2.5.4.42", "GIVENNAME": "2.5.4.42", "ORGANIZATIONIDENTIFIER": "2.5.4.97",
		"UID": "0.9.2342.19200300.100.1.1", "DC": "0.9.2342.19200300.100.1.25",
		"EMAILADDRESS": "1.2.840.113549.1.9.1", "E": "1.2.840.113549.1.9.1",
		"JURISDICTIONC": "1.3.6.1.4.1.311.60.2.1.3", "JURISDICTIONCOUNTRYNAME": "1.3.6.1.4.1.311.60.2.1.3",
	}[strings.ToUpper(name)]
}

// sameDN compares text with the DER of a certificate's subject.
func sameDN(text string, der []byte) bool {
	want, err := parseDN(text)
	if err != nil {
		return false
	}
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &sequence); err != nil || len(rest) > 0 {
		return false
	}
	var got []attributes
	for _, set := range sequence {
		var rdn attributes
		for _, a := range set {
			value, ok := a.Value.(string)
			if !ok {
				return false
			}
			rdn = append(rdn, a.Type.String()+"="+value)
		}
		slices.Sort(rdn)
		got = append(got, rdn)
	}
	slices.Reverse(got)
	return len(got) > 0 && slices.EqualFunc(want, got, func(a, b attributes) bool { return slices.Equal(a, b) })
}

// parseDN reads a distinguished name as text, in the order of the text.
func parseDN(text string) ([]attributes, error) {
	var names []attributes
	for part := range splitUnescaped(text, ',') {
		var rdn attributes
		for attribute := range splitUnescaped(part, '+') {
			name, written, ok := strings.Cut(attribute, "=")
			if !ok {
				return nil, errDN
			}
			oid, err := attributeType(strings.TrimSpace(name))
			if err != nil {
				return nil, err
			}
			value, err := unescape(written)
			if err != nil {
				return nil, err
			}
			rdn = append(rdn, oid+"="+value)
		}
		slices.Sort(rdn)
		names = append(names, rdn)
	}
	return names, nil
}

// splitUnescaped cuts text at each separator that no backslash precedes.
func splitUnescaped(text string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		start := 0
		for i := 0; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case separator:
				if !yield(text[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(text[start:])
	}
}

func attributeType(name string) (string, error) {
	if oid := knownType(name); oid != "" {
		return oid, nil
	}
	numbers := strings.TrimPrefix(strings.ToUpper(name), "OID.")
	if strings.Trim(numbers, "0123456789.") != "" || !strings.Contains(numbers, ".") {
		return "", fmt.Errorf("the attribute type %q is not known; write it in numbers", name)
	}
	return numbers, nil
}

// unescape reads a value: #hex is DER, a backslash stands before a special
// character or two hexadecimal digits, and blanks at the ends count only when
// escaped (RFC 4514 §2.4, §3).
func unescape(written string) (string, error) {
	written = strings.TrimLeft(written, " ")
	if encoded, ok := strings.CutPrefix(written, "#"); ok {
		return hexValue(strings.TrimRight(encoded, " "))
	}
	var b strings.Builder
	solid := 0 // the length up to which blanks were meant
	for i := 0; i < len(written); i++ {
		c := written[i]
		switch {
		case c != '\\':
			if strings.IndexByte("\"+,;<>\x00", c) >= 0 {
				return "", errDN
			}
			b.WriteByte(c)
			if c != ' ' {
				solid = b.Len()
			}
			continue
		case i+1 < len(written) && strings.IndexByte(" \"#+,;<=>\\", written[i+1]) >= 0:
			b.WriteByte(written[i+1])
			i++
		case i+2 < len(written):
			octet, err := hex.DecodeString(written[i+1 : i+3])
			if err != nil {
				return "", errDN
			}
			b.Write(octet)
			i += 2
		default:
			return "", errDN
		}
		solid = b.Len()
	}
	if solid == 0 {
		return "", errDN
	}
	return b.String()[:solid], nil
}

func hexValue(encoded string) (string, error) {
	der, err := hex.DecodeString(encoded)
	if err != nil {
		return "", errDN
	}
	var value any
	if rest, err := asn1.Unmarshal(der, &value); err != nil || len(rest) > 0 {
		return "", errDN
	}
	text, ok := value.(string)
	if !ok {
		return "", errDN
	}
	return text, nil
}
