package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// installers fills a PATH with stand-ins for what installs packages: each writes down how it was called, and fails where
// its first word of that is in failing.
func installers(t *testing.T, failing string, names ...string) (calls func() string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	for _, name := range names {
		script := fmt.Sprintf("#!/bin/sh\necho %s \"$@\" >>'%s'\ncase \" $* \" in *' %s '*) echo 'it is broken'; exit 100;; esac\n", name, log, failing)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return func() string {
		raw, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(raw)
	}
}

func TestPackagesComeFromWhatTheMachineHas(t *testing.T) {
	const update, packages = "apt-get -o DPkg::Lock::Timeout=300 update -q\n",
		"apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends nodejs npm\n"
	for name, c := range map[string]struct {
		has     []string
		failing string
		root    bool
		want    string // what was called
		says    string // the error; empty for none
	}{
		"a Debian as root":                  {has: []string{"apt-get", "brew"}, root: true, want: update + packages},
		"a list that cannot be fetched":     {has: []string{"apt-get"}, failing: "update", root: true, want: update + packages},
		"a package that cannot be fetched":  {has: []string{"apt-get"}, failing: "install", root: true, want: update + packages, says: "it is broken"},
		"a Mac":                             {has: []string{"brew"}, want: "brew install --cask google-chrome\n"},
		"a Mac without the Internet":        {has: []string{"brew"}, failing: "install", want: "brew install --cask google-chrome\n", says: "it is broken"},
		"Homebrew refuses root":             {has: []string{"brew"}, root: true, says: "neither apt-get as root nor Homebrew as a user"},
		"a Debian as a user":                {has: []string{"apt-get"}, says: "neither apt-get as root nor Homebrew as a user"},
		"a Linux with Homebrew, for a user": {has: []string{"apt-get", "brew"}, want: "brew install --cask google-chrome\n"},
	} {
		t.Run(name, func(t *testing.T) {
			calls := installers(t, c.failing, c.has...)
			err := install(t.Context(), t.Logf, c.root, "nodejs npm", "--cask google-chrome")
			if got := calls(); got != c.want {
				t.Errorf("called\n%swant\n%s", got, c.want)
			}
			_, next := errors.AsType[*missingError](err)
			if (err == nil) != (c.says == "") || err != nil && (!next || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q, and that the next source is asked", err, c.says)
			}
		})
	}
}
