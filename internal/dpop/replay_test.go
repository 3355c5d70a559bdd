package dpop_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
)

func TestAProofIsGoodOnce(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	replica := &dpop.Verifier{Base: v.Base, Redis: v.Redis, Now: c.Now}
	key := dpoptest.NewKey(t)
	made := good(c)
	made.JTI = "once"
	proof := key.Proof(t, made)
	if _, err := v.Verify(request(t, proof), dpop.Expect{AccessToken: token}); err != nil {
		t.Fatal(err)
	}
	_, err := replica.Verify(request(t, proof), dpop.Expect{AccessToken: token})
	wantCode(t, err, dpop.CodeInvalidProof)

	again := made
	again.At = made.At.Add(time.Second)
	_, err = v.Verify(request(t, key.Proof(t, again)), dpop.Expect{AccessToken: token})
	wantCode(t, err, dpop.CodeInvalidProof)

	if _, err := v.Verify(request(t, dpoptest.NewKey(t).Proof(t, made)), dpop.Expect{AccessToken: token}); err != nil {
		t.Errorf("another client's proof of the same jti: %v", err)
	}
}

func TestAProofIsRememberedAsLongAsItIsFresh(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	key := dpoptest.NewKey(t)
	for _, ahead := range []time.Duration{-time.Minute, 0, time.Minute} {
		if err := v.Redis.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		made := good(c)
		made.At = c.Now().Add(ahead)
		if _, err := v.Verify(request(t, key.Proof(t, made)), dpop.Expect{}); err != nil {
			t.Fatal(err)
		}
		keys := v.Redis.Keys(t.Context(), "*").Val()
		if len(keys) != 1 {
			t.Fatalf("keys in Redis: %q, want one", keys)
		}
		fresh := ahead + time.Minute
		if ttl := v.Redis.PTTL(t.Context(), keys[0]).Val(); ttl <= fresh || ttl > fresh+15*time.Second {
			t.Errorf("a proof that stays fresh for %v is remembered for %v", fresh, ttl)
		}
	}
}

func TestOfManyAtOnceOneIsAccepted(t *testing.T) {
	c := newClock()
	v := verifier(t, c)
	key := dpoptest.NewKey(t)
	for range 20 {
		proof := key.Proof(t, good(c))
		var accepted atomic.Int32
		var wg sync.WaitGroup
		for range 16 {
			r := request(t, proof)
			wg.Go(func() {
				if _, err := v.Verify(r, dpop.Expect{AccessToken: token}); err == nil {
					accepted.Add(1)
				}
			})
		}
		wg.Wait()
		if accepted.Load() != 1 {
			t.Fatalf("%d of 16 were accepted, want 1", accepted.Load())
		}
	}
}
