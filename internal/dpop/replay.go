package dpop

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/internal/cache"
)

// skew is how far the clocks of two replicas may be apart: what one of them has
// forgotten the other must not take for new.
const skew = 10 * time.Second

// spend marks a proof as used, until it is stale anyway (RFC 9449 §11.1). One
// command decides, so of two that come at once one is refused.
func (v *Verifier) spend(ctx context.Context, p *Proof, now time.Time) error {
	remaining := p.IssuedAt.Add(window).Sub(now) + skew
	_, err := v.Redis.SetArgs(ctx, replayKey(p), "", redis.SetArgs{Mode: "NX", TTL: remaining}).Result()
	if errors.Is(err, cache.ErrNone) {
		return invalid("The DPoP proof was used before.")
	}
	return cache.Translate(err)
}

// replayKey is of one length whatever the client put into jti.
func replayKey(p *Proof) string {
	sum := sha256.Sum256([]byte(p.Thumbprint + "." + p.JTI))
	return "dpop:" + base64.RawURLEncoding.EncodeToString(sum[:])
}
