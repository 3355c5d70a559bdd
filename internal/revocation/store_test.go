package revocation_test

import (
	"testing"
	"time"

	"larder/internal/id"
	"larder/internal/pgtest"
	"larder/internal/revocation"
)

// What was taken back before it made a grant is the database's to judge, and
// nothing that resource servers are told.
func TestLoadReadsWhatTokensCanCarry(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for kind, value := range map[string]string{revocation.Subject: "ada", revocation.Withdrawn: revocation.WithdrawnOf(id.New(), "planner")} {
		if err := revocation.Insert(t.Context(), db.Auth, kind, value); err != nil {
			t.Fatal(err)
		}
	}
	var s revocation.Set
	if _, err := revocation.Load(t.Context(), db.Auth, &s, time.Now(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := s.Since(time.Time{}); len(got) != 1 || got[0].Value != "ada" {
		t.Errorf("the set holds %v, want only ada", got)
	}
}
