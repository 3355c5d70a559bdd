package dpop_test

import (
	"bytes"
	"net/http"
	"regexp"
	"testing"
	"time"

	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
	"larder/internal/fault"
)

func macKey(seed byte) []byte { return bytes.Repeat([]byte{seed}, 32) }

func nonces(c *clock, keys ...[]byte) *dpop.Nonces {
	return &dpop.Nonces{Keys: func() [][]byte { return keys }, Now: c.Now}
}

func current(t *testing.T, n *dpop.Nonces) string {
	t.Helper()
	nonce, err := n.Current()
	if err != nil {
		t.Fatal(err)
	}
	return nonce
}

// try verifies a fresh proof with the nonce, where one is required.
func try(t *testing.T, v *dpop.Verifier, c *clock, nonce string) error {
	t.Helper()
	made := good(c)
	made.Nonce = nonce
	_, err := v.Verify(request(t, dpoptest.NewKey(t).Proof(t, made)), dpop.Expect{AccessToken: token, Nonce: true})
	return err
}

func TestTheClientIsToldANonceAndUsesIt(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	v.Nonces = nonces(c, macKey(1))
	err := try(t, v, c, "")
	wantCode(t, err, dpop.CodeUseNonce)
	h := http.Header{}
	v.OfferNonce(h)
	nonce := h.Get("DPoP-Nonce")
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`).MatchString(nonce) { // NQCHAR of RFC 6749
		t.Fatalf("DPoP-Nonce = %q", nonce)
	}
	if err := try(t, v, c, nonce); err != nil {
		t.Errorf("with the nonce: %v", err)
	}
}

func TestANonceIsGoodForFiveToTenMinutes(t *testing.T) {
	c := newClock() // at the start of a slot
	v := verifier(t, c)
	v.Nonces = nonces(c, macKey(1))
	nonce := current(t, v.Nonces)
	for _, step := range []struct {
		wait time.Duration
		good bool
	}{{0, true}, {5*time.Minute - time.Second, true}, {time.Second, true}, {5*time.Minute - time.Second, true}, {time.Second, false}} {
		c.Advance(step.wait)
		err := try(t, v, c, nonce)
		if step.good && err != nil {
			t.Errorf("at %v: %v", c.Now(), err)
		}
		if !step.good {
			wantCode(t, err, dpop.CodeUseNonce)
		}
	}
}

func TestAReplicaWhoseClockIsBehindKnowsTheNonce(t *testing.T) {
	c, ahead := newClock(), newClock()
	c.Advance(-time.Second)
	v := verifier(t, c)
	v.Nonces = nonces(c, macKey(1))
	if err := try(t, v, c, current(t, nonces(ahead, macKey(1)))); err != nil {
		t.Error(err)
	}
	ahead.Advance(10 * time.Minute)
	wantCode(t, try(t, v, c, current(t, nonces(ahead, macKey(1)))), dpop.CodeUseNonce)
}

func TestNoncesOutliveTheRotationOfTheirKey(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	old := current(t, nonces(c, macKey(1)))
	v.Nonces = nonces(c, macKey(2), macKey(1))
	if err := try(t, v, c, old); err != nil {
		t.Errorf("a nonce of the old key: %v", err)
	}
	if fresh := current(t, v.Nonces); fresh != current(t, nonces(c, macKey(2))) {
		t.Error("the newest key does not make the nonces")
	}
	v.Nonces = nonces(c, macKey(2))
	wantCode(t, try(t, v, c, old), dpop.CodeUseNonce)
}

func TestForeignNoncesAreRefused(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	v.Nonces = nonces(c, macKey(1))
	nonce := current(t, v.Nonces)
	for _, foreign := range []string{"x", nonce[:21], nonce + "A", nonce + "==", current(t, nonces(c, macKey(9))), "AAAAAAAAAAAAAAAAAAAAAA"} {
		wantCode(t, try(t, v, c, foreign), dpop.CodeUseNonce)
	}
}

func TestWhereNoncesAreOptional(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	v.Nonces = nonces(c, macKey(1))
	key := dpoptest.NewKey(t)
	want := dpop.Expect{AccessToken: token}
	made := good(c)
	if _, err := v.Verify(request(t, key.Proof(t, made)), want); err != nil {
		t.Errorf("without a nonce: %v", err)
	}
	made.Nonce = "stale"
	_, err := v.Verify(request(t, key.Proof(t, made)), want)
	wantCode(t, err, dpop.CodeUseNonce)
	_, err = v.Verify(request(t, key.Forge(t, made, nil, dpoptest.Members{"nonce": ""})), want)
	wantCode(t, err, dpop.CodeUseNonce)
}

func TestWithoutAKeyThereAreNoNonces(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	v.Nonces = nonces(c)
	if _, err := v.Nonces.Current(); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Current: %v, want Unavailable", err)
	}
	for _, nonce := range []string{"", "AAAAAAAAAAAAAAAAAAAAAA"} {
		if err := try(t, v, c, nonce); !fault.Is(err, fault.Unavailable) {
			t.Errorf("with nonce %q: %v, want Unavailable", nonce, err)
		}
	}
	h := http.Header{}
	v.OfferNonce(h)
	(&dpop.Verifier{}).OfferNonce(h)
	if len(h) != 0 {
		t.Errorf("offered %v", h)
	}
	v.Nonces = nil
	if err := try(t, v, c, ""); !fault.Is(err, fault.Internal) {
		t.Errorf("nonces required of a service that makes none: %v, want Internal", err)
	}
}
