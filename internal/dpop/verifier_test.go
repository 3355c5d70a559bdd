package dpop_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
	"larder/internal/fault"
)

// The proofs and the token of RFC 9449 §4.1, §5 and §7.1.
const (
	rfcTokenProof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	rfcThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	rfcToken      = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	rfcATH        = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
)

func TestTheProofOfTheRFC(t *testing.T) {
	at := time.Unix(1562262616, 0)
	v := verifier(t, &clock{t: at})
	v.Base = "https://server.example.com"
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://10.0.0.1:8080/token", nil)
	r.Header["Dpop"] = []string{rfcTokenProof}
	got, err := v.Verify(r, dpop.Expect{})
	if err != nil {
		t.Fatal(err)
	}
	want := &dpop.Proof{Thumbprint: rfcThumbprint, JTI: "-BwC3ESc6acc2lTc", IssuedAt: at}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("proof (-want +got):\n%s", diff)
	}
	if ath := dpop.AccessTokenHash(rfcToken); ath != rfcATH {
		t.Errorf("ath = %s, want %s", ath, rfcATH)
	}
}

func TestGoodProofsOfEachAlgorithm(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	keys := []*dpoptest.Key{dpoptest.NewKey(t), dpoptest.NewEdKey(t), dpoptest.NewRSAKey(t, 2048)}
	var algs []string
	for _, key := range keys {
		algs = append(algs, key.Alg)
		proof, err := v.Verify(request(t, key.Proof(t, good(c))), dpop.Expect{AccessToken: token, Thumbprint: key.Thumbprint})
		if err != nil {
			t.Errorf("%s: %v", key.Alg, err)
			continue
		}
		if proof.Thumbprint != key.Thumbprint || !dpop.IsThumbprint(proof.Thumbprint) {
			t.Errorf("%s: thumbprint %q, want %q", key.Alg, proof.Thumbprint, key.Thumbprint)
		}
	}
	if diff := cmp.Diff(algs, dpop.Algorithms()); diff != "" {
		t.Errorf("Algorithms (-tried +got):\n%s", diff)
	}
}

// What FAPI 2.0's modules demand to be accepted: check-dpop-proof-nbf-exp,
// ensure-dpopproof-with-iat-10seconds-before-succeeds and -after-succeeds, and
// the tolerant half of dpop-negative-tests.
func TestProofsThatMustBeAccepted(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	key := dpoptest.NewKey(t)
	now := c.Now().Unix()
	for name, claims := range map[string]dpoptest.Members{
		"nbf and exp":               {"nbf": now, "exp": now + 300},
		"iat 10 seconds before":     {"iat": now - 10},
		"iat 10 seconds after":      {"iat": now + 10},
		"iat at the window's start": {"iat": now - 60},
		"iat at the window's end":   {"iat": now + 60},
		"iat with a fraction":       {"iat": float64(now) + .25},
		"htu with a query":          {"htu": base + path + "?page=2"},
		"htu with a fragment":       {"htu": base + path + "#top"},
		"htu in other case":         {"htu": "HTTPS://API.example.com" + path},
		"htu with default port":     {"htu": "https://api.example.com:443" + path},
		"extra claims":              {"iss": "me", "aud": []string{"a"}, "cnf": dpoptest.Members{"jkt": "x"}},
		"jti of 128 bytes":          {"jti": strings.Repeat("j", 128)},
		"a nonce nobody asked for":  {"nonce": "of another server"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := v.Verify(request(t, key.Forge(t, good(c), nil, claims)), dpop.Expect{AccessToken: token}); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("extra header members", func(t *testing.T) {
		proof := key.Forge(t, good(c), dpoptest.Members{"kid": "k", "x": dpoptest.Members{"y": 1}}, nil)
		if _, err := v.Verify(request(t, proof), dpop.Expect{AccessToken: token}); err != nil {
			t.Error(err)
		}
	})
	t.Run("no ath where no token is presented", func(t *testing.T) {
		proof := key.Forge(t, good(c), nil, dpoptest.Members{"ath": nil})
		if _, err := v.Verify(request(t, proof), dpop.Expect{}); err != nil {
			t.Error(err)
		}
	})
}

// The claims' half of FAPI 2.0's dpop-negative-tests.
func TestClaimsThatMustBeRefused(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	key := dpoptest.NewKey(t)
	now := c.Now().Unix()
	for name, claims := range map[string]dpoptest.Members{
		"missing jti":             {"jti": nil},
		"empty jti":               {"jti": ""},
		"jti too long":            {"jti": strings.Repeat("j", 129)},
		"jti of another type":     {"jti": 7},
		"missing htm":             {"htm": nil},
		"other htm":               {"htm": "POST"},
		"htm in other case":       {"htm": "get"},
		"missing htu":             {"htu": nil},
		"htu of another path":     {"htu": base + "/v1/other"},
		"htu of another server":   {"htu": "https://evil.example.com" + path},
		"htu of the host header":  {"htu": "http://somewhere.internal" + path},
		"htu of a list":           {"htu": []string{base + path}},
		"missing iat":             {"iat": nil},
		"iat an hour before":      {"iat": now - 3600},
		"iat an hour after":       {"iat": now + 3600},
		"iat just too old":        {"iat": now - 61},
		"iat just too new":        {"iat": now + 61},
		"iat as text":             {"iat": "1788249600"},
		"iat beyond all time":     {"iat": 1e300},
		"iat before all time":     {"iat": -9.2e18},
		"nbf an hour after":       {"nbf": now + 3600},
		"exp an hour before":      {"exp": now - 3600},
		"missing ath":             {"ath": nil},
		"ath of another token":    {"ath": dpop.AccessTokenHash("another")},
		"the token itself as ath": {"ath": token},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Verify(request(t, key.Forge(t, good(c), nil, claims)), dpop.Expect{AccessToken: token})
			wantCode(t, err, dpop.CodeInvalidProof)
		})
	}
	if n := v.Redis.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("refused proofs left %d keys in Redis", n)
	}
}

// The header's half of dpop-negative-tests.
func TestHeadersThatMustBeRefused(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	key := dpoptest.NewKey(t)
	other := dpoptest.NewKey(t)
	private := jose.JSONWebKey{Key: key.Private}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]dpoptest.Members{
		"missing typ":               {"typ": nil},
		"typ JWT":                   {"typ": "JWT"},
		"typ at+jwt":                {"typ": "at+jwt"},
		"typ of another type":       {"typ": []string{"dpop+jwt"}},
		"missing alg":               {"alg": nil},
		"alg none":                  {"alg": "none"},
		"alg HS256":                 {"alg": "HS256"},
		"alg RS256":                 {"alg": "RS256"},
		"alg of another key":        {"alg": "EdDSA"},
		"missing jwk":               {"jwk": nil},
		"jwk private":               {"jwk": private},
		"jwk with an empty d":       {"jwk": withMember(t, key, "d", "")},
		"jwk of another key":        {"jwk": other.Public},
		"jwk off the curve":         {"jwk": withMember(t, key, "x", withMember(t, other, "", "")["x"])},
		"jwk of another curve":      {"jwk": jose.JSONWebKey{Key: p384.Public()}},
		"jwk symmetric":             {"jwk": dpoptest.Members{"kty": "oct", "k": "c2VjcmV0"}},
		"jwk of an unknown kind":    {"jwk": dpoptest.Members{"kty": "XYZ"}},
		"jwk a URL":                 {"jwk": "https://evil.example.com/key"},
		"only a jku":                {"jwk": nil, "jku": "https://evil.example.com/jwks"},
		"only a kid":                {"jwk": nil, "kid": "k"},
		"crit":                      {"crit": []string{"exp"}, "exp": 1},
		"crit of what is not there": {"crit": []string{"b64"}},
		"b64 in crit":               {"crit": []string{"b64"}, "b64": true},
		"jwk with a cert chain":     {"jwk": withMember(t, key, "x5c", []string{"AAAA"})},
		"header member not ASCII":   {"typ": "dpop+jwt\u00a0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Verify(request(t, key.Forge(t, good(c), header, nil)), dpop.Expect{AccessToken: token})
			wantCode(t, err, dpop.CodeInvalidProof)
		})
	}
	if n := v.Redis.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("refused proofs left %d keys in Redis", n)
	}
}

// A payload that is signed as it is (RFC 7797) is another message to those who
// do not know b64.
func TestAnUnencodedPayloadIsRefused(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	key := dpoptest.NewEdKey(t)
	private, ok := key.Private.(ed25519.PrivateKey)
	if !ok {
		t.Fatalf("the key is a %T", key.Private)
	}
	for name, header := range map[string]dpoptest.Members{
		"with crit":    {"b64": false, "crit": []string{"b64"}},
		"without crit": {"b64": false},
	} {
		t.Run(name, func(t *testing.T) {
			parts := strings.Split(key.Forge(t, good(c), header, nil), ".")
			input := append([]byte(parts[0]+"."), decode(t, parts[1])...)
			signature := base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, input))
			_, err := v.Verify(request(t, parts[0]+"."+parts[1]+"."+signature), dpop.Expect{AccessToken: token})
			wantCode(t, err, dpop.CodeInvalidProof)
		})
	}
}

// withMember returns the public jwk of a key with one member changed.
func withMember(t *testing.T, key *dpoptest.Key, name string, value any) dpoptest.Members {
	t.Helper()
	b, err := json.Marshal(key.Public)
	if err != nil {
		t.Fatal(err)
	}
	var members dpoptest.Members
	if err := json.Unmarshal(b, &members); err != nil {
		t.Fatal(err)
	}
	if name != "" {
		members[name] = value
	}
	return members
}

func TestProofsThatAreNoJWS(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	key := dpoptest.NewKey(t)
	proof := key.Proof(t, good(c))
	parts := strings.Split(proof, ".")
	last := "A"
	if strings.HasSuffix(parts[2][:1], "A") {
		last = "B"
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, headers := range map[string][]string{
		"no header":               nil,
		"two headers":             {proof, key.Proof(t, good(c))},
		"the same header twice":   {proof, proof},
		"two in one header":       {proof + ", " + key.Proof(t, good(c))},
		"empty":                   {""},
		"a blank":                 {" "},
		"a word":                  {"proof"},
		"two parts":               {parts[0] + "." + parts[1]},
		"four parts":              {proof + "." + parts[2]},
		"an empty signature":      {parts[0] + "." + parts[1] + "."},
		"another signature":       {parts[0] + "." + parts[1] + "." + last + parts[2][1:]},
		"a short signature":       {proof[:len(proof)-8]},
		"another payload":         {parts[0] + "." + parts[1] + "AAAA." + parts[2]},
		"padding":                 {parts[0] + "=." + parts[1] + "." + parts[2]},
		"the JSON serialisation":  {`{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`},
		"a payload that is null":  {key.Sign(t, header, []byte("null"))},
		"a payload that is text":  {key.Sign(t, header, []byte("text"))},
		"a payload of two values": {key.Sign(t, header, []byte(`{"jti":"a"}{"jti":"b"}`))},
		"a claim given twice": {key.Sign(t, header, []byte(`{"jti":"a","jti":"b","htm":"GET","htu":"`+base+path+
			`","ath":"`+dpop.AccessTokenHash(token)+`","iat":`+jsonNow(t, c)+`}`))},
		"a claim in other case": {key.Sign(t, header, []byte(`{"JTI":"a","htm":"GET","htu":"`+base+path+
			`","ath":"`+dpop.AccessTokenHash(token)+`","iat":`+jsonNow(t, c)+`}`))},
		"a header given twice": {key.Sign(t, append([]byte(`{"typ":"dpop+jwt",`), header[1:]...), []byte("{}"))},
		"over 4 KiB":           {key.Forge(t, good(c), nil, dpoptest.Members{"pad": strings.Repeat("x", 3<<10)})},
		"a megabyte":           {strings.Repeat("e", 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Verify(request(t, headers...), dpop.Expect{AccessToken: token})
			wantCode(t, err, dpop.CodeInvalidProof)
		})
	}
	if _, err := v.Verify(request(t, proof), dpop.Expect{AccessToken: token}); err != nil {
		t.Errorf("the proof that all of them were made from: %v", err)
	}
}

func jsonNow(t *testing.T, c *clock) string {
	t.Helper()
	b, err := json.Marshal(c.Now().Unix())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRSAKeysHaveASize(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	c := newClock()
	v := verifier(t, c)
	for _, bits := range []int{1024, 2040} {
		_, err := v.Verify(request(t, dpoptest.NewRSAKey(t, bits).Proof(t, good(c))), dpop.Expect{})
		wantCode(t, err, dpop.CodeInvalidProof)
	}
}

// ensure-mismatched-dpop-jkt-fails and the use of one client's token with
// another's key.
func TestAForeignKeyIsRefused(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	thief, owner := dpoptest.NewKey(t), dpoptest.NewKey(t)
	proof := thief.Proof(t, good(c))
	_, err := v.Verify(request(t, proof), dpop.Expect{AccessToken: token, Thumbprint: owner.Thumbprint})
	wantCode(t, err, dpop.CodeInvalidProof)
	if !errors.Is(err, dpop.ErrWrongKey) {
		t.Errorf("%v is not ErrWrongKey", err)
	}
	if _, err := v.Verify(request(t, proof), dpop.Expect{AccessToken: token}); err != nil {
		t.Errorf("a refused proof was spent: %v", err)
	}
}

func TestPresented(t *testing.T) {
	if dpop.Presented(request(t)) {
		t.Error("a request without the header")
	}
	if !dpop.Presented(request(t, "")) || !dpop.Presented(request(t, "a", "b")) {
		t.Error("a request with an empty header, or two, would go unchecked")
	}
}

func TestIsThumbprint(t *testing.T) {
	for s, want := range map[string]bool{
		rfcThumbprint:                  true,
		"":                             false,
		rfcThumbprint[1:]:              false,
		rfcThumbprint + "=":            false,
		rfcThumbprint + "A":            false,
		"+" + rfcThumbprint[1:]:        false,
		rfcThumbprint[:42] + "J":       false, // bits beyond the 256
		strings.Repeat("A", 43) + "\n": false,
	} {
		if got := dpop.IsThumbprint(s); got != want {
			t.Errorf("IsThumbprint(%q) = %v, want %v", s, got, want)
		}
	}
}

func TestWithoutRedisNoProofIsGood(t *testing.T) {
	c := newClock()
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: 200 * time.Millisecond})
	defer gone.Close()
	v := &dpop.Verifier{Base: base, Redis: gone, Now: c.Now}
	if _, err := v.Verify(request(t, dpoptest.NewKey(t).Proof(t, good(c))), dpop.Expect{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v, want Unavailable", err)
	}
}
