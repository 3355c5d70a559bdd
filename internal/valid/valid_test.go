package valid_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/internal/fault"
	"larder/internal/valid"
)

func TestFormReportsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	var f valid.Form
	if got := f.Text("/ok", "  Äpfel\n", 1, 5); got != "Äpfel" {
		t.Errorf("got %q", got)
	}
	f.Text("/empty", " ", 1, 5)
	f.Text("/long", "123456", 1, 5)
	f.Text("/control", "a\x00b", 1, 5)
	f.Text("/broken", "\xff", 1, 5)
	f.OneOf("/kind", "c", "a", "b")
	var e *fault.Error
	if !errors.As(f.Err(), &e) || e.Kind != fault.Invalid {
		t.Fatalf("got %v", f.Err())
	}
	var got []string
	for _, field := range e.Fields {
		got = append(got, field.Pointer)
	}
	if diff := cmp.Diff("/empty /long /control /broken /kind", strings.Join(got, " ")); diff != "" {
		t.Error(diff)
	}
}

func TestFieldTellsAbsentFromNull(t *testing.T) {
	t.Parallel()
	var body struct{ A, B, C valid.Field[string] }
	if err := json.Unmarshal([]byte(`{"B":null,"C":"new"}`), &body); err != nil {
		t.Fatal(err)
	}
	old := "old"
	if got := body.A.OrNull(&old); got != &old {
		t.Errorf("absent: got %v", got)
	}
	if got := body.B.OrNull(&old); got != nil {
		t.Errorf("null: got %v", *got)
	}
	var f valid.Form
	if got := body.C.Or(&f, "/c", old); got != "new" || f.Err() != nil {
		t.Errorf("value: got %q, %v", got, f.Err())
	}
	if body.B.Or(&f, "/b", old); f.Err() == nil {
		t.Error("null where none is allowed passes")
	}
}
