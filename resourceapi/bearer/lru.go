package bearer

import (
	"container/list"
	"crypto/sha256"
	"sync"
)

// digest names a credential in the caches, which never hold one.
type digest [sha256.Size]byte

func cacheKey(token string) digest { return sha256.Sum256([]byte(token)) }

// lru is a bounded map that forgets what was not used for longest.
type lru[V any] struct {
	mu      sync.Mutex
	limit   int
	entries map[digest]*list.Element
	order   *list.List // of *item[V], the latest used first
}

type item[V any] struct {
	key   digest
	value V
}

func newLRU[V any](limit int) *lru[V] {
	return &lru[V]{limit: limit, entries: make(map[digest]*list.Element), order: list.New()}
}

func (c *lru[V]) get(key digest) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		var none V
		return none, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*item[V]).value, true //nolint:errcheck // the list holds nothing else
}

func (c *lru[V]) put(key digest, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		e.Value.(*item[V]).value = value //nolint:errcheck // the list holds nothing else
		c.order.MoveToFront(e)
		return
	}
	if c.order.Len() >= c.limit {
		last := c.order.Back()
		delete(c.entries, c.order.Remove(last).(*item[V]).key) //nolint:errcheck // the list holds nothing else
	}
	c.entries[key] = c.order.PushFront(&item[V]{key, value})
}

func (c *lru[V]) drop(key digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		c.order.Remove(e)
		delete(c.entries, key)
	}
}

func (c *lru[V]) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}
