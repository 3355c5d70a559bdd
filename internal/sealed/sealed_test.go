package sealed_test

import (
	"bytes"
	"errors"
	"testing"

	"larder/internal/sealed"
)

func ring(t *testing.T, seeds ...byte) *sealed.Keyring {
	t.Helper()
	var keys [][]byte
	for _, s := range seeds {
		keys = append(keys, bytes.Repeat([]byte{s}, sealed.KeySize))
	}
	r, err := sealed.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOpenGivesBackWhatWasSealed(t *testing.T) {
	r := ring(t, 1)
	box := r.Seal("table/column/1", []byte("private"))
	got, err := r.Open("table/column/1", box)
	if err != nil || string(got) != "private" {
		t.Fatalf("Open = %q, %v", got, err)
	}
}

func TestAValueMovedToAnotherPlaceDoesNotOpen(t *testing.T) {
	r := ring(t, 1)
	box := r.Seal("table/column/1", []byte("private"))
	if _, err := r.Open("table/column/2", box); !errors.Is(err, sealed.ErrOpen) {
		t.Fatalf("Open elsewhere: %v", err)
	}
}

func TestAnyChangedByteIsNoticed(t *testing.T) {
	r := ring(t, 1)
	box := r.Seal("p", []byte("private"))
	for i := range box {
		bad := bytes.Clone(box)
		bad[i] ^= 1
		if _, err := r.Open("p", bad); !errors.Is(err, sealed.ErrOpen) {
			t.Fatalf("byte %d changed and it still opens: %v", i, err)
		}
	}
	for n := range box {
		if _, err := r.Open("p", box[:n]); !errors.Is(err, sealed.ErrOpen) {
			t.Fatalf("cut to %d bytes and it still opens: %v", n, err)
		}
	}
}

func TestRotationOpensOldAndSealsNew(t *testing.T) {
	old := ring(t, 1)
	box := old.Seal("p", []byte("x"))
	both := ring(t, 2, 1)
	if _, err := both.Open("p", box); err != nil {
		t.Fatalf("old value under the new ring: %v", err)
	}
	if _, err := old.Open("p", both.Seal("p", []byte("x"))); !errors.Is(err, sealed.ErrOpen) {
		t.Fatalf("the new ring must seal with its first key: %v", err)
	}
}
