package password_test

import (
	"crypto/sha1"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"larder/internal/fault"
	"larder/internal/outbound"
	"larder/internal/password"
)

func TestStrength(t *testing.T) {
	for pass, weak := range map[string]bool{
		"four loaves of rye bread":     false,
		"correct horse battery staple": false,
		"vqx7 kd9z":                    false,
		"password1password1":           true,
		"qwertyuiop123456":             true,
		"пирожки с капустой и грибами по утрам": false,
	} {
		if got := password.Strength(pass); got < 3 != weak {
			t.Errorf("the strength of %q is %d", pass, got)
		}
	}
	if got := password.Strength("ada baker example", "Ada Baker", "ada.baker@example.com"); got >= 3 {
		t.Errorf("a password of the person's own names has strength %d", got)
	}
}

func TestPolicyTellsHowStrongAWeakPasswordIs(t *testing.T) {
	err := (*password.Policy)(nil).Check(t.Context(), "abcdefghijklmnopqrst")
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "of 4") {
		t.Errorf("a run of the alphabet: %v", err)
	}
}

func TestPolicyRefusesStolenPasswordsAndAsksOnlyForARange(t *testing.T) {
	const stolen = "four loaves of rye bread"
	sum := sha1.Sum([]byte(stolen))
	name := strings.ToUpper(hex.EncodeToString(sum[:]))
	var asked []string
	answer := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		if r.Header.Get("Add-Padding") != "true" {
			t.Error("the request does not ask for padding")
		}
		w.WriteHeader(answer)
		_, _ = w.Write([]byte("0018A45C4D1DEF81644B54AB7F969B88D65:3\r\n" + name[5:] + ":7\r\n"))
	}))
	defer srv.Close()
	policy := &password.Policy{Breaches: &password.Ranges{URL: srv.URL, Client: ranges()}, Log: slog.New(slog.DiscardHandler)}

	if err := policy.Check(t.Context(), stolen); !fault.Is(err, fault.Invalid) {
		t.Errorf("a stolen password: %v", err)
	}
	if len(asked) != 1 || asked[0] != "/range/"+name[:5] {
		t.Errorf("the service was asked for %q", asked)
	}
	if err := policy.Check(t.Context(), "five loaves of barley bread"); err != nil {
		t.Errorf("another password: %v", err)
	}
	answer = http.StatusServiceUnavailable
	if err := policy.Check(t.Context(), stolen); err != nil {
		t.Errorf("while the service is away: %v", err)
	}
	if err := policy.Check(t.Context(), "correcthorsebatterystaple"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a password of the local list, while the service is away: %v", err)
	}
}

func ranges() *outbound.Client {
	return outbound.New(outbound.Config{Timeout: 10 * time.Second, MaxBody: password.MaxRange, AllowLoopback: true})
}

func TestPaddingIsNoBreach(t *testing.T) {
	const pass = "four loaves of rye bread"
	sum := sha1.Sum([]byte(pass))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.ToUpper(hex.EncodeToString(sum[:]))[5:] + ":0\r\n"))
	}))
	defer srv.Close()
	if breached, err := (&password.Ranges{URL: srv.URL, Client: ranges()}).Breached(t.Context(), pass); breached || err != nil {
		t.Errorf("a padding line: %t, %v", breached, err)
	}
}

func TestStrengthSeesThroughPatterns(t *testing.T) {
	for pass, most := range map[string]int{
		"aaaaaaaaaaaaaaaaaaaa":     1,
		"abcdefghijklmnopqrst":     1,
		"98765432109876543210":     1,
		"asdfghjklasdfghjkl":       1,
		"p4ssw0rdp4ssw0rd":         1,
		"sunshine2024sunshine":     2,
		"letmeinletmeinletmein":    1,
		"welcome welcome welcome":  2,
		"iloveyou1990":             2,
		"princesspassword":         2,
		"monkey dragon 1234567890": 3,
	} {
		if got := password.Strength(pass); got > most {
			t.Errorf("the strength of %q is %d, want at most %d", pass, got, most)
		}
	}
	for _, pass := range []string{"mop lantern quiet saddle", "Zwetschgenknödel mit Bröseln", "k8#mWq!z2LpR0vTx", "四つのパンと牛乳とりんごとたまご"} {
		if got := password.Strength(pass); got != 4 {
			t.Errorf("the strength of %q is %d, want 4", pass, got)
		}
	}
	if got := password.Strength(strings.Repeat("x", 100_000)); got > 1 {
		t.Errorf("a very long run has strength %d", got)
	}
}

func BenchmarkStrength(b *testing.B) {
	for b.Loop() {
		password.Strength("mop lantern quiet saddle and a bit more to make it rather long", "Ada Baker", "ada@example.com")
	}
}

func TestAPasswordIsRatedAsItIsTaken(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]password.Rating{
		"":                                  {Says: "Too short: 0 of 15 characters."},
		"äöü":                               {Says: "Too short: 3 of 15 characters."},
		"aaaaaaaaaaaaaaaaaaaa":              {Says: "This password is one of the first that an attacker tries. Please choose another."},
		"ada.lovelace@example.com":          {Says: "The password must not be your name or e-mail address."},
		"abcdefghijklmnopqrst":              {Says: "Too easy to guess. Add a word that has nothing to do with the others."},
		"plum gravel octave tin lampshades": {Strength: 4, Enough: true, Says: "Strong: very hard to guess."},
	} {
		got := password.Rate(typed, "ada.lovelace@example.com", "Ada Lovelace")
		if got != want {
			t.Errorf("%q: %+v, want %+v", typed, got, want)
		}
		if taken := (*password.Policy)(nil).Check(t.Context(), typed, "ada.lovelace@example.com", "Ada Lovelace") == nil; taken != got.Enough {
			t.Errorf("%q is taken: %v, and rated %+v", typed, taken, got)
		}
	}
}
