package revocation_test

import (
	"testing"
	"time"

	"larder/internal/revocation"
)

func TestAnEntryCoversWhatWasIssuedBeforeIt(t *testing.T) {
	var s revocation.Set
	at := time.Date(2026, 11, 21, 12, 0, 0, 500e6, time.UTC)
	s.Add(at, revocation.Entry{Kind: revocation.Subject, Value: "ada", RevokedAt: at, ExpiresAt: at.Add(5 * time.Minute)})

	for _, c := range []struct {
		name, kind, value string
		issued            time.Time
		want              bool
	}{
		{"issued a minute before", revocation.Subject, "ada", at.Add(-time.Minute), true},
		{"issued in the same second", revocation.Subject, "ada", at.Truncate(time.Second), true},
		{"issued a second later", revocation.Subject, "ada", at.Truncate(time.Second).Add(time.Second), false},
		{"another subject", revocation.Subject, "bob", at.Add(-time.Minute), false},
		{"the same value under another kind", revocation.JTI, "ada", at.Add(-time.Minute), false},
		{"a token without the claim", revocation.Subject, "", at.Add(-time.Minute), false},
	} {
		if got := s.Revoked(c.kind, c.value, c.issued); got != c.want {
			t.Errorf("%s: revoked %t, want %t", c.name, got, c.want)
		}
	}
}

func TestALaterRevocationHoldsWhateverTheOrder(t *testing.T) {
	var s revocation.Set
	early := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	late := early.Add(time.Hour)
	entry := func(at time.Time) revocation.Entry {
		return revocation.Entry{Kind: revocation.Subject, Value: "ada", RevokedAt: at, ExpiresAt: at.Add(time.Hour)}
	}
	s.Add(late, entry(late), entry(early))
	if !s.Revoked(revocation.Subject, "ada", early.Add(time.Minute)) {
		t.Fatal("the older entry replaced the newer one")
	}
}

func TestExpiredEntriesLeave(t *testing.T) {
	var s revocation.Set
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s.Add(now, revocation.Entry{Kind: revocation.JTI, Value: "a", RevokedAt: now, ExpiresAt: now.Add(time.Minute)})
	later := now.Add(2 * time.Minute)
	s.Add(later, revocation.Entry{Kind: revocation.JTI, Value: "b", RevokedAt: later, ExpiresAt: later.Add(time.Minute)})
	if got := s.Since(time.Time{}); len(got) != 1 || got[0].Value != "b" {
		t.Fatalf("the set holds %v, want only b", got)
	}
}
