// Package headroom has the garbage collector run when so many bytes were allocated since it last did, however little or
// much is alive:
//
//	alive after a collection ── every half second ──> GOGC = room / alive
//
// A percentage alone suits one size of heap. A service that is at rest has a few MiB alive and should not collect for
// every few MiB more; one that holds thousands of streams has tens, and would wait until it held five times as much.
package headroom

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// least is the part of what is alive that may always be allocated before the next collection, in percent: with less,
	// a very large heap would be marked all the time.
	least = 15
	// most bounds the first collection, before which nothing is known to be alive: Go waits for 4 MiB times GOGC.
	most = 400

	every = 500 * time.Millisecond
	// near is how far off the percentage may be before it is set anew, which stops the world for a moment: an eighth.
	near = 8
)

// Keep leaves room for so many bytes between two collections until ctx is done. Without it, or where an operator sets GOGC
// and Keep is not called, Go's own percentage holds.
func Keep(ctx context.Context, room uint64) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for set := 0; ; {
		if want := percent(alive(), room); want < set-set/near || want > set+set/near {
			debug.SetGCPercent(want)
			set = want
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func percent(alive, room uint64) int {
	return min(max(int(room*100/max(alive, 1)), least), most) //nolint:gosec // far below the range of int
}

// alive is what the collector counts GOGC from: the heap that the last collection left, and the roots.
func alive() (total uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			total += s.Value.Uint64()
		}
	}
	return total
}
