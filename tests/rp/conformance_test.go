package rp_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestConformanceRegister holds docs/conformance.md to the tests that it names: each is there, in a file that names the
// module.
func TestConformanceRegister(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	files := map[string]string{} // what stands in the file that declares a test, by package and test
	rows := regexp.MustCompile("(?m)^\\| `(.+?)` \\| `(.+?)` \\| `(.+?)` \\|$").FindAllStringSubmatch(string(page), -1)
	if len(rows) < 100 {
		t.Errorf("%d modules: the tables have another form", len(rows))
	}
	for _, row := range rows {
		module, dir, test := row[1], row[2], row[3]
		if _, read := files[dir]; !read {
			files[dir] = "read"
			names, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				source, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				for _, found := range declared.FindAllStringSubmatch(string(source), -1) {
					files[dir+" "+found[1]] = string(source)
				}
			}
		}
		source, found := files[dir+" "+test]
		if !found {
			t.Errorf("there is no %s in %s", test, dir)
		} else if !strings.Contains(source, strings.TrimPrefix(module, "fapi2-security-profile-final-")) {
			t.Errorf("%s in %s does not name %s", test, dir, module)
		}
	}
}
