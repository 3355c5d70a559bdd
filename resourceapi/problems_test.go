package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheTypeOfAProblemLeadsToItsMeaning asks for the page of every code that
// stands in the source, and of every policy.
func TestTheTypeOfAProblemLeadsToItsMeaning(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	codes := map[string]bool{}
	given := regexp.MustCompile(`(?:WithCode\("|@id\("|(?:invalid|insufficient)\w+ += ")([a-z]+(?:_[a-z]+)*)"`)
	for _, root := range []string{".", "../internal/precondition"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			source := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".cedar")
			if err != nil || !source || strings.Contains(path, "testdata") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range given.FindAllSubmatch(text, -1) {
				codes[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, policy := range []string{"default_deny", "quota_principal", "quota_family", "quota_address"} { // put together elsewhere
		codes[policy] = true
	}
	if len(codes) < 50 {
		t.Errorf("only %d codes were found", len(codes))
	}
	for code := range codes {
		page := s.want(t, 200, caller{}, "GET", "/problems/"+code, nil)
		if !strings.Contains(string(page.body), "<h1>"+code+"</h1>") || strings.Contains(page.header.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: %s", code, page)
		}
	}
	s.want(t, 404, caller{}, "GET", "/problems/no_such_thing", nil)
	s.want(t, 404, caller{}, "GET", "/problems/%3Cscript%3E", nil)
}

func TestAddressAndHeadersAreBounded(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	for name, got := range map[string]reply{
		"414": h.want(t, 414, h.admin, "GET", h.path+"/lists?"+strings.Repeat("a", 9<<10), nil),
		"431": h.want(t, 431, h.admin, "GET", h.path+"/lists", nil, "X-Large", strings.Repeat("a", 33<<10)),
	} {
		if media := got.header.Get("Content-Type"); media != "application/problem+json" {
			t.Errorf("%s comes as %s", name, media)
		}
	}
}
