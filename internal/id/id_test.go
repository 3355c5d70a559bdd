package id_test

import (
	"strings"
	"testing"

	"larder/internal/id"
)

func TestNewSortsByTime(t *testing.T) {
	last := id.New().String()
	for range 1000 {
		next := id.New().String()
		if next <= last {
			t.Fatalf("%s came after %s", next, last)
		}
		last = next
	}
}

func TestParseTakesTheCanonicalFormOnly(t *testing.T) {
	want := id.New()
	for _, s := range []string{want.String(), strings.ToUpper(want.String())} {
		if got, err := id.Parse(s); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "x", "{" + want.String() + "}", "urn:uuid:" + want.String(),
		strings.ReplaceAll(want.String(), "-", ""), want.String() + " ", strings.Replace(want.String(), "-", "_", 1),
	} {
		if got, err := id.Parse(s); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", s, got)
		}
	}
}

func TestBothTextsAreTheSame(t *testing.T) {
	t.Parallel()
	for range 100 {
		i := id.New()
		marshalled, err := i.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		appended, err := i.AppendText([]byte("id: "))
		if want := "id: " + string(marshalled); err != nil || string(appended) != want || i.String() != string(marshalled) {
			t.Errorf("%s, %v; want %s", appended, err, want)
		}
	}
}
