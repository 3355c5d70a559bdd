package paging_test

import (
	"net/http/httptest"
	"net/url"
	"testing"

	"larder/internal/fault"
	"larder/internal/paging"
)

func TestCursorBelongsToItsCollectionAndKey(t *testing.T) {
	t.Parallel()
	signer := paging.Signer{Key: []byte("a key of this test")}
	cursor, err := signer.Seal("items/1", 42)
	if err != nil {
		t.Fatal(err)
	}
	var place int
	if err := signer.Open("items/1", cursor, &place); err != nil || place != 42 {
		t.Errorf("got %d, %v; want 42", place, err)
	}
	changed := []byte(cursor)
	changed[len(changed)-2] ^= 1
	for name, err := range map[string]error{
		"another collection": signer.Open("items/2", cursor, &place),
		"another key":        paging.Signer{Key: []byte("another")}.Open("items/1", cursor, &place),
		"a changed cursor":   signer.Open("items/1", string(changed), &place),
		"no cursor":          signer.Open("items/1", "", &place),
		"no base64":          signer.Open("items/1", "%%%", &place),
	} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

func TestLimitIsBounded(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{"": 50, "1": 1, "200": 200, "0": -1, "201": -1, "-3": -1, "x": -1, "1e2": -1} {
		got, err := paging.Limit(url.Values{"limit": {in}})
		if want < 0 && !fault.Is(err, fault.Invalid) || want > 0 && (err != nil || got != want) {
			t.Errorf("limit %q: got %d, %v; want %d", in, got, err, want)
		}
	}
}

func TestNextKeepsTheFilters(t *testing.T) {
	t.Parallel()
	signer := paging.Signer{Key: []byte("a key of this test")}
	next, err := signer.Next(httptest.NewRequest("GET", "/v1/things?limit=2&cursor=old&kind=a%20b", nil), "things", 42)
	r := httptest.NewRequest("GET", next, nil)
	if q := r.URL.Query(); err != nil || r.URL.Path != "/v1/things" || q.Get("kind") != "a b" || len(q["cursor"]) != 1 {
		t.Errorf("got %s, %v", next, err)
	}
	var place int
	if limit, err := signer.Page(r, "things", &place); err != nil || limit != 2 || place != 42 {
		t.Errorf("the next page: %d rows behind %d, %v", limit, place, err)
	}
}
