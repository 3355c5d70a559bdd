package devstack

import (
	"errors"
	"os"
	"path/filepath"
)

// Clean removes the development directory and what links in it lead to, unless a run uses it.
func (s *Stack) Clean() error {
	if _, err := os.Stat(s.Dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	tests, err := filepath.Glob(filepath.Join(s.Dir, "test*", "lock"))
	if err != nil {
		return err
	}
	for _, path := range append([]string{s.Dir}, parents(tests)...) {
		dir, err := openDirectory(path)
		if err != nil {
			return err
		}
		defer dir.close()
		for _, name := range []string{"postgres", "redis", "embedded-postgres"} {
			elsewhere, err := os.Readlink(dir.file(name))
			if err != nil {
				continue // no link: it goes with the directory
			}
			if err := os.RemoveAll(elsewhere); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(s.Dir)
}

func parents(paths []string) []string {
	var dirs []string
	for _, path := range paths {
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}
