package bearer

import (
	"crypto/sha256"

	lru "github.com/hashicorp/golang-lru/v2"
)

// digest names a credential in the caches, which never hold one.
type digest [sha256.Size]byte

func cacheKey(token string) digest { return sha256.Sum256([]byte(token)) }

// cache is a bounded map that forgets what was not used for longest.
type cache[V any] = lru.Cache[digest, V]
