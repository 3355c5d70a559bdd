package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Whoever starts the stack of docker-compose.yml finds every setting right.
func TestTheComposeFileConfiguresTheService(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docker-compose.yml")
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
	for name, needs := range map[string]need{"resourceapi": needServe, "migrate-resourceapi": needOwner} {
		env, read := file.Services[name].Environment, map[string]bool{}
		_, err := loadConfig(func(name string) string {
			read[name] = true
			return env[name]
		}, needs)
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
