package dpop_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"larder/internal/dpop"
	"larder/internal/dpop/dpoptest"
	"larder/internal/pgtest"
)

// BenchmarkVerify checks a proof, whole; compare with BenchmarkFloor.
func BenchmarkVerify(b *testing.B) {
	c := newClock()
	v := verifier(b, c)
	v.Nonces = nonces(c, macKey(1))
	nonce, err := v.Nonces.Current()
	if err != nil {
		b.Fatal(err)
	}
	for _, key := range []*dpoptest.Key{dpoptest.NewKey(b), dpoptest.NewEdKey(b), dpoptest.NewRSAKey(b, 2048)} {
		b.Run(key.Alg, func(b *testing.B) {
			made := good(c)
			made.Nonce = nonce
			proofs := make([]string, 0, 1<<9)
			for range cap(proofs) {
				proofs = append(proofs, key.Proof(b, made))
			}
			want := dpop.Expect{AccessToken: token, Thumbprint: key.Thumbprint, Nonce: true}
			r, next := request(b, ""), 0
			for b.Loop() {
				if next == len(proofs) {
					b.StopTimer()
					if err := v.Redis.FlushDB(b.Context()).Err(); err != nil {
						b.Fatal(err)
					}
					next = 0
					b.StartTimer()
				}
				r.Header.Set(dpop.Header, proofs[next])
				if _, err := v.Verify(r, want); err != nil {
					b.Fatal(err)
				}
				next++
			}
		})
	}
}

// BenchmarkFloor is what no check of a proof can do without: one verification
// of an ES256 signature, and one round trip to Redis.
func BenchmarkFloor(b *testing.B) {
	key, ok := dpoptest.NewKey(b).Private.(*ecdsa.PrivateKey)
	if !ok {
		b.Fatal("not an ECDSA key")
	}
	digest := sha256.Sum256([]byte("a proof"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	verify := func() bool { return ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) }
	db := pgtest.Redis(b)
	mark := func(n int) error {
		return db.SetArgs(b.Context(), "dpop:"+strconv.Itoa(n), "", redis.SetArgs{Mode: "NX", TTL: 70_000_000_000}).Err()
	}
	b.Run("signature", func(b *testing.B) {
		for b.Loop() {
			if !verify() {
				b.Fatal("not verified")
			}
		}
	})
	n := 0
	b.Run("redis", func(b *testing.B) {
		for b.Loop() {
			n++
			if err := mark(n); err != nil {
				b.Fatal(err)
			}
		}
	})
}
