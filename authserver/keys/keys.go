package keys

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/sealed"
)

// JWKSLifetime is how long a verifier may keep the key set (the max-age of the
// JWKS response); a new key is published this long, and a margin, before use.
const JWKSLifetime = 10 * time.Minute

const (
	publishMargin  = 2 * time.Minute // replicas read the tables late, and clocks differ
	publishAhead   = JWKSLifetime + publishMargin
	rotateEvery    = 30 * 24 * time.Hour
	keepReplaced   = 24 * time.Hour // longer than any token lives
	refreshEvery   = 5 * time.Second
	unknownKIDWait = time.Second // between two reads that unknown key ids cause
	refreshTimeout = 3 * time.Second
)

// Keys gives out the keys in force. Fill in the exported fields, call Load (or
// let Run do it) and use it from any goroutine.
type Keys struct {
	DB  *pgxpool.Pool
	KEK *sealed.Keyring // key-encryption keys, the current one first
	Now func() time.Time
	Log *slog.Logger

	state   atomic.Pointer[state]
	reading sync.Mutex // one Refresh at a time
	read    time.Time  // when the tables were last read; guarded by reading
}

// state is everything that the tables held at one moment. It never changes.
type state struct {
	byKID map[string]*signingKey
	byAlg map[string][]*signingKey // the latest to become active first
	jwks  []byte
	data  map[id.ID]*dataKey
	over  bool // some rows are retired and wait to be deleted
	rings map[string]*sealed.Keyring
	macs  map[string][][]byte
}

// Load reads the keys, and makes those that are missing or due. Before its
// first success the server has nothing to sign or seal with.
func (k *Keys) Load(ctx context.Context) error {
	if err := k.Refresh(ctx); err != nil {
		return err
	}
	if !k.due(k.state.Load()) {
		return nil
	}
	return k.Maintain(ctx)
}

// Ready reports, as fault.Unavailable, that no keys were ever loaded.
func (k *Keys) Ready() error {
	if s := k.state.Load(); s == nil || len(s.byAlg) < len(algorithms) || len(s.rings) < len(purposes) {
		return fault.New(fault.Unavailable, "The service is starting. Please try again.")
	}
	return nil
}

// Run refreshes the keys every few seconds and rotates those that are due,
// until ctx is done. Failures are logged and tried again.
func (k *Keys) Run(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		if err := k.Load(ctx); err != nil && ctx.Err() == nil {
			k.Log.LogAttrs(ctx, slog.LevelWarn, "keys not refreshed", slog.String("error", err.Error()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Refresh reads the tables into memory. Keys known already are not opened
// again.
func (k *Keys) Refresh(ctx context.Context) error {
	k.reading.Lock()
	defer k.reading.Unlock()
	return k.refresh(ctx)
}

func (k *Keys) refresh(ctx context.Context) error {
	now := k.Now()
	k.read = now
	signing, data, err := k.selectAll(ctx)
	if err != nil {
		return err
	}
	next := &state{
		byKID: make(map[string]*signingKey, len(signing)),
		byAlg: make(map[string][]*signingKey),
		data:  make(map[id.ID]*dataKey, len(data)),
	}
	old := k.state.Load()
	if old == nil {
		old = &state{}
	}
	for _, row := range signing {
		if over(row.retireAt, now) {
			next.over = true
			continue
		}
		key, err := k.openSigningKey(row, old.byKID[row.kid])
		if err != nil {
			return err
		}
		next.byKID[row.kid] = key
		next.byAlg[row.alg] = append(next.byAlg[row.alg], key)
	}
	if next.jwks, err = keySet(next.byAlg); err != nil {
		return err
	}
	for _, row := range data {
		if over(row.retireAt, now) {
			next.over = true
			continue
		}
		key, err := k.openDataKey(row, old.data[row.id])
		if err != nil {
			return err
		}
		next.data[row.id] = key
	}
	if next.rings, next.macs, err = dataRings(slices.Collect(maps.Values(next.data)), now); err != nil {
		return err
	}
	k.state.Store(next)
	return nil
}

// over reports whether a key's time is over.
func over(retireAt *time.Time, now time.Time) bool { return retireAt != nil && !retireAt.After(now) }

// refreshForUnknown reads the tables because a token names a key that nobody
// here knows, at most once a second however many such tokens come.
func (k *Keys) refreshForUnknown() {
	k.reading.Lock()
	defer k.reading.Unlock()
	if k.Now().Sub(k.read) < unknownKIDWait {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), refreshTimeout)
	defer cancel()
	if err := k.refresh(ctx); err != nil {
		k.Log.LogAttrs(ctx, slog.LevelWarn, "keys not refreshed", slog.String("error", err.Error()))
	}
}
