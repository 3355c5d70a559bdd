// Package envtest sees that the files which configure the services name settings that there are.
//
//	envtest.Compose(t, map[string]envtest.Load{"authserver": load})   // of docker-compose.yml
package envtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Load reads a configuration by the names of its settings.
type Load func(getenv func(name string) string) error

// Compose fails the test unless every named service of docker-compose.yml, which lies
// above the folder of the test, has all settings right that its Load reads, and no others.
func Compose(t *testing.T, services map[string]Load) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	// A base64 key of 32 bytes will do for every secret.
	filled := regexp.MustCompile(`\$\{[A-Z_]+:[?-]\}`).ReplaceAll(text, []byte(strings.Repeat("A", 43)+"="))
	var file struct {
		Services map[string]struct {
			Environment map[string]string
		}
	}
	if err := yaml.Unmarshal(filled, &file); err != nil {
		t.Fatal(err)
	}
	for name, load := range services {
		env, read := file.Services[name].Environment, map[string]bool{}
		err := load(func(name string) string {
			read[name] = true
			return env[name]
		})
		if err != nil || len(env) == 0 {
			t.Errorf("%s, with %d settings: %v", name, len(env), err)
		}
		for setting := range env {
			if !read[setting] {
				t.Errorf("%s sets %s, which is none", name, setting)
			}
		}
	}
}
