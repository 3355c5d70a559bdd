package loopback_test

import (
	"net"
	"testing"

	"larder/internal/loopback"
)

func TestWhatIsReservedCanBeListenedOnAndIsRefusedUntilThen(t *testing.T) {
	t.Parallel()
	addr, release, err := loopback.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if conn, err := net.Dial("tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("somebody answers who is not there yet")
	}
	for range 100 { // each takes another
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if l.Addr().String() == addr {
			t.Fatal("the address was given away")
		}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	release()
	defer l.Close()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
