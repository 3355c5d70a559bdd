package client

import (
	"sync"

	"larder/authserver/oidc"
)

const (
	maxCached  = 10_000
	maxUnknown = 1_000 // ids that nobody registered; strangers choose them
)

// cache holds clients and, apart from them, ids known to be unknown, so that
// inventing ids can neither push out clients nor reach the database each time.
// Its zero value is ready for use.
type cache struct {
	mu      sync.RWMutex
	clients map[string]*oidc.Client
	unknown map[string]struct{}
	drops   uint64 // grows with each drop, so that a late fill is not kept
}

func (c *cache) get(id string) (client *oidc.Client, known bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if client, ok := c.clients[id]; ok {
		return client, true
	}
	_, unknown := c.unknown[id]
	return nil, unknown
}

// generation is to be taken before reading what put will be given.
func (c *cache) generation() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.drops
}

// put keeps client, or with nil that there is none, unless something was
// dropped since generation.
func (c *cache) put(id string, client *oidc.Client, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops != generation {
		return
	}
	if client == nil {
		if c.unknown == nil || len(c.unknown) >= maxUnknown {
			c.unknown = make(map[string]struct{})
		}
		c.unknown[id] = struct{}{}
		return
	}
	if c.clients == nil {
		c.clients = make(map[string]*oidc.Client)
	}
	if len(c.clients) >= maxCached {
		for other := range c.clients { // any one: map order is arbitrary
			delete(c.clients, other)
			break
		}
	}
	c.clients[id] = client
}

// drop forgets id unless it is known at this version already.
func (c *cache) drop(id string, version int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client, ok := c.clients[id]; ok && client.Version >= version {
		return
	}
	_, wasUnknown := c.unknown[id]
	_, wasKnown := c.clients[id]
	if wasKnown || wasUnknown {
		c.drops++
	}
	delete(c.clients, id)
	delete(c.unknown, id)
}
