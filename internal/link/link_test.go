package link_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/link"
	"larder/internal/pgtest"
	"larder/internal/postgres"
)

// desk is a link store under a clock and keys that a test may change.
type desk struct {
	*link.Links
	keys [][]byte
	now  time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{keys: [][]byte{bytes.Repeat([]byte{1}, 32)}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	d.Links = &link.Links{
		DB: pgtest.New(t).Auth, Issuer: "https://login.example.com",
		Keys: func() [][]byte { return d.keys }, Now: func() time.Time { return d.now },
	}
	return d
}

func (d *desk) issue(t *testing.T, subject string) (id.ID, string) {
	t.Helper()
	linkID, err := d.Issue(t.Context(), d.DB, link.New{Purpose: "reset", Subject: subject, Data: map[string]string{"for": subject}, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return linkID, d.token(t, linkID)
}

func (d *desk) token(t *testing.T, linkID id.ID) string {
	t.Helper()
	target, err := d.URL("/forgot", "reset", linkID)
	if err != nil {
		t.Fatal(err)
	}
	token, ok := strings.CutPrefix(target, "https://login.example.com/forgot/")
	if !ok {
		t.Fatalf("the link is %s", target)
	}
	return token
}

func (d *desk) use(ctx context.Context, purpose, token string) (found *link.Link, err error) {
	err = postgres.InTx(ctx, d.DB, func(tx pgx.Tx) (err error) {
		found, err = d.Use(ctx, tx, purpose, token)
		return err
	})
	return found, err
}

func TestALinkIsGoodOnceForItsPurpose(t *testing.T) {
	d := newDesk(t)
	_, token := d.issue(t, "ada")
	for range 2 {
		if found, err := d.Look(t.Context(), "reset", token); err != nil || found.Subject != "ada" {
			t.Fatalf("looking: %+v, %v", found, err)
		}
	}
	if _, err := d.use(t.Context(), "email", token); !fault.Is(err, fault.NotFound) {
		t.Errorf("for another purpose: %v", err)
	}
	found, err := d.use(t.Context(), "reset", token)
	if err != nil {
		t.Fatal(err)
	}
	var data map[string]string
	if err := found.Into(&data); err != nil || data["for"] != "ada" {
		t.Errorf("the data: %v, %v", data, err)
	}
	if _, err := d.use(t.Context(), "reset", token); !fault.Is(err, fault.NotFound) {
		t.Errorf("a second time: %v", err)
	}
}

func TestALinkEndsWhenItIsOldReplacedRenewedOrDropped(t *testing.T) {
	d := newDesk(t)
	over := func(what, token string) {
		t.Helper()
		if _, err := d.use(t.Context(), "reset", token); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, first := d.issue(t, "ada")
	second, replacing := d.issue(t, "ada")
	over("replaced", first)
	third, err := d.Renew(t.Context(), d.DB, "reset", second, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	over("renewed", replacing)
	if _, err := d.Renew(t.Context(), d.DB, "reset", second, time.Hour); !fault.Is(err, fault.NotFound) {
		t.Errorf("renewing what was renewed: %v", err)
	}
	d.now = d.now.Add(time.Hour)
	over("old", d.token(t, third))
	_, fourth := d.issue(t, "ada")
	_, others := d.issue(t, "ben")
	if err := link.DropAll(t.Context(), d.DB, "ada"); err != nil {
		t.Fatal(err)
	}
	over("dropped", fourth)
	if _, err := d.use(t.Context(), "reset", others); err != nil {
		t.Errorf("another's link: %v", err)
	}
}

func TestATransactionThatFailsSpendsNothing(t *testing.T) {
	d := newDesk(t)
	_, token := d.issue(t, "ada")
	_ = postgres.InTx(t.Context(), d.DB, func(tx pgx.Tx) error {
		if _, err := d.Use(t.Context(), tx, "reset", token); err != nil {
			t.Error(err)
		}
		return context.Canceled
	})
	if _, err := d.use(t.Context(), "reset", token); err != nil {
		t.Errorf("after a failed transaction: %v", err)
	}
}

func TestTokensOutliveARotationAndNotTheirKey(t *testing.T) {
	d := newDesk(t)
	_, token := d.issue(t, "ada")
	d.keys = [][]byte{bytes.Repeat([]byte{2}, 32), d.keys[0]}
	if _, err := d.Look(t.Context(), "reset", token); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	d.keys = d.keys[:1]
	if _, err := d.Look(t.Context(), "reset", token); !fault.Is(err, fault.NotFound) {
		t.Errorf("after its key went: %v", err)
	}
	for _, forged := range []string{"", "A", token + "A", token[:len(token)-2], strings.Repeat("A", len(token)), "../" + token} {
		if _, err := d.Look(t.Context(), "reset", forged); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", forged, err)
		}
	}
}

func TestOf32UsesOneSucceeds(t *testing.T) {
	d := newDesk(t)
	for range 10 {
		_, token := d.issue(t, "ada")
		var all sync.WaitGroup
		worked := make(chan struct{}, 32)
		for range 32 {
			all.Go(func() {
				_, err := d.use(t.Context(), "reset", token)
				if err == nil {
					worked <- struct{}{}
				} else if !fault.Is(err, fault.NotFound) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := len(worked); n != 1 {
			t.Fatalf("%d uses succeeded", n)
		}
	}
}
