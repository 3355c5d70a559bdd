package migrations_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"larder/internal/pgtest"
)

// docs/data.md says of every table what bounds it, and of none that is not there.
func TestEveryTableSaysWhatBoundsIt(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, found := range regexp.MustCompile("`((?:auth|grocery)\\.[a-z_]+)`").FindAllSubmatch(page, -1) {
		told = append(told, string(found[1]))
	}
	rows, err := pgtest.New(t).Owner.Query(t.Context(), `SELECT relnamespace::regnamespace || '.' || relname FROM pg_class
		WHERE relnamespace IN ('auth'::regnamespace, 'grocery'::regnamespace) AND relkind IN ('r', 'p')`)
	if err != nil {
		t.Fatal(err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(there) < 40 {
		t.Fatalf("%v, %v", there, err)
	}
	for _, table := range there {
		if !slices.Contains(told, table) {
			t.Errorf("docs/data.md does not say what bounds %s", table)
		}
	}
	for _, table := range told {
		if !slices.Contains(there, table) {
			t.Errorf("docs/data.md tells of %s, which is not there", table)
		}
	}
}
