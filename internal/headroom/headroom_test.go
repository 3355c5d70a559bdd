package headroom

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestTheRoomIsTheSameWhateverIsAlive(t *testing.T) {
	for alive, want := range map[uint64]int{
		0: most, 1 << 20: most, 6 << 20: 400, 12 << 20: 200, 24 << 20: 100, 96 << 20: 25, 160 << 20: 15, 10 << 30: least,
	} {
		if got := percent(alive, 24<<20); got != want {
			t.Errorf("with %d MiB alive: %d %%, want %d", alive>>20, got, want)
		}
	}
}

func TestKeepFollowsTheHeap(t *testing.T) {
	was := debug.SetGCPercent(100)
	defer debug.SetGCPercent(was)
	held := make([]byte, 64<<20)
	runtime.GC()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it sets the percentage once before it looks
	Keep(ctx, 24<<20)
	if got := debug.SetGCPercent(100); got < least || got > 24*100/64 {
		t.Errorf("with 64 MiB alive GOGC is %d", got)
	}
	runtime.KeepAlive(held)
}
