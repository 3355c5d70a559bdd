package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The catalogues are in order, byte by byte, so that two changes seldom meet at one
// line. LARDER_UPDATE=1 sorts them, and drops what a merge left twice.
func TestCataloguesAreInOrder(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../templates/languages/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		comment, rest, _ := strings.Cut(string(source), "\n")
		lines := strings.Split(strings.TrimSuffix(rest, "\n"), "\n")
		if len(lines)%2 != 0 {
			t.Fatalf("%s has an English line without a translation, or the reverse", file)
		}
		var pairs []string
		for pair := range slices.Chunk(lines, 2) {
			pairs = append(pairs, pair[0]+"\n"+pair[1]+"\n")
		}
		slices.Sort(pairs)
		sorted := comment + "\n" + strings.Join(slices.Compact(pairs), "")
		switch {
		case sorted == string(source):
		case os.Getenv("LARDER_UPDATE") != "":
			if err := os.WriteFile(file, []byte(sorted), 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s is not in order; LARDER_UPDATE=1 go test -run '^%s$' ./authserver sorts it", file, t.Name())
		}
	}
}
