package dpop_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
	"larder/internal/fault"
)

// FuzzProof sends anything as the header. Nobody without the key makes a proof
// that is accepted.
func FuzzProof(f *testing.F) {
	c := newClock()
	v := verifier(f, c)
	proof := dpoptest.NewKey(f).Proof(f, good(c))
	parts := strings.Split(proof, ".")
	for _, seed := range []string{"", "..", proof, rfcTokenProof, parts[0] + "..", parts[0] + "." + parts[1] + "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, err := v.Verify(request(t, header), dpop.Expect{AccessToken: token})
		if err != nil {
			if !fault.Is(err, fault.Invalid) || got != nil {
				t.Fatalf("Verify = %v, %v; want fault.Invalid and no proof", got, err)
			}
			return
		}
		if len(header) > 4<<10 || strings.Count(header, ".") != 2 {
			t.Fatalf("accepted %q", header)
		}
	})
}

// FuzzSignedProof signs any header and any payload with the key. What is
// accepted says what it must, as another JSON parser reads it.
func FuzzSignedProof(f *testing.F) {
	c := newClock()
	v := verifier(f, c)
	key := dpoptest.NewKey(f)
	parts := strings.Split(key.Proof(f, good(c)), ".")
	header, payload := decode(f, parts[0]), decode(f, parts[1])
	f.Add(header, payload)
	f.Add(header, []byte(strings.Replace(string(payload), `"iat"`, `"nbf":1e9,"exp":9e9,"nonce":"n","iat"`, 1)))
	f.Add([]byte(strings.Replace(string(header), `"typ"`, `"crit":["b64"],"b64":false,"typ"`, 1)), payload)
	f.Add([]byte(`{}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		got, err := v.Verify(request(t, key.Sign(t, header, payload)), dpop.Expect{AccessToken: token})
		if err != nil {
			if !fault.Is(err, fault.Invalid) || got != nil {
				t.Fatalf("Verify = %v, %v; want fault.Invalid and no proof", got, err)
			}
			return
		}
		var h struct {
			Typ string          `json:"typ"`
			Alg string          `json:"alg"`
			JWK map[string]any  `json:"jwk"`
			Crt json.RawMessage `json:"crit"`
		}
		var p struct {
			JTI string  `json:"jti"`
			HTM string  `json:"htm"`
			ATH string  `json:"ath"`
			IAT float64 `json:"iat"`
		}
		if json.Unmarshal(header, &h) != nil || json.Unmarshal(payload, &p) != nil {
			t.Fatalf("accepted what is no JSON: %s . %s", header, payload)
		}
		age := c.Now().Sub(time.Unix(int64(p.IAT), 0)).Abs()
		if h.Typ != "dpop+jwt" || h.Alg != "ES256" || h.JWK["d"] != nil || h.Crt != nil ||
			p.JTI == "" || p.HTM != "GET" || p.ATH != dpop.AccessTokenHash(token) || age > time.Minute || got.Thumbprint != key.Thumbprint {
			t.Fatalf("accepted %s . %s as %+v", header, payload, got)
		}
	})
}

func decode(t testing.TB, part string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
