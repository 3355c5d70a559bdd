package rp_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestConformanceRegister holds docs/conformance.md to the tests that it names: each is there, and those of a table in a
// file that names the module.
func TestConformanceRegister(t *testing.T) {
	t.Parallel()
	page, sources := register(t, "conformance.md")
	rows := regexp.MustCompile("(?m)^\\| `(.+?)` \\| `(.+?)` \\| `(.+?)` \\|$").FindAllStringSubmatch(page, -1)
	if len(rows) < 100 {
		t.Errorf("%d modules: the tables have another form", len(rows))
	}
	for _, row := range rows {
		module, dir, test := row[1], row[2], row[3]
		if !strings.Contains(sources[dir+" "+test], strings.TrimPrefix(module, "fapi2-security-profile-final-")) {
			t.Errorf("no %s in %s names %s", test, dir, module)
		}
	}
}

// TestSecurityCasesRegister holds docs/security-cases.md to the tests that it names: each case has some, and each is in
// one of the case's packages.
func TestSecurityCasesRegister(t *testing.T) {
	t.Parallel()
	page, sources := register(t, "security-cases.md")
	quoted := regexp.MustCompile("`([^`]+)`")
	rows := regexp.MustCompile(`(?m)^\| ([A-Z]\d+) \| .+ \| (.+) \| (.+) \|$`).FindAllStringSubmatch(page, -1)
	if len(rows) < 26 {
		t.Errorf("%d cases: the tables have another form", len(rows))
	}
	for _, row := range rows {
		tests := quoted.FindAllStringSubmatch(row[3], -1)
		if len(tests) == 0 {
			t.Errorf("%s has no test", row[1])
		}
		for _, test := range tests {
			found := false
			for _, dir := range quoted.FindAllStringSubmatch(row[2], -1) {
				found = found || sources[dir[1]+" "+test[1]] != ""
			}
			if !found {
				t.Errorf("%s: %s is in none of %s", row[1], test[1], row[2])
			}
		}
	}
}

// register reads a page of docs and the files of the packages that it names which declare a test: by the name of the
// test, and by package and name. Every test that the page names must be there.
func register(t *testing.T, name string) (page string, sources map[string]string) {
	t.Helper()
	root := filepath.Join("..", "..")
	raw, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	page = string(raw)
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	sources = map[string]string{}
	packages := map[string]bool{}
	for _, named := range regexp.MustCompile("`((?:authserver|internal|resourceapi|tests)(?:/[\\w/]+)?)`").FindAllStringSubmatch(page, -1) {
		if packages[named[1]] {
			continue
		}
		packages[named[1]] = true
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(named[1]), "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no tests, %v", named[1], err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range declared.FindAllStringSubmatch(string(source), -1) {
				sources[found[1]] += string(source)
				sources[named[1]+" "+found[1]] = string(source)
			}
		}
	}
	for _, named := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(page, -1) {
		if sources[named[1]] == "" {
			t.Errorf("there is no %s", named[1])
		}
	}
	return page, sources
}
